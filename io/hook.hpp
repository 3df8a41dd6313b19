#pragma once

#include <string>
#include <vector>

namespace orch {

/// What `codex-orchestrator hook --client codex|claude [--wait SECONDS] [EVENT]` does: reads one
/// hook payload from standard input, appends it to the event log (ORCH_EVENT_LOG), and refuses an
/// edit of a file that is leased to another session or lies outside the session's worktree.
///
/// Exit code 2 with the reason on standard error refuses, for both command lines; everything else
/// is 0. What cannot be decided is allowed, with one line on standard error. Nothing is ever
/// written to standard output and nothing is thrown.
int run_hook(const std::vector<std::string>& arguments) noexcept;

} // namespace orch
