#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace orch {

/// The command that a merge has to pass, to be run in a work tree.
struct check_command {
  std::string command; ///< for a shell
  std::filesystem::path directory;
  std::filesystem::path log; ///< both streams, 16 MiB and their end; must not be there yet
  std::chrono::seconds timeout{1'800};
  std::string mark; ///< the value of ORCH_MERGE_RUN there, by which its processes are known
  std::function<bool()> given_up = [] { return false; }; ///< asked often; must not throw
};

/// How it ended.
struct check_outcome {
  bool passed = false;
  bool given_up = false;
  std::string words; ///< "exited with 2", "ran longer than 1800 s", …
  std::string tail;  ///< the end of its output, for people
};

/// Runs it to its end, with a small environment of its own and no input. Nothing that it has
/// started lives on. Throws `request_error` (unavailable) if it cannot be started or its log not be
/// written.
check_outcome run_check(const check_command& check);

/// Kills what a check of that mark has left, as when the process that ran it was killed.
void kill_check(const std::string& mark);

} // namespace orch
