#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace orch {

/// A repository to be shown.
struct status_target {
  std::string name;           ///< for people; empty: that of its directory
  std::filesystem::path path; ///< a directory in it
};

struct status_options {
  std::vector<status_target> targets;
  bool json = false;
  bool watch = false;
};

/// `codex-orchestrator status`: shows what runs, what is stuck and what needs a person, once or, to
/// watch, again with each change. Looks only: makes no file, starts no server, takes no lock.
/// Returns the exit code: 0, whatever was found, or 1 with a line on stderr for each repository
/// that could not be read.
int run_status(const status_options& options);

} // namespace orch
