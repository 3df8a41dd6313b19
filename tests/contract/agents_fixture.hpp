#pragma once

// Contract tests with agents: small real programs in the panes of a tmux server of the test's own.

#include "client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <sstream>

namespace orch::test {

/// Where a program is in our PATH; empty if it is nowhere.
inline path program_in_path(const std::string& name) {
  auto search = std::getenv("PATH");
  std::istringstream directories{search ? search : "/usr/bin:/bin"};
  for (std::string directory; std::getline(directories, directory, ':');)
    if (::access((path{directory} / name).c_str(), X_OK) == 0)
      return path{directory} / name;
  return {};
}

/// True, with one line of explanation, where agents cannot run.
inline bool tmux_is_missing() {
  auto missing = program_in_path("tmux").empty();
  if (missing)
    WARN("skipped: tmux is missing");
  return missing;
}

/// A word of a shell's line.
inline std::string in_quotes(const std::string& text) {
  std::string result{"'"};
  for (auto c : text)
    result += c == '\'' ? std::string{R"('\'')"} : std::string{c};
  return result + '\'';
}

inline words text_lines(const std::string& text) {
  words lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

inline bool has_ended(pid_t process) {
  auto status = read(fmt::format("/proc/{}/stat", process));
  return status.empty() || status.find(") Z ") != std::string::npos;
}

/// A text of all that a shell, tmux or a terminal might take for something else, and what of it may
/// reach a program.
const std::string nasty_text{
  "it's \"quoted\"; $(touch HACKED) `touch HACKED` $HOME \\ #{pane_id} %0 ~ *;\n"
  "second\tline \x01\x03\x04\x1b[31mé\x7f\x1b[201~ -t x\n"
  "; kill-server ;"};
const std::string nasty_text_typed{
  "it's \"quoted\"; $(touch HACKED) `touch HACKED` $HOME \\ #{pane_id} %0 ~ *;\n"
  "second\tline [31mé[201~ -t x\n"
  "; kill-server ;"};

/// A sandbox whose agents run in a tmux server of its own, with a server of ours and a session.
/// Ends all of them, and what runs in the panes.
struct command_agents : sandbox {
  command_agents() = default;
  ~command_agents() {
    more_.clear();
    own_.reset();
    std::vector<pid_t> left;
    for (const auto& line : text_lines(tmux({"list-panes", "-a", "-F", "#{pane_pid}\n#{pid}"})))
      if (auto process = std::atoi(line.c_str()); process > 1)
        left.push_back(process);
    tmux({"kill-server"});
    for (int i = 0; !std::all_of(left.begin(), left.end(), has_ended) && i < 500; ++i) {
      if (i == 100)
        for (auto process : left)
          ::kill(process, SIGKILL);
      ::poll(nullptr, 0, 10);
    }
  }

  json call(const std::string& method, const json& params) { return first.call(method, params); }
  json ask(const std::string& method, const json& params = json::object()) {
    return first.ask(method, params);
  }
  json error_of(const std::string& method, const json& params = json::object()) {
    return first.error_of(method, params);
  }
  std::string code_of(const std::string& method, const json& params = json::object()) {
    return first.code_of(method, params);
  }

  /// Another server, with these variables in its environment ("NAME=value").
  server& start_with(const words& variables) {
    words command{"env"};
    command.insert(command.end(), variables.begin(), variables.end());
    command.insert(command.end(), {ORCH_PROGRAM, "serve", "--repo", root.string()});
    return *more_.emplace_back(std::make_unique<server>(command, base / "home", base));
  }
  /// The server that an agent has started for itself.
  server& start_as(const json& thread_id) {
    return start_with({fmt::format("ORCH_THREAD={}", thread_id.get<int64_t>())});
  }
  server& start_another() { return start_with({}); }

  /// A PATH of a few programs; tmux is none of them.
  path bare_path() const {
    auto bin = base / "bin";
    std::filesystem::create_directories(bin);
    for (const char* name : {"git", "sh", "cat", "env"})
      if (!std::filesystem::exists(bin / name))
        std::filesystem::create_symlink(program_in_path(name), bin / name);
    return bin;
  }
  server& start_without_tmux() { return start_with({"PATH=" + bare_path().string()}); }

  void kill_first(int signal) { own_->kill(signal); }

  /// Makes a program of a shell script and returns its path.
  path script(const std::string& name, const std::string& text) const {
    write(base / name, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(base / name, std::filesystem::perms::owner_all);
    return base / name;
  }

  /// Runs tmux as a user would.
  std::string tmux(const words& arguments) const {
    words command{"tmux", "-u", "-L", socket, "-f", "/dev/null"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return program{command, base / "home", base}.finish().out;
  }
  /// The ids of all panes.
  words panes() const { return text_lines(tmux({"list-panes", "-a", "-F", "#{pane_id}"})); }
  words tmux_sessions() const {
    auto names = text_lines(tmux({"list-sessions", "-F", "#{session_name}"}));
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string fact(const std::string& pane, const std::string& format) const {
    auto text = tmux({"display-message", "-p", "-t", pane, format});
    return text.substr(0, text.find('\n'));
  }
  void wait_until_dead(const std::string& pane) const {
    eventually("the program ends", [&] { return fact(pane, "#{pane_dead}") == "1"; });
  }
  /// A tmux session of somebody else.
  void foreign_session(const std::string& name) const {
    tmux({"new-session", "-d", "-s", name, "cat", "-"});
  }
  /// Does the command, as printed, show that tmux session? Then how: "0" or "1" for read-only.
  std::string attached_by(const std::string& command, const std::string& to) const {
    tmux({"new-session", "-d", "-s", "viewer", "env", "-u", "TMUX", "sh", "-c", command});
    std::string how;
    eventually("a client is attached by " + command, [&] {
      for (const auto& line :
           text_lines(tmux({"list-clients", "-F", "#{client_readonly} #{session_name}"})))
        if (line.substr(2) == to)
          how = line.substr(0, 1);
      return !how.empty();
    });
    tmux({"kill-session", "-t", "=viewer"});
    return how;
  }

  /// A program that keeps in a file of `base` what is typed.
  std::string keeper(const std::string& name) const {
    return "exec cat > " + in_quotes((base / name).string());
  }
  /// The same for one that tells what it does.
  std::string reporter(const std::string& name) const {
    auto file = script("reporter.sh", R"sh(
say() {
  printf '{"event":"%s","message":"%s","at":%s}\n' "$1" "$2" "$(date +%s%6N)" >> "$ORCH_EVENT_LOG"
}
say SessionStart ""
while IFS= read -r line;
  do
  say UserPromptSubmit "$line"
  printf '%s\n' "$line" >> "$1"
  say Stop "did $line"
done)sh");
    return fmt::format("exec sh {} {}", in_quotes(file.string()),
                       in_quotes((base / name).string()));
  }
  void arrives(const std::string& name, const std::string& text) const {
    eventually(fmt::format("{} holds {}", name, text), [&] { return read(base / name) == text; });
  }

  json of_child(const std::string& command, const json& more = json::object()) const {
    json params{{"session_id", session}, {"provider", "command"}, {"launch_command", command}};
    params.update(more);
    return params;
  }
  json of_root(const std::string& command, const json& more = json::object()) const {
    return of_child(command, more);
  }
  json spawn(const std::string& command, const json& more = json::object()) {
    return ask("thread.child.spawn", of_child(command, more))["thread"];
  }
  json ensure_root(const std::string& command, const json& more = json::object()) {
    return ask("thread.root.ensure", of_root(command, more));
  }
  json of_thread(const json& thread, const json& more = json::object()) const {
    json params{{"thread_id", thread["id"]}};
    params.update(more);
    return params;
  }
  json state_of(const json& thread) { return ask("thread.child.status", of_thread(thread)); }
  json wait_for(const json& thread, const std::string& status) {
    return ask("thread.child.wait_status",
               of_thread(thread, {{"target_statuses", {status}}, {"timeout_seconds", 60}}));
  }
  json tell(const json& thread, const std::string& words, const json& more = json::object()) {
    json params = of_thread(thread, {{"directive", words}});
    params.update(more);
    return ask("thread.child.directive", params);
  }
  /// A child whose program has ended, and that is known.
  json ended_child(int code = 0) {
    auto thread = spawn("read x; exit " + std::to_string(code));
    tell(thread, "go");
    wait_for(thread, "exited");
    return thread;
  }
  json children(const json& more = json::object()) {
    json params{{"session_id", session}};
    params.update(more);
    return ask("thread.child.list", params)["threads"];
  }
  int64_t another_session() { return contract::open_session_on(first); }

  std::string socket = next_socket();

private:
  static std::string next_socket() {
    static std::atomic<int> count{0};
    return fmt::format("orch-test-{}-{}", ::getpid(), ++count);
  }
  std::unique_ptr<server> start_configured() const {
    write(root / ".codex-orch" / "config.json", json{{"agents", {{"tmux_socket", socket}}}}.dump());
    return start_in(root);
  }

  std::unique_ptr<server> own_ = start_configured();
  std::list<std::unique_ptr<server>> more_;

public:
  server& first = *own_;
  json context = contract::open_on(first);
  int64_t session = context["session"]["id"];
  path tree = context["session_root_worktree"]["path"].get<std::string>();
};

} // namespace orch::test
