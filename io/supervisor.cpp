#include "io/supervisor.hpp"

#include "config/supervisor_config.hpp"
#include "io/descriptor.hpp"
#include "io/log.hpp"
#include "io/repository_host.hpp"
#include "io/stopping.hpp"
#include "io/switchboard.hpp"

#include <caf/actor_system.hpp>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <optional>

namespace orch {

namespace {

void reload(switchboard& board, const std::filesystem::path& file) {
  try {
    auto wanted = read_supervisor_config(file);
    board.use(wanted);
    log_info("the configuration was read again: {} repositories", wanted.targets.size());
  } catch (const std::exception& e) {
    log_error("the configuration stays as it was: {}", e.what());
  }
}

/// Takes the signals that have come: SIGHUP reloads, the others end.
void take_signals(int signal_fd, switchboard& board, const std::filesystem::path& config,
                  std::optional<stop_watchdog>& watchdog) {
  signalfd_siginfo info{};
  while (::read(signal_fd, &info, sizeof info) == sizeof info) {
    if (board.stopping())
      continue;
    if (info.ssi_signo == SIGHUP) {
      reload(board, config);
      continue;
    }
    board.stop();
    // Repositories have this time; then come their threads.
    watchdog.emplace(time_to_stop + std::chrono::milliseconds{300});
  }
}

void run_board(caf::actor_system& system, event_loop& loop, const supervise_options& options,
               const supervision& wanted) {
  switchboard board{system, loop, options.connection};
  std::optional<stop_watchdog> watchdog;
  auto signals = stop_signals();
  descriptor signal_fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  loop.watch(signal_fd.number(), POLLIN,
             [&](short) { take_signals(signal_fd.number(), board, options.config, watchdog); });
  board.use(wanted);
  loop.run([&] { return board.ended(); }, [&](bool idle) { board.run_round(idle); });
  loop.unwatch(signal_fd.number());
}

} // namespace

int supervise(const supervise_options& options) {
  auto wanted = read_supervisor_config(options.config);
  system_config config;
  caf::actor_system system{config};
  auto loop = std::make_shared<event_loop>(system);
  run_board(system, *loop, options, wanted);
  loop->close();
  return 0;
}

} // namespace orch
