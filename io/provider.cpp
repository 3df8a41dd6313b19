#include "io/provider.hpp"

#include "messages/error.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// What the hooks of all CLIs have in common.
std::optional<agent_turn> common_turn(std::string_view event) {
  if (event == "SessionStart")
    return agent_turn::idle;
  if (event == "UserPromptSubmit" || event == "PreToolUse" || event == "PostToolUse"
      || event == "PreCompact" || event == "PostCompact")
    return agent_turn::working;
  if (event == "PermissionRequest")
    return agent_turn::waiting;
  if (event == "Stop")
    return agent_turn::idle;
  if (event == "StopFailure")
    return agent_turn::failed;
  if (event == "Interrupt")
    return agent_turn::interrupted;
  if (event == "SessionEnd")
    return agent_turn::ended;
  return {};
}

} // namespace

std::optional<turn_fact> provider::turn_of(const agent_event& event) const {
  auto turn = common_turn(event.event);
  // After a compaction the turn goes on.
  if (!turn || (event.event == "SessionStart" && event.detail == "compact"))
    return {};
  return turn_fact{*turn, event.at_us,
                   fmt::format("hook {}{}", event.event,
                               event.tool.empty() ? std::string{} : " of " + event.tool)};
}

void provider::read_transcript(const nlohmann::json&, transcript_facts&) const {
}

const provider& find_provider(std::string_view name) {
  for (const auto* known : {&codex_provider(), &claude_provider(), &command_provider()})
    if (known->name() == name)
      return *known;
  throw bad_param("provider", fmt::format("unknown provider {}", name));
}

std::string_view profile_for_role(std::string_view role) {
  if (role.find("review") != std::string_view::npos)
    return "reviewer";
  if (role.find("plan") != std::string_view::npos)
    return "planner";
  if (role.find("mirror") != std::string_view::npos)
    return "mirror";
  if (role.find("root") != std::string_view::npos)
    return "root";
  return "worker";
}

std::filesystem::path event_log_of(const agent_launch& launch) {
  return launch.files / "events.jsonl";
}

std::vector<std::pair<std::string, std::string>> agent_environment(const agent_launch& launch) {
  std::vector<std::pair<std::string, std::string>> variables{
    {"ORCH_THREAD", std::to_string(launch.thread_id)},
    {"ORCH_SESSION", std::to_string(launch.session_id)},
    {"ORCH_INCARNATION", std::to_string(launch.incarnation)},
    {"ORCH_REPO", launch.repo_root.string()},
    {"ORCH_EVENT_LOG", event_log_of(launch).string()}};
  if (!launch.assignment.empty())
    variables.emplace_back("ORCH_ASSIGNMENT", launch.assignment.string());
  return variables;
}

} // namespace orch
