#include "actors/thread_end.hpp"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace orch {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::seconds time_to_end{3};
constexpr std::chrono::milliseconds between_looks{20};

struct process_facts {
  pid_t id = 0;
  pid_t session = 0;
  char state = 0;
};

/// Of all processes that can be looked at.
std::vector<process_facts> all_processes() {
  std::vector<process_facts> found;
  std::error_code ended;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ended}) {
    auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos)
      continue;
    std::ifstream in{entry.path() / "stat"};
    std::string line;
    std::getline(in, line);
    // "12 (a name) S parent group session ...": the name may hold anything.
    auto rest = line.rfind(") ");
    process_facts facts;
    pid_t parent = 0;
    pid_t group = 0;
    std::istringstream text{rest == line.npos ? std::string{} : line.substr(rest + 2)};
    text >> facts.state >> parent >> group >> facts.session;
    facts.id = static_cast<pid_t>(std::stol(name));
    found.push_back(facts);
  }
  return found;
}

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
