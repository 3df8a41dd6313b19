#include "io/check_command.hpp"

#include "io/check_guard.hpp"
#include "io/descriptor.hpp"
#include "io/git_program.hpp"
#include "io/process.hpp"
#include "io/process_table.hpp"
#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace orch {

namespace {

constexpr std::size_t most_logged = 16U << 20;
constexpr std::size_t tail_size = 2'000;

/// Longer than the guard tries to kill what the check has started.
constexpr std::chrono::seconds time_for_guard{4};

std::string mark_of(const std::string& mark) {
  return "ORCH_MERGE_RUN=" + mark;
}

/// What programs need to run at all; nothing of the agent or terminal that this server came from.
std::vector<std::pair<std::string, std::string>> environment_for(const check_command& check) {
  constexpr std::array kept{"PATH",  "HOME",   "USER",          "LOGNAME",
                            "SHELL", "LANG",   "LC_ALL",        "LC_CTYPE",
                            "TZ",    "TMPDIR", "SSH_AUTH_SOCK", "XDG_CACHE_HOME"};
  std::vector<std::pair<std::string, std::string>> variables;
  for (auto name : kept)
    if (auto value = std::getenv(name))
      variables.emplace_back(name, value);
  variables.emplace_back("CI", "true");
  variables.emplace_back("ORCH_MERGE_RUN", check.mark);
  return variables;
}

/// The end of a file as text for people.
std::string tail_of(int fd) {
  auto size = ::lseek(fd, 0, SEEK_END);
  auto from = std::max<off_t>(0, size - static_cast<off_t>(tail_size));
  std::string text(static_cast<std::size_t>(size - from), '\0');
  auto count = ::pread(fd, text.data(), text.size(), from);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  auto line = from > 0 ? text.find('\n') : std::string::npos;
  if (line != std::string::npos)
    text.erase(0, line + 1);
  return readable(text);
}

std::string words_for(const check_command& check, const outcome& ended) {
  if (ended.timed_out)
    return fmt::format("ran longer than {} s", check.timeout.count());
  if (ended.signal != 0)
    return fmt::format("was ended by signal {}", ended.signal);
  return fmt::format("exited with {}", ended.exit_code);
}

} // namespace

check_outcome run_check(const check_command& check) {
  // A new file: whatever has that name already may lead elsewhere.
  descriptor log{
    ::open(check.log.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!log.open())
    throw request_error{
      errc::unavailable,
      fmt::format("cannot write {}: {}", check.log.string(), std::strerror(errno)),
      {{"path", check.log.string()}}};
  check_outcome result;
  program shell;
  // This very program, whatever has happened to its file since.
  shell.argv = {"/proc/self/exe", check_guard_word, check.command};
  shell.directory = check.directory;
  shell.environment = environment_for(check);
  shell.clean = true;
  shell.timeout = check.timeout;
  shell.most_output = most_logged;
  shell.log = log.number();
  shell.grace = time_for_guard;
  shell.given_up = [&] { return result.given_up = check.given_up(); };
  auto ended = run(shell);
  kill_check(check.mark);
  result.passed = ended.ok() && !ended.timed_out && !result.given_up;
  result.words = words_for(check, ended);
  result.tail = tail_of(log.number());
  return result;
}

void kill_check(const std::string& mark) {
  kill_all_with({mark_of(mark)});
}

} // namespace orch
