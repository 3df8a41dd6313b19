#include "server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

namespace bench {

namespace {

constexpr double patience = 30; // seconds, for one answer
constexpr double time_to_end = 10;

struct pipe_ends {
  int read = -1;
  int write = -1;
};

/// No other server may inherit an end: it would never see the end of its input.
pipe_ends open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  return {ends[0], ends[1]};
}

pid_t spawn(std::vector<std::string> command, int input, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  std::vector<char*> arguments;
  for (auto& word : command)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  auto failed =
    ::posix_spawn(&child, arguments.front(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    throw std::system_error{failed, std::generic_category(), command.front()};
  return child;
}

void wait_for(int fd, short events, steady::time_point until) {
  pollfd wanted{fd, events, 0};
  while (::poll(&wanted, 1, 100) <= 0) {
    check_interrupted();
    if (steady::now() > until)
      throw std::runtime_error{"the server does not answer"};
  }
}

} // namespace

// The older way to say `serve`, which earlier implementations understand too.
server::server(const std::string& program, const std::filesystem::path& repository)
  : server{{program, "--mode", "serve", "--repo", repository.string()}} {
}

server::server(const std::vector<std::string>& command) {
  auto input = open_pipe();
  auto output = open_pipe();
  to_ = input.write;
  from_ = output.read;
  ::fcntl(to_, F_SETFL, O_NONBLOCK);
  ::fcntl(from_, F_SETFL, O_NONBLOCK);
  pid_ = spawn(command, input.read, output.write);
  ::close(input.read);
  ::close(output.write);
}

server::~server() {
  ::close(to_);
  ::close(from_);
  if (ended_)
    return;
  auto until = in_seconds(time_to_end);
  while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (steady::now() > until) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

std::string server::ask(std::string_view method, std::string_view params) {
  auto line = fmt::format("{{\"id\":0,\"method\":\"{}\",\"params\":{}}}\n", method, params);
  auto until = in_seconds(patience);
  for (std::string_view rest = line; !rest.empty();) {
    wait_for(to_, POLLOUT, until);
    auto count = ::write(to_, rest.data(), rest.size());
    if (count < 0 && errno != EAGAIN && errno != EINTR)
      throw std::system_error{errno, std::generic_category(), "the server's input"};
    rest.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  std::string answer;
  std::array<char, 4096> part;
  while (answer.empty() || answer.back() != '\n') {
    wait_for(from_, POLLIN, until);
    auto count = ::read(from_, part.data(), part.size());
    if (count == 0)
      throw std::runtime_error{"the server ended"};
    if (count > 0)
      answer.append(part.data(), static_cast<std::size_t>(count));
  }
  if (answer.find("\"result\"") == std::string::npos)
    throw std::runtime_error{fmt::format("{}: {}", method, answer)};
  return answer;
}

long server::status_kib(std::string_view name) const {
  std::ifstream file{fmt::format("/proc/{}/status", pid_)};
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name))
      return std::stol(line.substr(name.size() + 1));
  return 0;
}

double server::cpu_ms() const {
  std::ifstream file{fmt::format("/proc/{}/stat", pid_)};
  std::string text;
  std::getline(file, text);
  // The second field is the name in parentheses; utime and stime are the fields 14 and 15.
  std::istringstream fields{text.substr(text.rfind(')') + 2)};
  std::string word;
  double ticks = 0;
  for (int field = 3; field <= 15 && fields >> word; ++field)
    if (field >= 14)
      ticks += std::stod(word);
  return ticks * 1'000 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void server::kill() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ended_ = true;
}

} // namespace bench
