#pragma once

#include "messages/method.hpp"

#include <string_view>
#include <vector>

namespace orch {

/// A method as the borders of the program describe it.
struct method_info {
  const method* about;
  const record_shape* params;
  const record_shape* result;
  std::string_view owner; ///< the actor that answers it
};

/// Every method, grouped by owner in the order of declaration.
const std::vector<method_info>& catalog();

/// The method of that name, or null.
const method_info* find_method(std::string_view name);

/// Schema of the parameters, with what every write method takes besides its own.
json parameter_schema(const method_info& m);

/// What `methods --json` prints: name, description, owner, parameters, result of every method.
json describe_methods();

/// One method as a person reads it.
std::string help_text(const method_info& m);

/// The README's table: method, parameters, what it does.
std::string markdown_table();

/// "lock.release(lock_id, owner_session?)"
std::string signature(const method_info& m);

} // namespace orch
