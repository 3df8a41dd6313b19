#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace orch {

/// A process of this machine, as `/proc` shows it.
struct process_facts {
  pid_t id = 0;
  pid_t parent = 0;
  pid_t session = 0; ///< the process that leads its session
  char state = 0;    ///< Z: it has ended
};

/// All processes that can be looked at.
std::vector<process_facts> all_processes();

/// Does the environment that a process was started with hold these very entries ("NAME=value")?
bool has_environment(pid_t process, const std::vector<std::string>& entries);

/// Kills all processes that were started with these entries in their environment, but ourselves,
/// until none is left; gives up after 3 s.
void kill_all_with(const std::vector<std::string>& entries);

} // namespace orch
