#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace orch {

/// One thing that an agent CLI said of itself by a hook: a line of the incarnation's event log,
/// written by `codex-orchestrator hook` (or by any program that wants to be followed: JSON with at
/// least `event`).
struct agent_event {
  int64_t at_us = 0; ///< microseconds since 1970 UTC
  std::string event; ///< as the CLI calls it: SessionStart, UserPromptSubmit, Stop, ...
  std::string session_id;
  std::string transcript_path;
  std::string message; ///< the prompt, or the agent's last message; may have been cut
  std::string tool;
  std::string detail; ///< why, where the CLI says so: the kind of a notification, a reason
};

/// The events of a log, oldest first. Lines that are no events are passed over, a missing log has
/// none, and of a log of many megabytes only the last 4 MiB are read.
std::vector<agent_event> read_agent_events(const std::filesystem::path& log);

/// The last `most` bytes of a file, from the beginning of a line on; all of it if it is shorter.
/// Empty if it cannot be read or is no regular file: an agent names it, and a FIFO would never end.
std::string read_tail(const std::filesystem::path& file, std::size_t most);

} // namespace orch
