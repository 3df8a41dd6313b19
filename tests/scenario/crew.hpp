#pragma once

// Catch and client.hpp are for one thread. What is here is for many: it throws `crew_error`, and
// the thread of the test checks what became of it.

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace orch::test {

using json = nlohmann::json;

struct crew_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A program started by a member of a crew: in a directory, with an empty home.
inline pid_t start_program(std::vector<std::string> words, const std::filesystem::path& directory,
                           const std::filesystem::path& home, int in, int out) {
  auto search = std::getenv("PATH");
  std::vector<std::string> variables{fmt::format("PATH={}", search ? search : "/usr/bin:/bin"),
                                     "HOME=" + home.string(), "LANG=C.UTF-8",
                                     "GIT_CONFIG_NOSYSTEM=1"};
  auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (auto& text : texts)
      list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  };
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  ::posix_spawn_file_actions_adddup2(&actions, in, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  // The test does not want the signal of a closed pipe; programs are to have it as usual.
  sigset_t usual;
  ::sigemptyset(&usual);
  ::sigaddset(&usual, SIGPIPE);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  auto failed = ::posix_spawnp(&pid, words.front().c_str(), &actions, &attributes,
                               pointers(words).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed)
    throw crew_error{fmt::format("{} cannot be started", words.front())};
  return pid;
}

/// Its exit code, or 128 and the number of the signal.
inline int end_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

inline void run_program(const std::vector<std::string>& words,
                        const std::filesystem::path& directory, const std::filesystem::path& home) {
  auto nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  auto pid = start_program(words, directory, home, nothing, nothing);
  ::close(nothing);
  if (auto code = end_of(pid))
    throw crew_error{fmt::format("{} ended with {}", fmt::join(words, " "), code)};
}

/// A server with one client. Its stdin ends with the test, however that ends, and the server too.
class crew_server {
public:
  crew_server(const std::filesystem::path& repository, const std::filesystem::path& home) {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0)
      throw crew_error{"no pipes"};
    in_ = in[1];
    out_ = out[0];
    pid_ = start_program({ORCH_PROGRAM, "serve", "--repo", repository.string()}, home, home, in[0],
                         out[1]);
    ::close(in[0]);
    ::close(out[1]);
  }
  crew_server(const crew_server&) = delete;
  crew_server& operator=(const crew_server&) = delete;
  ~crew_server() {
    kill();
    ::close(out_);
  }

  void send(const std::string& method, const json& params) {
    auto line = json{{"id", ++last_id_}, {"method", method}, {"params", params}}.dump() + '\n';
    asked_ = line;
    // Requests are far shorter than a pipe is long, and there is one at a time.
    if (::write(in_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      throw crew_error{"not sent: " + line};
  }

  /// The answer to what was sent last.
  json receive() {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    for (;;) {
      if (auto at = said_.find('\n'); at != std::string::npos) {
        auto answer = json::parse(said_.substr(0, at));
        said_.erase(0, at + 1);
        if (answer.at("id") != last_id_)
          throw crew_error{"answer to another request: " + answer.dump()};
        return answer;
      }
      pollfd one{out_, POLLIN, 0};
      if (std::chrono::steady_clock::now() > end)
        throw crew_error{"no answer in time: " + asked_};
      if (::poll(&one, 1, 1'000) <= 0)
        continue;
      char part[1 << 14];
      auto got = ::read(out_, part, sizeof part);
      if (got <= 0)
        throw crew_error{"the server has gone: " + asked_};
      said_.append(part, static_cast<std::size_t>(got));
    }
  }

  json call(const std::string& method, const json& params) {
    send(method, params);
    return receive();
  }

  /// The result of a request that has to succeed.
  json ask(const std::string& method, const json& params) {
    auto answer = call(method, params);
    if (!answer.contains("result"))
      throw crew_error{asked_ + answer.dump()};
    return answer["result"];
  }

  void kill() {
    if (pid_ > 0)
      ::kill(pid_, SIGKILL);
    finish_with(128 + SIGKILL);
  }

  /// Closes its stdin, which has to end it cleanly.
  void finish() {
    if (auto code = finish_with(0); code != 0)
      throw crew_error{fmt::format("a server ended with {}", code)};
  }

private:
  int finish_with(int otherwise) {
    if (in_ >= 0)
      ::close(std::exchange(in_, -1));
    return pid_ > 0 ? end_of(std::exchange(pid_, -1)) : otherwise;
  }

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int64_t last_id_ = 0;
  std::string asked_;
  std::string said_;
};

} // namespace orch::test
