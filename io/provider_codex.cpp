#include "io/provider.hpp"
#include "io/shell_words.hpp"
#include "messages/timestamp.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

using nlohmann::json;

/// A TOML basic string; JSON's escapes are all TOML's too.
std::string toml(std::string_view text) {
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string toml(const std::vector<std::string>& texts) {
  return json(texts).dump(-1, ' ', true, json::error_handler_t::replace);
}

/// `{A="1", B="2"}`
std::string toml_table(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out;
  for (const auto& [name, value] : members)
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", name, toml(value));
  return "{" + out + "}";
}

/// Our hooks, each of them the same command: the payload says which it is.
std::string hooks(const agent_launch& launch) {
  auto command = shell_line({launch.program.string(), "hook", "--client", "codex"});
  std::string out;
  for (std::string_view event :
       {"SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse",
        "Stop", "Interrupt", "SessionEnd"})
    out += fmt::format("{}{}=[{{hooks=[{{type=\"command\", command={}, timeout=20}}]}}]",
                       out.empty() ? "" : ", ", event, toml(command));
  return "hooks={" + out + "}";
}

/// The text of an item's content.
std::string text_of(const json& item) {
  std::string out;
  for (const auto& part : item.value("content", json::array()))
    if (part.is_object())
      out += part.value("text", "");
  return out;
}

/// The Codex CLI in its terminal interface. Facts from version 0.169.
class codex final : public provider {
public:
  std::string_view name() const override { return "codex"; }
  std::string default_command() const override { return "codex"; }
  std::string instructions() const override {
    return "install the Codex CLI (npm install -g @openai/codex) and log in once, or name its "
           "program with codex_command";
  }
  bool reports() const override { return true; }
  std::string quit_command() const override { return "/quit"; }

  launch_plan plan(const agent_launch& launch) const override {
    auto argv = launch.command;
    auto add = [&](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
    if (launch.resumes)
      add({"resume", *launch.resumes});
    // A daemon would own hooks and MCP servers of whichever pane came first, and outlive the pane.
    add({"--no-daemon", "--no-alt-screen", "--dangerously-bypass-hook-trust", "-C",
         launch.directory.string()});
    auto profile = std::string{profile_for_role(launch.role)};
    std::vector<std::string> settings{
      "check_for_update_on_startup=false",
      R"(tui.terminal_title=["activity","run-state","thread-id"])",
      hooks(launch),
      fmt::format("projects={{{}={{trust_level=\"trusted\"}}}}", toml(launch.directory.string())),
      "mcp_servers.orchestrator.command=" + toml(launch.program.string()),
      "mcp_servers.orchestrator.args="
        + toml(std::vector<std::string>{"serve", "--repo", launch.repo_root.string(), "--tools",
                                        profile}),
      "mcp_servers.orchestrator.env=" + toml_table(agent_environment(launch)),
      // Codex gives servers only what it is told to: with these ours finds the same panes.
      R"(mcp_servers.orchestrator.env_vars=["CLAUDE_CONFIG_DIR", "CODEX_HOME", "TMUX", "TMUX_PANE", "TMUX_TMPDIR"])",
      "mcp_servers.orchestrator.required=true",
      "mcp_servers.orchestrator.startup_timeout_sec=30.0",
      "mcp_servers.orchestrator.tool_timeout_sec=120.0",
      R"(mcp_servers.orchestrator.default_tools_approval_mode="approve")",
    };
    for (auto& setting : settings)
      add({"-c", std::move(setting)});
    if (!launch.prompt.empty())
      add({"--", launch.prompt});
    return {{}, {std::move(argv), launch.directory, agent_environment(launch)}, false};
  }

  /// The rollout: what hooks don't tell is there, such as errors of the model.
  void read_transcript(const json& line, transcript_facts& facts) const override {
    if (line.value("type", "") != "event_msg" || !line.contains("payload"))
      return;
    const auto& payload = line["payload"];
    auto type = payload.value("type", "");
    auto at = parse_timestamp(line.value("timestamp", ""));
    auto fact = [&](agent_turn what, const std::string& words) {
      facts.turn = turn_fact{what, at ? at->us : 0, "transcript: " + words};
    };
    if (type == "item_completed") {
      auto item = payload.value("item", json::object());
      auto kind = item.value("type", "");
      if (kind == "UserMessage")
        facts.prompts.push_back(text_of(item));
      else if (kind == "AgentMessage")
        facts.last_response = text_of(item);
    } else if (type == "task_started") {
      fact(agent_turn::working, "task_started");
    } else if (type == "turn_aborted") {
      fact(agent_turn::interrupted, "turn_aborted, " + payload.value("reason", ""));
    } else if (type == "task_complete") {
      auto error = payload.find("error");
      if (error != payload.end() && error->is_object()) {
        fact(agent_turn::failed, "task_complete with an error: " + error->value("message", ""));
      } else {
        fact(agent_turn::idle, "task_complete");
        if (auto last = payload.find("last_agent_message");
            last != payload.end() && last->is_string())
          facts.last_response = last->get<std::string>();
      }
    }
  }
};

} // namespace

const provider& codex_provider() {
  static const codex only;
  return only;
}

} // namespace orch
