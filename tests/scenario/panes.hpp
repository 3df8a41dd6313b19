#pragma once

#include "client.hpp"
#include "state.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace orch::test {

/// A word as a shell takes it.
inline std::string quoted(const std::string& text) {
  std::string result{"'"};
  for (auto c : text)
    result += c == '\'' ? std::string{R"('\'')"} : std::string{c};
  return result + "'";
}

/// For what a server waits for; shorter than we wait for its answer.
constexpr int64_t longest_wait = 50;

/// A sandbox whose agents run in a tmux server of its own. Nothing that was started in it is left
/// when it goes.
class panes : public sandbox {
public:
  panes() {
    static std::atomic<int> count = 0;
    socket = fmt::format("orch-test-{}-{}", ::getpid(), ++count);
    configure(json::object());
  }

  ~panes() {
    try {
      put_away();
    } catch (...) { // NOLINT(bugprone-empty-catch): a failed test already says why
    }
  }

  /// False, with one warning, where the machine lacks what the test needs.
  virtual bool ready() {
    static const bool there = std::system("tmux -V >/dev/null 2>&1") == 0;
    if (!there)
      WARN("skipped: tmux is missing");
    return there;
  }

  /// Writes `.codex-orch/config.json` with these settings of `agents`.
  void configure(const json& more) const {
    json agents{{"tmux_socket", socket}};
    agents.update(more);
    write(root / ".codex-orch" / "config.json", json{{"agents", agents}}.dump());
  }

  /// One more server, with the variables of this sandbox.
  server& serve() {
    words command{"env"};
    command.insert(command.end(), variables.begin(), variables.end());
    for (const auto& word :
         {std::string{ORCH_PROGRAM}, std::string{"serve"}, std::string{"--repo"}, root.string()})
      command.push_back(word);
    servers_.push_back(std::make_unique<server>(command, base / "home", base));
    return *servers_.back();
  }

  /// The server that most tests talk to.
  server& first() {
    if (!first_)
      first_ = &serve();
    return *first_;
  }
  json ask(const std::string& method, const json& params = json::object()) {
    return first().ask(method, params);
  }

  ended tmux(const words& arguments) const {
    words command{"tmux", "-u", "-L", socket};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return program{command, base / "home", base}.finish();
  }
  std::string tmux_says(const words& arguments) const {
    auto result = tmux(arguments);
    INFO("tmux " << arguments.front() << ": " << result.err);
    REQUIRE(result.code == 0);
    return result.out.substr(0, result.out.find_last_not_of('\n') + 1);
  }
  pid_t process_of(const json& thread) const {
    return std::stoi(tmux_says({"display-message", "-p", "-t",
                                thread.at("tmux_pane_id").get<std::string>(), "#{pane_pid}"}));
  }

  json open() { return ask("session.open").at("session_context"); }

  json look(int64_t thread, int lines = 0) {
    return ask("thread.child.status", {{"thread_id", thread}, {"capture_lines", lines}});
  }

  /// Waits until the agent is in one of the states; shows its screen when it never is.
  json reach(int64_t thread, const words& states) {
    json params{
      {"thread_id", thread}, {"target_statuses", states}, {"timeout_seconds", longest_wait}};
    auto answer = first().call("thread.child.wait_status", params);
    if (!answer.contains("result"))
      FAIL(answer["error"].dump() << '\n' << describe(thread));
    return answer["result"];
  }

  /// Tells the agent something that has to get through.
  json tell(int64_t thread, const std::string& words, const json& more = json::object()) {
    json params{{"thread_id", thread}, {"directive", words}, {"wait_seconds", longest_wait}};
    params.update(more);
    auto answer = first().call("thread.child.directive", params);
    if (!answer.contains("result") || answer["result"]["delivered"] != true)
      FAIL(answer.dump() << '\n' << describe(thread));
    return answer["result"];
  }

  std::string describe(int64_t thread) {
    auto state = look(thread, 60);
    auto screen = state.value("screen", "");
    state.erase("screen");
    return state.dump(1) + '\n' + screen;
  }

  std::string socket;
  words variables; ///< NAME=VALUE, for servers and so for their agents

protected:
  /// Ends servers and agents, in this order: nobody is to look after what is about to go.
  void put_away() {
    first_ = nullptr;
    servers_.clear();
    tmux({"kill-server"});
    // What ignored the end of its terminal.
    for (auto pid : started_here())
      ::kill(pid, SIGKILL);
  }

private:
  /// All that runs with the home of this sandbox.
  std::vector<pid_t> started_here() const {
    std::vector<pid_t> found;
    std::error_code gone;
    auto home = "HOME=" + (base / "home").string();
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", gone}) {
      auto name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos)
        continue;
      auto pid = std::stoi(name);
      if (pid != ::getpid() && read(entry.path() / "environ").find(home) != std::string::npos)
        found.push_back(pid);
    }
    return found;
  }

  std::vector<std::unique_ptr<server>> servers_;
  server* first_ = nullptr;
};

} // namespace orch::test
