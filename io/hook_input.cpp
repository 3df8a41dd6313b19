#include "io/hook_input.hpp"

#include "io/json_text.hpp"
#include "io/shell_words.hpp"
#include "messages/text.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace orch {

using nlohmann::json;

namespace fs = std::filesystem;

namespace {

constexpr std::string_view begin_mark = "*** Begin Patch";
constexpr std::string_view end_mark = "*** End Patch";
constexpr std::string_view move_head = "*** Move to: ";
constexpr std::string_view file_heads[]{
  "*** Update File: ", "*** Add File: ", "*** Delete File: ", move_head};

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

/// What Unicode calls white space, which is what Codex takes off the headers of a patch.
constexpr std::string_view blanks[]{
  " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
  "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
  "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

std::string_view trimmed(std::string_view text) {
  auto at_begin = [&] {
    return std::ranges::find_if(blanks, [&](auto blank) { return text.starts_with(blank); });
  };
  auto at_end = [&] {
    return std::ranges::find_if(blanks, [&](auto blank) { return text.ends_with(blank); });
  };
  for (auto blank = at_begin(); blank != std::end(blanks); blank = at_begin())
    text.remove_prefix(blank->size());
  for (auto blank = at_end(); blank != std::end(blanks); blank = at_end())
    text.remove_suffix(blank->size());
  return text;
}

/// Where the `cd` commands in a line of a script lead, relative to where it began.
fs::path directory_after(std::string_view line) {
  fs::path directory;
  while (!line.empty()) {
    auto end = std::min(line.find_first_of("&|;()"), line.size());
    try {
      auto words = shell_words("command", line.substr(0, end));
      if (words.size() > 1 && words[0] == "cd")
        directory /= words.back();
    } catch (const std::exception&) {
      // A quote without its end: no command that we know.
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return directory;
}

/// The number of four hexadecimal digits at `at`; nothing if there are none.
std::optional<unsigned> code_unit(std::string_view text, std::size_t at) {
  unsigned code = 0;
  auto digits = text.substr(std::min(at, text.size()), 4);
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (failed != std::errc{} || digits.size() < 4 || end != digits.data() + 4)
    return {};
  return code;
}

/// JSON in which "\ud800" and its like, which stand for half a character, are "\ufffd": JavaScript
/// writes them, and the parser refuses them.
std::string with_whole_characters(std::string text) {
  auto is_first = [](std::optional<unsigned> code) { return code && (*code & ~0x3ffU) == 0xd800; };
  auto is_second = [](std::optional<unsigned> code) { return code && (*code & ~0x3ffU) == 0xdc00; };
  for (auto at = text.find('\\'); at < text.size(); at = text.find('\\', at + 2)) {
    auto code = text.compare(at, 2, "\\u") == 0 ? code_unit(text, at + 2) : std::nullopt;
    if (is_first(code) && text.compare(at + 6, 2, "\\u") == 0 && is_second(code_unit(text, at + 8)))
      at += 6; // both halves
    else if (is_first(code) || is_second(code))
      text.replace(at + 2, 4, "fffd");
  }
  return text;
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
  auto shallow = [](int depth, json::parse_event_t what, json&) {
    return depth < static_cast<int>(deepest_json)
           || (what != json::parse_event_t::object_start
               && what != json::parse_event_t::array_start);
  };
  auto payload = json::parse(with_whole_characters(text), shallow);
  if (!payload.is_object())
    throw std::runtime_error{"the input is no JSON object"};
  auto named = event.empty() ? text_at(payload, "hook_event_name") : event;
  fs::path cwd = text_at(payload, "cwd");
  return {client, std::move(named), std::move(cwd), std::move(payload)};
}

std::vector<std::string> patched_paths(std::string_view text) {
  std::vector<std::string> paths;
  fs::path directory;
  auto in_patch = false;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    auto trimmed_line = trimmed(line);
    if (auto begin = line.find(begin_mark); begin != std::string_view::npos) {
      in_patch = true;
      line = line.substr(0, begin);
      directory /= directory_after(line);
    } else if (trimmed_line.starts_with(end_mark)) {
      in_patch = false;
    } else if (!in_patch) {
      directory /= directory_after(line);
    }
    for (auto head : file_heads)
      if (auto name = trimmed_line.substr(std::min(head.size(), trimmed_line.size()));
          trimmed_line.starts_with(head) && !name.empty())
        paths.push_back((directory / name).string());
    // Some versions take the rest of this line as it is.
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (line.starts_with(move_head) && trimmed(line) != line)
      paths.push_back((directory / line.substr(move_head.size())).string());
  }
  return paths;
}

std::vector<std::string> edited_paths(const json& payload) {
  auto tool = text_at(payload, "tool_name");
  auto found = payload.find("tool_input");
  if (found == payload.end())
    return {};
  std::vector<std::string> paths;
  if (one_of(tool, {"apply_patch", "Bash", "shell", "exec_command", "local_shell"})) {
    // A patch given to a shell is applied by the command line itself, like one given to the tool.
    std::string text;
    collect_text(*found, text);
    if (text.find(begin_mark) != std::string::npos)
      for (const auto& name : patched_paths(text))
        paths.push_back((fs::path{text_at(*found, "workdir")} / name).string());
    return paths;
  }
  if (!one_of(tool, {"Edit", "Write", "MultiEdit", "NotebookEdit"}))
    return {};
  // Which of them the tool goes by is its secret: all are judged.
  for (auto key : {"file_path", "notebook_path", "path"})
    if (auto path = text_at(*found, key); !path.empty())
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
