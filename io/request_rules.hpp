#pragma once

// What follows from a method and the parameters of a request, before anybody is asked.

#include "messages/catalog.hpp"

#include <optional>
#include <string>

namespace orch {

/// Does the request ask to be held open?
bool wants_to_wait(const method_info& m, const json& params);

/// What has side effects overlaps nothing, since it may touch what the others need. Long answers
/// don't either: answers that nobody has read yet are counted before the next one is made.
bool runs_alone(const method_info& m, const json& params);

/// The id of a session in a parameter, also one written as text.
std::optional<int64_t> session_in(const json& value);

/// The session that asks, as far as the parameters say.
std::optional<int64_t> session_asking(const method_info& m, const json& params);

/// Takes `request_key` out of the parameters of a method that writes; every such method has it.
/// Throws `request_error` for a bad one.
std::optional<std::string> take_request_key(const method_info& m, json& params);

/// The error for a method that there is not, with the one that was probably meant.
request_error unknown_method(const std::string& name);

} // namespace orch
