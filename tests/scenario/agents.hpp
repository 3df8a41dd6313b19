#pragma once

#include "panes.hpp"

namespace orch::test {

/// The programs of the real agent CLIs, or why they cannot be had.
struct agent_programs {
  std::string codex;
  std::string claude;
  std::string missing;
};

inline const agent_programs& installed_agents() {
  static const agent_programs found = [] {
    auto command = quoted(ORCH_SOURCE_DIR "/tests/agents/install.sh") + " 2>&1";
    auto said = ::popen(command.c_str(), "re");
    REQUIRE(said != nullptr);
    std::string text(1 << 16, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), said));
    auto status = ::pclose(said);
    agent_programs made;
    auto lines = lines_of(text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
      made.missing = lines.empty() ? "skipped" : lines.back();
      return made;
    }
    INFO(text);
    REQUIRE(status == 0);
    for (const auto& line : lines) {
      if (line.starts_with("codex="))
        made.codex = line.substr(6);
      if (line.starts_with("claude="))
        made.claude = line.substr(7);
    }
    REQUIRE_FALSE(made.codex.empty());
    REQUIRE_FALSE(made.claude.empty());
    return made;
  }();
  return found;
}

/// Real agent CLIs with a home of their own, and a model that says what the test wants.
class agents : public panes {
public:
  explicit agents(std::string of) : provider{std::move(of)} {}

  /// Starts the model. A test goes on only if there are agents.
  bool ready() override {
    if (!panes::ready())
      return false;
    if (!installed_agents().missing.empty()) {
      WARN(installed_agents().missing);
      return false;
    }
    auto home = base / "home";
    follow_script({});
    model_ = std::make_unique<program>(words{"node", ORCH_SOURCE_DIR "/tests/agents/mock-model.mjs",
                                             "--script", (base / "rules.json").string(), "--log",
                                             (base / "requests.jsonl").string()},
                                       home, base);
    auto line = model_->next_line();
    REQUIRE(line.starts_with("port="));
    auto address = "http://127.0.0.1:" + line.substr(5);
    configure({{"codex_command", quoted(installed_agents().codex)},
               {"claude_command", quoted(installed_agents().claude)}});
    write(home / "config.toml", fmt::format(R"(model = "mock-model"
model_provider = "mock"
model_catalog_json = "{}/tests/agents/codex-models.json"
check_for_update_on_startup = false
analytics.enabled = false
[model_providers.mock]
name = "mock"
base_url = "{}/v1"
wire_api = "responses"
env_key = "MOCK_API_KEY"
request_max_retries = 0
stream_max_retries = 0
)",
                                            ORCH_SOURCE_DIR, address));
    variables = {"CODEX_HOME=" + home.string(),
                 "CLAUDE_CONFIG_DIR=" + home.string(),
                 "MOCK_API_KEY=k",
                 "ANTHROPIC_BASE_URL=" + address,
                 "ANTHROPIC_AUTH_TOKEN=t",
                 "CLAUDE_CODE_MAX_RETRIES=1",
                 "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
                 "DISABLE_AUTOUPDATER=1",
                 "SHELL=/bin/sh"};
    return true;
  }

  /// What the model says; to whatever else it is told it says "Heard.".
  void follow_script(std::vector<json> rules) const {
    rules.push_back(rule(".", {{{"text", "Heard."}}}));
    write(base / "rules.new", json{{"rules", rules}}.dump());
    std::filesystem::rename(base / "rules.new", base / "rules.json");
  }

  static json rule(const std::string& user, const json& turns) {
    return {{"when", {{"user", user}}}, {"turns", turns}};
  }
  static json tool_call(const std::string& name, const json& arguments) {
    return {{"call", {{"name", name}, {"arguments", arguments}}}};
  }
  static json orchestrator_call(const std::string& name, const json& arguments) {
    return tool_call("mcp__orchestrator__" + name, arguments);
  }

  /// What the model was asked, without what the CLIs ask for themselves.
  std::vector<json> requests() const {
    std::vector<json> found;
    for (const auto& line : lines_of(read(base / "requests.jsonl"))) {
      auto request = json::parse(line, nullptr, false);
      if (request.is_object() && !request.value("side", true))
        found.push_back(request);
    }
    return found;
  }
  json last_request_with(const std::string& words) const {
    auto all = requests();
    for (auto request = all.rbegin(); request != all.rend(); ++request)
      if (request->value("user", "").find(words) != std::string::npos)
        return *request;
    FAIL("the model never heard " << words);
    return {};
  }
  bool was_asked(const std::string& words) const {
    for (const auto& request : requests())
      if (request.value("user", "").find(words) != std::string::npos)
        return true;
    return false;
  }

  /// A session whose worktree the CLIs trust.
  json open() {
    auto context = panes::open();
    trusted_[context["session_root_worktree"]["path"]] = {{"hasTrustDialogAccepted", true}};
    write(base / "home" / ".claude.json",
          json{{"hasCompletedOnboarding", true}, {"projects", trusted_}}.dump());
    return context;
  }

  json spawn(const json& session, const std::string& prompt, const json& more = json::object()) {
    json params{
      {"session_id", session["session"]["id"]}, {"provider", provider}, {"initial_prompt", prompt}};
    params.update(more);
    return ask("thread.child.spawn", params).at("thread");
  }

  /// A child that has done its first turn; the id of its thread.
  int64_t idle_child(const json& more = json::object()) {
    auto thread = spawn(open(), "Say hello.", more);
    reach(thread["id"], {"idle"});
    return thread["id"];
  }

  bool is_codex() const { return provider == "codex"; }

  const std::string provider;

private:
  std::unique_ptr<program> model_;
  json trusted_ = json::object();
};

struct codex_agents : agents {
  codex_agents() : agents{"codex"} {}
};

struct claude_agents : agents {
  claude_agents() : agents{"claude_code"} {}
};

} // namespace orch::test
