#pragma once

#include "io/process.hpp"
#include "io/tmux.hpp"
#include "messages/error.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace orch {

/// True, with one line of explanation, where tests cannot run.
inline bool tmux_is_missing() {
  auto missing = !tmux{}.version();
  if (missing)
    WARN("skipped: tmux is missing");
  return missing;
}

/// Looks every few milliseconds whether something has become true.
inline bool eventually(const std::function<bool()>& condition) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  // Of a process that ends meanwhile it cannot be read to its end; that is no exception here.
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Nobody may be in a hurry to reap it.
inline bool has_ended(pid_t process) {
  auto status = text_of(fmt::format("/proc/{}/stat", process));
  return status.empty() || status.find(") Z ") != std::string::npos;
}

template <class Request>
std::pair<errc, std::string> failure_of(const Request& request) {
  try {
    request();
    return {errc::none, ""};
  } catch (const request_error& error) {
    return {error.code, error.what()};
  }
}

template <class Request>
errc error_of(const Request& request) {
  return failure_of(request).first;
}

/// A tmux server of its own, with a directory; both are gone after the test.
class tmux_sandbox {
public:
  tmux_sandbox() = default;
  tmux_sandbox(const tmux_sandbox&) = delete;
  tmux_sandbox& operator=(const tmux_sandbox&) = delete;
  ~tmux_sandbox() {
    auto server = server_pid();
    ask({"kill-server"});
    if (server > 0)
      eventually([&] { return has_ended(server); });
  }

  /// Runs tmux as a user would.
  outcome ask(const std::vector<std::string>& arguments) const {
    program p{{"tmux", "-u", "-L", options.socket_name, "-f", "/dev/null"}, "/"};
    p.argv.insert(p.argv.end(), arguments.begin(), arguments.end());
    return run(p);
  }

  pid_t server_pid() const {
    auto result = ask({"display-message", "-p", "#{pid}"});
    return result.ok() ? std::atoi(result.out.c_str()) : 0;
  }

  pane_command running(std::vector<std::string> argv) const { return {std::move(argv), path}; }

  /// A program that ends when its terminal does.
  pane_command idle() const { return running({"cat", "-"}); }

  std::string start(const std::string& session, const pane_command& what) const {
    return server.new_session({session, "main", what});
  }

  bool shows(const std::string& pane, const std::string& text) const {
    return eventually([&] { return server.capture(pane).find(text) != std::string::npos; });
  }

  /// Waits until the program has ended and tmux knows how.
  pane_info end_of(const std::string& pane) const {
    std::optional<pane_info> found;
    CHECK(eventually([&] {
      found = server.pane(pane);
      return !found || (found->dead && found->dead_status);
    }));
    return found.value_or(pane_info{});
  }

  scratch_directory directory{};
  std::filesystem::path path = directory.path;
  tmux_options options{next_name(), "tmux", "/dev/null"};
  tmux server{options};

private:
  static std::string next_name() {
    static std::atomic<int> count{0};
    return fmt::format("orch-test-{}-{}", ::getpid(), ++count);
  }
};

} // namespace orch
