#include "actors/thread_end.hpp"

#include "io/process_table.hpp"

#include <signal.h>

#include <thread>

namespace orch {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::seconds time_to_end{3};
constexpr std::chrono::milliseconds between_looks{20};

/// Those that live in the session that a pane's program leads, without that one: what it has
/// started and left in the background there.
std::vector<pid_t> left_behind(const thread_row& row, const std::optional<pane_info>& pane) {
  auto leader = static_cast<pid_t>(row.pane->pid);
  std::vector<pid_t> found;
  for (const auto& process : all_processes()) {
    if (process.state == 'Z')
      continue;
    if (process.id == leader) {
      // The kernel keeps the number for the session as long as somebody lives in it, and for this
      // process as long as tmux has not seen it end. After that it may be a stranger's.
      auto may_live = pane && !pane->dead;
      if (!may_live && !is_process_of(row, leader))
        return {};
    } else if (process.session == leader) {
      found.push_back(process.id);
    }
  }
  return found;
}

} // namespace

bool end_program(effects& fx, const thread_row& row) {
  auto pane = find_pane(fx.agents(), row);
  if (!pane)
    return false;
  auto last_chance = steady::now() + time_to_end;
  auto end = last_chance + time_to_end;
  auto tell = [&](int signal) {
    if (pane && !pane->dead)
      ::kill(static_cast<pid_t>(pane->pid), signal);
    for (auto process : left_behind(row, pane))
      ::kill(process, signal);
  };
  tell(SIGHUP);
  while (steady::now() < end) {
    auto ended = !pane || pane->dead;
    if (ended && left_behind(row, pane).empty())
      break;
    if (steady::now() >= last_chance)
      tell(SIGKILL);
    std::this_thread::sleep_for(between_looks);
    pane = find_pane(fx.agents(), row);
  }
  return true;
}

} // namespace orch
