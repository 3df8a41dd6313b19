#pragma once

#include "io/wire.hpp"
#include "messages/catalog.hpp"

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace orch {

/// A method to be called for an MCP request, and how to dress its answer.
struct tool_call {
  std::string method;
  json params = json::object();
};

/// A resource to be put together from the answers of methods, each under its key.
struct resource_read {
  std::string uri;
  std::vector<std::pair<std::string, tool_call>> parts; ///< a single part with key "" is the whole
  bool is_mirror = false;                               ///< the Markdown, not a method
  std::optional<int64_t> thread_id{};                   ///< that thread as it was last seen
};

/// The client wants to hear of changes of a resource, or no longer.
struct resource_subscription {
  std::string uri;
  bool wanted = true;
};

/// Nothing is to be answered.
struct no_answer {};

/// The client no longer wants the request of that id (as written).
struct cancelled_request {
  std::string id;
};

/// The result object of a request, as JSON text.
struct direct_result {
  std::string json_text;
};

/// Not an orchestrator method's error but one of the protocol: its own number, message and data.
struct protocol_error {
  int number = 0;
  std::string message;
  json data = nullptr;
};

using mcp_reply = std::variant<no_answer, direct_result, protocol_error, tool_call, resource_read,
                               resource_subscription, cancelled_request>;

/// The Model Context Protocol side of one connection: both eras on the same routes, the legacy one
/// with `initialize` (2024-11-05 to 2025-11-25) and the stateless one (2026-07-28).
class mcp_session {
public:
  /// `profile`: a name of `tool_profiles()`.
  explicit mcp_session(std::string profile) : profile_{std::move(profile)} {}

  /// What to do for a message whose method `is_protocol_method`.
  mcp_reply handle(const envelope& message);

  /// Has the client said that it speaks MCP? Then lines that cannot be read are answered in kind.
  bool started() const { return started_; }

  /// What the client says of itself and of the call, as a hint to keep with the session.
  std::optional<std::string> client_hint(const envelope& message) const;

private:
  mcp_reply initialize(const envelope& message);
  mcp_reply discover() const;
  json list_tools() const;
  mcp_reply call_tool(const envelope& message) const;

  std::string profile_;
  std::string client_name_;
  bool started_ = false;
};

/// The method that a message asks for, by itself or as a tool; null if it asks for none. `params`
/// are set to those of the method.
const method_info* method_asked(const envelope& message, const json*& params);

/// Is the request of the stateless era?
bool is_modern(const envelope& message);

/// The result of `tools/call` for a method's answer, or for its error.
std::string tool_result(std::string_view answer_json, bool modern);
std::string tool_error(const request_error& error, bool modern);

/// The result of `resources/read`.
std::string resource_result(const std::string& uri, std::string_view mime_type,
                            std::string_view text, bool modern);

/// Tells that a resource has changed.
std::string resource_updated_line(const std::string& uri);

std::string protocol_error_line(const envelope& to, const protocol_error& error);

/// The token under which the client wants to hear of progress, as JSON text; empty for none.
std::string progress_token(const envelope& message);

/// "lock_acquire" for "lock.acquire".
std::string tool_name(std::string_view method);

} // namespace orch
