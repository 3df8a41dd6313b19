#pragma once

#include "messages/record.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// Where something stands in a text.
struct text_place {
  std::size_t line = 1;
  std::size_t byte = 0;
};

/// A value and where it is. Members keep their order, also those of the same name.
struct located {
  json value; ///< of objects and arrays without what is in them
  text_place at;
  std::string key; ///< of a member
  text_place key_at;
  std::vector<located> parts;
};

/// What became of a text.
struct located_text {
  located root;
  std::string failure; ///< why it is not JSON, in words; empty: it is
  text_place failed_at;
};

/// Reads JSON with comments (`//` and `/* */`). Never throws for what is in it.
located_text read_located(std::string_view text);

/// The first member of that name, if `object` is one; null if it has none.
const located* part_of(const located& object, std::string_view key);

/// The same as JSON; of members of the same name the last one.
json plain(const located& from);

} // namespace orch
