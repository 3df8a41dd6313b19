#include "io/stopping.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace orch {

namespace {

int kept_output = STDOUT_FILENO;

} // namespace

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (auto signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, signal);
  return signals;
}

stop_watchdog::stop_watchdog(std::chrono::milliseconds patience) {
  std::thread{[patience] {
    std::this_thread::sleep_for(patience);
    std::_Exit(0);
  }}.detach();
}

int protocol_output() {
  return kept_output;
}

void take_over_process(bool takes_signals) {
  auto kept = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  kept_output = kept >= 0 ? kept : ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::signal(SIGPIPE, SIG_IGN);
  if (!takes_signals)
    return;
  auto signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

} // namespace orch
