#include "io/hook_input.hpp"

#include "messages/text.hpp"

#include <algorithm>
#include <stdexcept>

namespace orch {

using nlohmann::json;

namespace {

constexpr std::size_t longest_message = 64 << 10;

/// Keys that are copied into the event log as they are.
constexpr std::string_view copied[]{"session_id", "turn_id",     "transcript_path",  "cwd",
                                    "source",     "reason",      "permission_mode",  "model",
                                    "agent_id",   "tool_use_id", "notification_type"};

std::string text_at(const json& object, std::string_view key) {
  auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// All texts in a value, one after the other.
void collect_text(const json& value, std::string& into) {
  if (value.is_string())
    into += value.get_ref<const std::string&>() + "\n";
  else if (value.is_structured())
    for (const auto& item : value)
      collect_text(item, into);
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

json id_of(const std::optional<std::string>& text) {
  if (!text)
    return nullptr;
  auto number = !text->empty() && text->size() <= 18
                && text->find_first_not_of("0123456789") == std::string::npos;
  return number ? json(std::stoll(*text)) : json(*text);
}

/// What was said: by the agent at the end of a turn, by the user at its beginning.
std::string message_of(const json& payload) {
  for (auto key : {"last_assistant_message", "prompt", "message"})
    if (auto text = text_at(payload, key); !text.empty())
      return text;
  return {};
}

} // namespace

hook_input read_hook_input(const std::string& client, const std::string& event,
                           const std::string& text) {
  auto payload = json::parse(text);
  if (!payload.is_object())
    throw std::runtime_error{"the input is no JSON object"};
  auto named = event.empty() ? text_at(payload, "hook_event_name") : event;
  std::filesystem::path cwd = text_at(payload, "cwd");
  return {client, std::move(named), std::move(cwd), std::move(payload)};
}

std::vector<std::string> patched_paths(std::string_view patch) {
  std::vector<std::string> paths;
  for (std::size_t at = 0; at < patch.size();) {
    auto end = std::min(patch.find('\n', at), patch.size());
    auto line = patch.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    for (std::string_view head :
         {"*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "})
      if (line.starts_with(head) && line.size() > head.size())
        paths.emplace_back(line.substr(head.size()));
  }
  return paths;
}

std::vector<std::string> edited_paths(const json& payload) {
  auto tool = text_at(payload, "tool_name");
  auto found = payload.find("tool_input");
  if (found == payload.end())
    return {};
  if (one_of(tool, {"apply_patch", "Bash", "shell", "exec_command", "local_shell"})) {
    // A patch given to a shell is applied by the command line itself, like one given to the tool.
    std::string text;
    collect_text(*found, text);
    return text.find("*** Begin Patch") == std::string::npos ? std::vector<std::string>{}
                                                             : patched_paths(text);
  }
  if (!one_of(tool, {"Edit", "Write", "MultiEdit", "NotebookEdit"}))
    return {};
  std::vector<std::string> paths;
  for (auto key : {"file_path", "notebook_path", "path"})
    if (auto path = text_at(*found, key); !path.empty() && paths.empty())
      paths.push_back(path);
  return paths;
}

std::string event_line(const hook_input& input, const hook_origin& origin, int64_t at_us) {
  nlohmann::ordered_json line{{"at", at_us},
                              {"thread", id_of(origin.thread)},
                              {"incarnation", id_of(origin.incarnation)},
                              {"client", input.client},
                              {"event", input.event}};
  for (auto key : copied)
    if (auto text = text_at(input.payload, key); !text.empty())
      line[std::string{key}] = beginning_of(text, longest_message);
  if (auto tool = text_at(input.payload, "tool_name"); !tool.empty())
    line["tool"] = tool;
  if (auto message = message_of(input.payload); !message.empty())
    line["message"] = beginning_of(message, longest_message);
  // Why, by whatever name the event has for it.
  for (auto key : {"notification_type", "error", "reason", "source"})
    if (auto detail = text_at(input.payload, key); !detail.empty()) {
      line["detail"] = beginning_of(detail, longest_message);
      break;
    }
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace orch
