#include "io/guides.hpp"
#include "io/install_parts.hpp"
#include "io/marked_block.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view program_name = "codex-orchestrator";

/// The line by which a guide that we wrote is known.
constexpr std::string_view guide_mark =
  "<!-- Written by \"codex-orchestrator install\", which also replaces it. -->\n";

/// Codex cuts hooks at the end of a session or turn off after this time, and says so at each start.
constexpr int64_t shortly = 3;

/// Events that are only written down.
constexpr int64_t briefly = 10;

/// Edits may wait for their turn (ORCH_HOOK_WAIT_SECONDS).
constexpr int64_t patiently = 60;

/// Splits a command as a shell does, as far as our own quoting goes.
std::vector<std::string> shell_words(std::string_view command) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  auto quote = '\0';
  for (std::size_t i = 0; i < command.size(); ++i) {
    auto c = command[i];
    auto escaped = c == '\\' && quote != '\'' && i + 1 < command.size();
    if (!quote && !escaped && (c == ' ' || c == '\t')) {
      if (word)
        words.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word)
      word.emplace();
    if (escaped)
      *word += command[++i];
    else if (c == quote)
      quote = '\0';
    else if (!quote && (c == '"' || c == '\''))
      quote = c;
    else
      *word += c;
  }
  if (word)
    words.push_back(*word);
  return words;
}

std::string shell_quoted(const std::string& text) {
  std::string quoted = "\"";
  for (auto c : text) {
    if (c == '"' || c == '\\' || c == '$' || c == '`')
      quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

ordered_json group_for(const hook_event& event, const std::string& command) {
  ordered_json group;
  if (!event.matcher.empty())
    group["matcher"] = event.matcher;
  ordered_json handler;
  handler["type"] = "command";
  handler["command"] = command;
  handler["timeout"] = event.timeout_seconds;
  group["hooks"] = ordered_json::array({handler});
  return group;
}

bool is_own(const ordered_json& handler) {
  return handler.is_object() && handler.contains("command") && handler["command"].is_string()
         && own_hook_program(handler["command"].get<std::string>());
}

const ordered_json& handlers_of(const ordered_json& group) {
  static const ordered_json none = ordered_json::array();
  auto usable = group.is_object() && group.contains("hooks") && group["hooks"].is_array();
  return usable ? group["hooks"] : none;
}

/// Where our handlers of an event are, and the first group that holds nothing else.
struct own_handlers {
  std::vector<std::pair<std::size_t, std::size_t>> at; ///< group, handler
  std::optional<std::size_t> group;
};

own_handlers find_own(const ordered_json& groups) {
  own_handlers found;
  for (std::size_t g = 0; groups.is_array() && g < groups.size(); ++g) {
    const auto& handlers = handlers_of(groups[g]);
    std::size_t own = 0;
    for (std::size_t h = 0; h < handlers.size(); ++h)
      if (is_own(handlers[h])) {
        found.at.emplace_back(g, h);
        ++own;
      }
    if (own > 0 && own == handlers.size() && !found.group)
      found.group = g;
  }
  return found;
}

void erase_own(json_text& settings, const std::string& event, const own_handlers& found,
               std::optional<std::size_t> but) {
  for (auto at = found.at.rbegin(); at != found.at.rend(); ++at) {
    if (at->first == but)
      continue;
    auto group = std::to_string(at->first);
    auto alone = handlers_of(settings.at({"hooks", event, group})).size() == 1;
    // A group without handlers would be left over, with its matcher.
    settings.erase(alone ? json_path{"hooks", event, group}
                         : json_path{"hooks", event, group, "hooks", std::to_string(at->second)});
  }
}

void edit_event(json_text& settings, const std::string& event,
                const std::optional<ordered_json>& wanted) {
  auto found = find_own(settings.at({"hooks", event}));
  if (!wanted) {
    erase_own(settings, event, found, {});
    return;
  }
  // Codex knows a hook that it was told to trust by its place, so it must not move.
  if (found.group)
    settings.set({"hooks", event, std::to_string(*found.group)}, *wanted);
  erase_own(settings, event, found, found.group);
  if (!found.group)
    settings.append({"hooks", event}, *wanted);
}

std::string edit_guide(const guide& of, const std::string& text, install_action action) {
  auto ours = text.find(guide_mark) != std::string::npos;
  if (!text.empty() && !ours) {
    if (action == install_action::remove)
      return text;
    throw std::runtime_error{"is there already and not ours; move it away"};
  }
  if (action == install_action::remove)
    return {};
  auto front = of.file.substr(0, of.file.size() - of.text.size());
  return fmt::format("{}\n{}\n{}", front, guide_mark, of.text);
}

} // namespace

const std::vector<hook_event>& hook_events(agent_client client) {
  // A patch that Codex is given through its shell tool is applied by Codex itself.
  static const std::vector<hook_event> codex{
    {"SessionStart", "", briefly},
    {"UserPromptSubmit", "", briefly},
    {"PreToolUse", "apply_patch|Edit|Write|Bash", patiently},
    {"PermissionRequest", "", briefly},
    {"PostToolUse", "", briefly},
    {"Stop", "", briefly},
    {"Interrupt", "", shortly},
    {"SessionEnd", "", shortly},
  };
  static const std::vector<hook_event> claude{
    {"SessionStart", "", briefly},
    {"UserPromptSubmit", "", briefly},
    {"PreToolUse", "Edit|Write|MultiEdit|NotebookEdit", patiently},
    {"PermissionRequest", "", briefly},
    {"PostToolUse", "", briefly},
    {"Notification", "", briefly},
    {"Stop", "", briefly},
    {"StopFailure", "", briefly},
    {"SessionEnd", "", shortly},
  };
  return client == agent_client::codex ? codex : claude;
}

std::string hook_command(const install_request& request) {
  return fmt::format("{} hook --client {}", shell_quoted(request.program.string()),
                     word_for(request.client));
}

std::optional<fs::path> own_hook_program(std::string_view command) {
  auto words = shell_words(command);
  if (words.size() < 2 || words[1] != "hook" || fs::path{words[0]}.filename() != program_name)
    return {};
  return words[0];
}

std::vector<json_path> hook_containers(agent_client client) {
  std::vector<json_path> paths{{"hooks"}};
  for (const auto& event : hook_events(client))
    paths.push_back({"hooks", std::string{event.name}});
  return paths;
}

void edit_hooks(json_text& settings, const install_request& request, install_action action) {
  std::vector<std::string> names;
  auto hooks = settings.at({"hooks"});
  if (!hooks.is_object() && action == install_action::remove)
    return;
  for (std::size_t i = 0; hooks.is_object() && i < hooks.size(); ++i)
    if (auto entry = std::next(hooks.begin(), static_cast<std::ptrdiff_t>(i));
        !find_own(entry.value()).at.empty())
      names.push_back(entry.key());
  const auto& events = hook_events(request.client);
  for (const auto& name : names)
    if (action == install_action::remove
        || std::ranges::find(events, name, &hook_event::name) == events.end())
      edit_event(settings, name, std::nullopt);
  if (action == install_action::add)
    for (const auto& event : events)
      edit_event(settings, std::string{event.name}, group_for(event, hook_command(request)));
}

std::vector<ordered_json> own_handlers_in(const ordered_json& groups) {
  std::vector<ordered_json> all;
  for (auto [group, handler] : find_own(groups).at)
    all.push_back(handlers_of(groups[group])[handler]);
  return all;
}

std::optional<fs::path> program_in_hooks(const std::string& text) {
  for (const auto& groups : json_text{text}.at({"hooks"}))
    for (const auto& handler : own_handlers_in(groups))
      return own_hook_program(handler["command"].get<std::string>());
  return {};
}

std::vector<install_part> guide_parts(const fs::path& skills, const fs::path& keep) {
  std::vector<install_part> parts;
  for (const auto& of : guides())
    parts.push_back({fmt::format("guide {}", of.name), skills / of.skill / "SKILL.md", keep, 0644,
                     [&of](const std::string& text, install_action action, const found_before*) {
                       return edit_guide(of, text, action);
                     }});
  return parts;
}

} // namespace orch
