#include "io/provider.hpp"
#include "io/shell_words.hpp"
#include "messages/timestamp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace orch {

namespace {

using nlohmann::json;

json hook_settings(const agent_launch& launch) {
  auto command = shell_line({launch.program.string(), "hook", "--client", "claude"});
  json entry{{"hooks", {{{"type", "command"}, {"command", command}, {"timeout", 20}}}}};
  json hooks;
  for (const char* event :
       {"SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse",
        "Notification", "Stop", "StopFailure", "PreCompact", "SessionEnd"})
    hooks[event] = json::array({entry});
  // A long assignment is a file outside of its work tree.
  auto files = fmt::format("Read(/{}/**)", launch.files.string());
  return {{"hooks", hooks}, {"permissions", {{"allow", {"mcp__orchestrator", files}}}}};
}

json server_settings(const agent_launch& launch) {
  json environment;
  for (const auto& [name, value] : agent_environment(launch))
    environment[name] = value;
  return {{"mcpServers",
           {{"orchestrator",
             {{"command", launch.program.string()},
              {"args",
               {"serve", "--repo", launch.repo_root.string(), "--tools",
                std::string{profile_for_role(launch.role)}}},
              {"env", environment}}}}}};
}

/// The text of a message's content: a string, or blocks of which some are text.
std::string text_of(const json& content) {
  if (content.is_string())
    return content.get<std::string>();
  std::string out;
  if (content.is_array())
    for (const auto& block : content)
      if (block.is_object() && block.value("type", "") == "text")
        out += block.value("text", "");
  return out;
}

bool has_tool_result(const json& content) {
  if (content.is_array())
    for (const auto& block : content)
      if (block.is_object() && block.value("type", "") == "tool_result")
        return true;
  return false;
}

/// Claude Code in its terminal interface. Facts from version 2.1.330.
class claude final : public provider {
public:
  std::string_view name() const override { return "claude_code"; }
  std::string default_command() const override { return "claude"; }
  std::string instructions() const override {
    return "install Claude Code (npm install -g @anthropic-ai/claude-code) and log in once, or "
           "name its program with codex_command";
  }
  bool reports() const override { return true; }
  std::string quit_command() const override { return "/exit"; }

  launch_plan plan(const agent_launch& launch) const override {
    auto settings = launch.files / "claude-settings.json";
    auto servers = launch.files / "claude-mcp.json";
    auto argv = launch.command;
    auto add = [&](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
    if (launch.resumes)
      add({"--resume", *launch.resumes});
    add({"--settings", settings.string(), "--mcp-config", servers.string()});
    // Its own default is a mode that judges by itself.
    if (std::find(argv.begin(), argv.end(), "--permission-mode") == argv.end())
      add({"--permission-mode",
           profile_for_role(launch.role) == "reviewer" ? "default" : "acceptEdits"});
    // Ends lists of tools and the like, which take any number of words.
    add({"--"});
    if (!launch.prompt.empty())
      add({launch.prompt});
    auto environment = agent_environment(launch);
    environment.emplace_back("DISABLE_AUTOUPDATER", "1");
    return {{{settings, hook_settings(launch).dump(2)}, {servers, server_settings(launch).dump(2)}},
            {std::move(argv), launch.directory, std::move(environment)},
            false};
  }

  std::optional<turn_fact> turn_of(const agent_event& event) const override {
    if (event.event != "Notification")
      return provider::turn_of(event);
    if (event.detail == "idle_prompt")
      return turn_fact{agent_turn::idle, event.at_us, "hook Notification, idle_prompt"};
    if (event.detail == "permission_prompt" || event.detail.starts_with("elicitation"))
      return turn_fact{agent_turn::waiting, event.at_us, "hook Notification, " + event.detail};
    return {};
  }

  /// `sessions/PID.json`: the only sign of an interrupt. Not documented by its makers, so it may be
  /// missing; after a kill it stays as it was.
  std::optional<turn_fact> turn_of_process(int64_t pid) const override {
    auto own = std::getenv("CLAUDE_CONFIG_DIR");
    auto home = std::getenv("HOME");
    if (!own && !home)
      return {};
    auto directory = own ? std::filesystem::path{own} : std::filesystem::path{home} / ".claude";
    std::ifstream in{directory / "sessions" / fmt::format("{}.json", pid)};
    auto file = in ? json::parse(in, nullptr, false) : json();
    if (!file.is_object())
      return {};
    auto text = [&](const char* name) {
      auto found = file.find(name);
      return found != file.end() && found->is_string() ? found->get<std::string>() : std::string{};
    };
    auto changed = file.find("statusUpdatedAt");
    if (changed == file.end() || !changed->is_number_integer())
      return {};
    auto at = changed->get<int64_t>() * 1'000; // milliseconds there
    auto status = text("status");
    if (status == "waiting")
      return turn_fact{agent_turn::waiting, at, "its status file: waiting, " + text("waitingFor")};
    if (status == "busy")
      return turn_fact{agent_turn::working, at, "its status file: busy"};
    if (status == "idle")
      return turn_fact{agent_turn::idle, at, "its status file: idle"};
    return {};
  }

  bool escape_returns_prompt() const override { return true; }

  void read_transcript(const json& line, transcript_facts& facts) const override {
    auto type = line.value("type", "");
    if (!line.contains("message") || !line["message"].is_object()
        || line.value("isSidechain", false) || line.value("isMeta", false))
      return;
    const auto& content = line["message"].contains("content") ? line["message"]["content"] : json();
    auto at = parse_timestamp(line.value("timestamp", ""));
    auto fact = [&](agent_turn what, const std::string& words) {
      facts.turn = turn_fact{what, at ? at->us : 0, "transcript: " + words};
    };
    auto text = text_of(content);
    if (type == "user" && !has_tool_result(content)) {
      if (text.starts_with("[Request interrupted by user")) {
        fact(agent_turn::interrupted, "request interrupted");
      } else {
        facts.prompts.push_back(text);
        fact(agent_turn::working, "a prompt");
      }
    } else if (type == "user") {
      fact(agent_turn::working, "the result of a tool");
    } else if (type == "assistant") {
      if (!text.empty())
        facts.last_response = text;
      if (line.value("isApiErrorMessage", false))
        fact(agent_turn::failed, "an error of the model: " + text);
      else if (line["message"].value("stop_reason", json()) == "end_turn")
        fact(agent_turn::idle, "end_turn");
      else
        fact(agent_turn::working, "an answer");
    }
  }
};

} // namespace

const provider& claude_provider() {
  static const claude only;
  return only;
}

} // namespace orch
