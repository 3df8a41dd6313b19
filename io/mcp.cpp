#include "io/mcp.hpp"

#include "io/guides.hpp"
#include "messages/page.hpp"
#include "messages/tools.hpp"
#include "messages/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch {

namespace {

constexpr std::array<std::string_view, 4> legacy_versions{"2025-11-25", "2025-06-18", "2025-03-26",
                                                          "2024-11-05"};
constexpr std::string_view modern_version = "2026-07-28";
constexpr std::string_view version_key = "io.modelcontextprotocol/protocolVersion";

/// Clients cut results of more than about 10,000 characters, so lists are short unless asked.
constexpr int64_t page_over_mcp = 50;

/// How long a client may keep lists that never change while the server runs.
constexpr int64_t list_ttl_ms = 3'600'000;

constexpr std::string_view instructions =
  "Coordinates coding agents in one git repository: sessions with worktrees, tasks and "
  "checkpoints, path locks, merge queue. Open a session first, lock paths before editing, and "
  "call work_current_ref after compaction.";

json server_info() {
  return {
    {"name", "codex-orchestrator"}, {"title", "Codex Orchestrator"}, {"version", program_version}};
}

/// Of the ways to hear of changes the stateless era has another one, which is not offered.
json capabilities(bool modern) {
  auto resources = modern ? json::object() : json{{"subscribe", true}};
  return {{"tools", json::object()}, {"resources", resources}, {"prompts", json::object()}};
}

const json* meta_of(const envelope& message) {
  auto found = message.params.find("_meta");
  return found != message.params.end() && found->is_object() ? &*found : nullptr;
}

std::string text_member(const json& object, std::string_view name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

mcp_reply bad_params(const std::string& message) {
  return protocol_error{-32602, message};
}

/// Results of the stateless era say that they are complete, and how long lists may be kept.
direct_result result(json object, bool modern, bool cacheable) {
  if (modern) {
    object["resultType"] = "complete";
    if (cacheable) {
      object["ttlMs"] = list_ttl_ms;
      object["cacheScope"] = "private";
    }
  }
  return {object.dump()};
}

json annotations(const method& about) {
  if (!about.writes())
    return {{"readOnlyHint", true}, {"openWorldHint", false}};
  // Without these two, clients that may not ask a person refuse the call.
  return {
    {"readOnlyHint", false}, {"destructiveHint", about.destructive}, {"openWorldHint", false}};
}

std::string title_of(std::string_view method) {
  std::string title{method};
  std::replace(title.begin(), title.end(), '.', ' ');
  std::replace(title.begin(), title.end(), '_', ' ');
  title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

/// What is nested keeps the names and types of its members, two levels deep: clients read all tools
/// into a context where every kilobyte counts, and the methods list has the rest.
json shortened(json schema, int levels) {
  schema.erase("required");
  if (schema.contains("items"))
    schema["items"] = shortened(std::move(schema["items"]), levels);
  if (!schema.contains("properties"))
    return schema;
  if (levels == 0)
    return {{"type", "object"}};
  for (auto& [name, member] : schema["properties"].items()) {
    member = shortened(std::move(member), levels - 1);
    member.erase("description");
    member.erase("enum");
  }
  return schema;
}

/// Clients check the structured content of errors against the schema too, so it requires nothing
/// that an error lacks.
json output_schema(const method_info& m) {
  auto schema = shortened(schema_of(*m.result, schema_use::result), 2);
  schema["properties"]["error"] = {{"type", "object"}, {"description", "if isError"}};
  return schema;
}

json tool_of(const method_info& m) {
  auto input = parameter_schema(m);
  if (auto limit = m.params->find("limit"))
    input["properties"][std::string{limit->name}]["default"] = page_over_mcp;
  return {{"name", tool_name(m.about->name)}, {"title", title_of(m.about->name)},
          {"description", m.about->doc},      {"inputSchema", std::move(input)},
          {"outputSchema", output_schema(m)}, {"annotations", annotations(*m.about)}};
}

json group_tool(const tool_group& group, const std::vector<const method_info*>& methods) {
  std::vector<std::string> signatures;
  std::vector<std::string_view> names;
  for (const auto* m : methods) {
    signatures.push_back(signature(*m));
    names.push_back(m->about->name);
  }
  return {{"name", group.name},
          {"description", fmt::format("{} Methods and their params (? = optional): {}.", group.doc,
                                      fmt::join(signatures, "; "))},
          {"inputSchema",
           {{"type", "object"},
            {"properties",
             {{"method", {{"type", "string"}, {"enum", names}}}, {"params", {{"type", "object"}}}}},
            {"required", {"method"}},
            {"additionalProperties", false}}},
          {"outputSchema", {{"type", "object"}}},
          {"annotations",
           {{"readOnlyHint", false}, {"destructiveHint", false}, {"openWorldHint", false}}}};
}

std::vector<const method_info*> methods_in(const tool_group& group) {
  std::vector<const method_info*> methods;
  for (const auto& m : catalog())
    if (in_group(group, m.about->name))
      methods.push_back(&m);
  return methods;
}

/// The method that a tool name stands for; both spellings are taken.
const method_info* method_of_tool(std::string_view name) {
  if (auto found = find_method(name))
    return found;
  for (const auto& m : catalog())
    if (tool_name(m.about->name) == name)
      return &m;
  return nullptr;
}

bool is_group(std::string_view name) {
  const auto& groups = tool_groups();
  return std::any_of(groups.begin(), groups.end(), [&](const auto& g) { return g.name == name; });
}

void shorten_page(const method_info& m, json& params) {
  if (m.params->find("limit") && !params.contains("limit"))
    params["limit"] = page_over_mcp;
}

mcp_reply list_resources(bool modern) {
  return result({{"resources",
                  {{{"uri", "orch://status"},
                    {"name", "status"},
                    {"description", "sessions, locks and merge queue now"},
                    {"mimeType", "application/json"}},
                   {{"uri", "orch://locks"},
                    {"name", "locks"},
                    {"description", "the leases on paths now"},
                    {"mimeType", "application/json"}},
                   {{"uri", "orch://merge-queue"},
                    {"name", "merge queue"},
                    {"description", "the merges into main, newest first"},
                    {"mimeType", "application/json"}},
                   {{"uri", "orch://mirror"},
                    {"name", "mirror"},
                    {"description", "the whole state as Markdown"},
                    {"mimeType", "text/markdown"}}}}},
                modern, true);
}

mcp_reply list_templates(bool modern) {
  return result(
    {{"resourceTemplates",
      {{{"uriTemplate", "orch://tasks/{id}"}, {"name", "task"}, {"mimeType", "application/json"}},
       {{"uriTemplate", "orch://sessions/{id}"},
        {"name", "session"},
        {"mimeType", "application/json"}},
       {{"uriTemplate", "orch://threads/{id}"},
        {"name", "thread"},
        {"description", "an agent as it was last seen"},
        {"mimeType", "application/json"}}}}},
    modern, true);
}

/// The resource of that URI, if it has the form of one.
std::optional<resource_read> find_resource(const std::string& uri) {
  auto id_behind = [&](std::string_view prefix) -> std::optional<int64_t> {
    auto digits = uri.substr(std::min(prefix.size(), uri.size()));
    if (!uri.starts_with(prefix) || digits.empty() || digits.size() > 18
        || digits.find_first_not_of("0123456789") != std::string::npos)
      return {};
    return std::stoll(digits);
  };
  json page{{"limit", page_over_mcp}};
  if (uri == "orch://status")
    return resource_read{uri,
                         {{"workspace", {"workspace.init"}},
                          {"sessions", {"session.list", page}},
                          {"locks", {"lock.list", page}},
                          {"merge_queue", {"merge.main.list", page}},
                          {"mirror", {"mirror.status"}}}};
  if (uri == "orch://mirror")
    return resource_read{uri, {}, true};
  if (uri == "orch://locks")
    return resource_read{uri, {{"", {"lock.list"}}}};
  if (uri == "orch://merge-queue")
    return resource_read{uri, {{"", {"merge.main.list"}}}};
  if (auto id = id_behind("orch://tasks/"))
    return resource_read{uri, {{"", {"task.get", {{"task_id", *id}}}}}};
  if (auto id = id_behind("orch://sessions/"))
    return resource_read{uri, {{"", {"session.context", {{"session_id", *id}}}}}};
  if (auto id = id_behind("orch://threads/"))
    return resource_read{uri, {}, false, id};
  return {};
}

mcp_reply no_resource(const std::string& uri, bool modern) {
  return protocol_error{
    modern ? -32602 : -32002, fmt::format("resource {} not found", uri), {{"uri", uri}}};
}

mcp_reply read_resource(const envelope& message) {
  auto uri = text_member(message.params, "uri");
  auto found = find_resource(uri);
  if (!found)
    return no_resource(uri, is_modern(message));
  return std::move(*found);
}

mcp_reply subscribe(const envelope& message, bool wanted) {
  auto uri = text_member(message.params, "uri");
  if (!find_resource(uri))
    return no_resource(uri, false);
  return resource_subscription{uri, wanted};
}

mcp_reply list_prompts(bool modern) {
  auto prompts = json::array();
  for (const auto& guide : guides())
    prompts.push_back({{"name", guide.name}, {"description", guide.description}});
  return result({{"prompts", prompts}}, modern, true);
}

mcp_reply get_prompt(const envelope& message) {
  auto name = text_member(message.params, "name");
  for (const auto& guide : guides())
    if (guide.name == name)
      return result(
        {{"description", guide.description},
         {"messages", {{{"role", "user"}, {"content", {{"type", "text"}, {"text", guide.text}}}}}}},
        is_modern(message), false);
  return bad_params(fmt::format("unknown prompt {}", name));
}

} // namespace

mcp_reply mcp_session::handle(const envelope& message) {
  auto modern = is_modern(message);
  if (modern) {
    auto wanted = text_member(*meta_of(message), version_key);
    if (wanted != modern_version)
      return protocol_error{-32022,
                            "unsupported protocol version",
                            {{"supported", {modern_version}}, {"requested", wanted}}};
  }
  started_ = true;
  const auto& method = message.method;
  if (method == "initialize")
    return initialize(message);
  if (method == "ping")
    return direct_result{"{}"};
  if (method == "server/discover")
    return discover();
  if (method == "notifications/cancelled") {
    auto id = message.params.find("requestId");
    if (id == message.params.end())
      return no_answer{};
    return cancelled_request{id->dump()};
  }
  if (message.is_notification())
    return no_answer{};
  auto cursor = message.params.find("cursor");
  if (method.ends_with("/list") && cursor != message.params.end() && !cursor->is_null())
    return bad_params("unknown cursor");
  if (method == "tools/list")
    return result({{"tools", list_tools()}}, modern, true);
  if (method == "tools/call")
    return call_tool(message);
  if (method == "resources/list")
    return list_resources(modern);
  if (method == "resources/templates/list")
    return list_templates(modern);
  if (method == "resources/read")
    return read_resource(message);
  if (!modern && (method == "resources/subscribe" || method == "resources/unsubscribe"))
    return subscribe(message, method == "resources/subscribe");
  if (method == "prompts/list")
    return list_prompts(modern);
  if (method == "prompts/get")
    return get_prompt(message);
  return protocol_error{-32601, fmt::format("unknown method {}", method)};
}

std::optional<std::string> mcp_session::client_hint(const envelope& message) const {
  json hint;
  if (!client_name_.empty())
    hint["client"] = client_name_;
  if (auto meta = meta_of(message))
    for (const auto* key : {"threadId", "sessionId"})
      if (auto value = text_member(*meta, key); !value.empty() && value.size() <= 200)
        hint[key] = value;
  if (hint.is_null())
    return {};
  return hint.dump();
}

mcp_reply mcp_session::initialize(const envelope& message) {
  auto wanted = text_member(message.params, "protocolVersion");
  auto known =
    std::find(legacy_versions.begin(), legacy_versions.end(), wanted) != legacy_versions.end();
  if (auto info = message.params.find("clientInfo");
      info != message.params.end() && info->is_object())
    client_name_ = text_member(*info, "name").substr(0, 200);
  return result({{"protocolVersion", known ? wanted : std::string{legacy_versions.front()}},
                 {"capabilities", capabilities(false)},
                 {"serverInfo", server_info()},
                 {"instructions", instructions}},
                false, false);
}

mcp_reply mcp_session::discover() const {
  // A dual-era client probes with this line first; whatever version it names, it gets the list.
  json found{{"supportedVersions", {modern_version}},
             {"capabilities", capabilities(true)},
             {"instructions", instructions},
             {"_meta", {{"io.modelcontextprotocol/serverInfo", server_info()}}}};
  found["serverInfo"] = server_info();
  return result(std::move(found), true, true);
}

json mcp_session::list_tools() const {
  auto tools = json::array();
  if (profile_ == "groups") {
    for (const auto& group : tool_groups())
      if (auto methods = methods_in(group); !methods.empty())
        tools.push_back(group_tool(group, methods));
    return tools;
  }
  auto profile = find_profile(profile_);
  for (const auto& m : catalog()) {
    const auto& shown = profile->methods;
    if (shown.empty() || std::find(shown.begin(), shown.end(), m.about->name) != shown.end())
      tools.push_back(tool_of(m));
  }
  return tools;
}

mcp_reply mcp_session::call_tool(const envelope& message) const {
  auto name = text_member(message.params, "name");
  if (name.empty())
    return bad_params("tools/call needs the name of a tool");
  auto arguments = message.params.value("arguments", json::object());
  if (arguments.is_null())
    arguments = json::object();
  if (!arguments.is_object())
    return bad_params("arguments must be an object");
  if (name == "orchestrator.call" || name == "orchestrator_call" || is_group(name)) {
    name = text_member(arguments, "method");
    auto inner = arguments.value("params", json::object());
    arguments = inner.is_object() ? inner : json::object();
  }
  auto found = method_of_tool(name);
  if (!found)
    return bad_params(fmt::format("unknown tool {}", name));
  shorten_page(*found, arguments);
  return tool_call{std::string{found->about->name}, std::move(arguments)};
}

bool is_modern(const envelope& message) {
  auto meta = meta_of(message);
  return meta && meta->contains(version_key);
}

std::string tool_result(std::string_view answer_json, bool modern) {
  std::string text;
  encode_text(text, answer_json);
  return fmt::format(R"({{"content":[{{"type":"text","text":{}}}],"structuredContent":{}{}}})",
                     text, answer_json, modern ? R"(,"resultType":"complete")" : "");
}

std::string tool_error(const request_error& error, bool modern) {
  std::string text;
  encode_text(text, fmt::format("{}: {}", error_word(error.code), error.what()));
  return fmt::format(
    R"({{"content":[{{"type":"text","text":{}}}],"structuredContent":{{"error":{}}},"isError":true{}}})",
    text, error_object(error), modern ? R"(,"resultType":"complete")" : "");
}

std::string resource_result(const std::string& uri, std::string_view mime_type,
                            std::string_view text, bool modern) {
  json read{{"contents", {{{"uri", uri}, {"mimeType", mime_type}, {"text", text}}}}};
  if (modern) {
    read["resultType"] = "complete";
    read["ttlMs"] = 0;
    read["cacheScope"] = "private";
  }
  return read.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string resource_updated_line(const std::string& uri) {
  return json{
    {"jsonrpc", "2.0"}, {"method", "notifications/resources/updated"}, {"params", {{"uri", uri}}}}
    .dump();
}

std::string protocol_error_line(const envelope& to, const protocol_error& error) {
  json body{{"code", error.number}, {"message", error.message}};
  if (!error.data.is_null())
    body["data"] = error.data;
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{}}})", to.id,
                     body.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string progress_token(const envelope& message) {
  auto meta = meta_of(message);
  auto found = meta ? meta->find("progressToken") : json::const_iterator{};
  if (!meta || found == meta->end() || !(found->is_string() || found->is_number_integer()))
    return {};
  return found->dump();
}

std::string tool_name(std::string_view method) {
  std::string name{method};
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

const method_info* method_asked(const envelope& message, const json*& params) {
  params = &message.params;
  if (message.method != "tools/call")
    return find_method(message.method);
  auto name = message.params.find("name");
  if (name == message.params.end() || !name->is_string())
    return nullptr;
  static const json none = json::object();
  auto arguments = message.params.find("arguments");
  params = arguments != message.params.end() && arguments->is_object() ? &*arguments : &none;
  return method_of_tool(name->get_ref<const std::string&>());
}

} // namespace orch
