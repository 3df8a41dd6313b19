#pragma once

#include <string>

namespace orch {

/// The first argument of this program that means `guard_check`.
inline constexpr const char* check_guard_word = "guard-check";

/// Runs a shell command as a process of its own that owns all it starts, daemons too: when the
/// command ends, when SIGTERM comes, or when the server that has started this dies, everything
/// below is killed. Ends as the command has ended: the same exit code or signal. Only for
/// `run_check`, which starts this program for it.
int guard_check(const std::string& command);

} // namespace orch
