#include "io/check_guard.hpp"

#include "io/process_table.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

namespace orch {

namespace {

constexpr std::chrono::seconds time_to_kill{3};
constexpr std::chrono::milliseconds between_looks{5};
constexpr int cannot_be_run = 126; // as shells say it

pid_t start_shell(const std::string& command, const sigset_t& signals_before) {
  auto child = ::fork();
  if (child != 0)
    return child;
  // What the command does to its process group is not to reach its guard.
  ::setsid();
  ::sigprocmask(SIG_SETMASK, &signals_before, nullptr);
  ::execl("/bin/sh", "/bin/sh", "-c", command.c_str(), nullptr);
  ::_exit(cannot_be_run);
}

/// Takes note of all children that have ended; the status of the one that is asked for.
std::optional<int> reap(pid_t wanted) {
  std::optional<int> found;
  int status = 0;
  for (pid_t one = 0; (one = ::waitpid(-1, &status, WNOHANG)) > 0;)
    if (one == wanted)
      found = status;
  return found;
}

std::set<pid_t> descendants() {
  std::set<pid_t> found{::getpid()};
  auto all = all_processes();
  for (auto grows = true; grows;) {
    grows = false;
    for (const auto& process : all)
      if (process.state != 'Z' && found.contains(process.parent))
        grows = found.insert(process.id).second || grows;
  }
  found.erase(::getpid());
  return found;
}

/// Orphans become ours, so that nobody below gets away. They are stopped before they are killed:
/// who forks all the time would otherwise be elsewhere.
void kill_descendants() {
  auto end = std::chrono::steady_clock::now() + time_to_kill;
  while (std::chrono::steady_clock::now() < end) {
    std::set<pid_t> stopped;
    for (auto below = descendants(); below != stopped; below = descendants()) {
      for (auto one : below)
        ::kill(one, SIGSTOP);
      stopped = std::move(below);
    }
    for (auto one : stopped)
      ::kill(one, SIGKILL);
    reap(0);
    if (stopped.empty() && ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD)
      return;
    std::this_thread::sleep_for(between_looks);
  }
}

int end_as(int status) {
  if (!WIFSIGNALED(status))
    return WEXITSTATUS(status);
  auto signal = WTERMSIG(status);
  ::signal(signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
  ::raise(signal);
  return 128 + signal;
}

} // namespace

int guard_check(const std::string& command) {
  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  for (auto signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  auto server = ::getppid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  auto shell = start_shell(command, before);
  if (shell < 0)
    return cannot_be_run;
  std::optional<int> ended;
  // It may have died before it was asked to tell.
  while (!ended && ::getppid() == server) {
    siginfo_t what{};
    if (::sigwaitinfo(&signals, &what) > 0 && what.si_signo != SIGCHLD)
      break;
    ended = reap(shell);
  }
  kill_descendants();
  return ended ? end_as(*ended) : 128 + SIGTERM;
}

} // namespace orch
