#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace orch {

/// Why a request was not done. The words are part of the wire: `error_word`.
enum class errc : uint8_t {
  none = 0,
  parse_error,
  invalid_request,
  method_not_found,
  invalid_params,
  too_large,
  not_found,
  conflict,
  failed_precondition,
  permission_denied,
  unavailable,
  timeout,
  internal,
};

/// "not_found" and the like: the `code` of a bare answer.
std::string_view error_word(errc code);

/// The code of that word; internal for one that there is not.
errc error_of_word(std::string_view word);

/// The number of a JSON-RPC answer: -32000 for everything the protocol has no number for.
int error_number(errc code);

/// Thrown where a request cannot be done; becomes its answer. `data` is an object or null.
struct request_error : std::runtime_error {
  request_error(errc code, const std::string& message, nlohmann::json data = nullptr)
    : std::runtime_error{message}, code{code}, data(std::move(data)) {}

  errc code;
  nlohmann::json data;
};

/// A parameter that cannot be accepted; `field` is what `data.field` names.
request_error bad_param(std::string_view field, const std::string& message);

/// "task #7 does not exist".
request_error no_such(std::string_view what, int64_t id);

/// The word of `known` that `word` was probably meant to be, or nothing.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

} // namespace orch
