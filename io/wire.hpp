#pragma once

#include "messages/error.hpp"
#include "messages/record.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// The two ways of saying a request (contract, section 2).
enum class dialect : uint8_t { bare, jsonrpc };

/// A message of the input, taken apart.
struct envelope {
  dialect how = dialect::bare;
  std::string id = "null"; ///< as it was written, so that it comes back unchanged
  bool has_id = false;
  std::string method;
  std::string repo{}; ///< which repository it is for, where there are several
  json params = json::object();
  std::optional<request_error> problem; ///< why it is no request; then only the id counts

  bool is_notification() const { return how == dialect::jsonrpc && !has_id; }
};

/// Takes a message apart. Never throws for what is in it: `problem` says what is wrong.
envelope read_envelope(const std::string& text);

/// What can be said about a message that was too large to be read: its id, if it came early.
envelope read_beginning(const std::string& text);

/// Is it a method of the Model Context Protocol itself?
bool is_protocol_method(std::string_view method);

/// The answer to `to` as one line without its newline.
std::string result_line(const envelope& to, std::string_view result_json);
std::string error_line(const envelope& to, const request_error& error);

/// `{code, message, data?}` of a bare error as JSON text.
std::string error_object(const request_error& error);

} // namespace orch
