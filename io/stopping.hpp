#pragma once

// How the programs that serve end.

#include <chrono>
#include <csignal>

namespace orch {

/// A signal gives the server so long to answer what it has begun (contract, section 2: 5 s).
inline constexpr std::chrono::milliseconds time_to_stop{4'500};

/// SIGTERM, SIGINT and SIGHUP: blocked in all threads and taken by the loop of the first.
sigset_t stop_signals();

/// Ends the process if stopping in good order takes too long, as when a git filter hangs: what was
/// acknowledged is on disk, and the next server undoes what is half done.
class stop_watchdog {
public:
  explicit stop_watchdog(std::chrono::milliseconds patience);
};

/// The real standard output, after `take_over_process`.
int protocol_output();

/// Must be called first in `main`, before any thread: keeps the real standard output for answers
/// and points descriptor 1 at stderr, since libraries print there. `takes_signals`: blocks those
/// that the loop takes.
void take_over_process(bool takes_signals);

} // namespace orch
