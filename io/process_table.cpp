#include "io/process_table.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace orch {

namespace {

constexpr std::chrono::seconds time_to_die{3};
constexpr std::chrono::milliseconds between_looks{10};

} // namespace

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
    pid_t group = 0;
    std::istringstream text{rest == line.npos ? std::string{} : line.substr(rest + 2)};
    text >> facts.state >> facts.parent >> group >> facts.session;
    facts.id = static_cast<pid_t>(std::stol(name));
    found.push_back(facts);
  }
  return found;
}

bool has_environment(pid_t process, const std::vector<std::string>& entries) {
  std::ifstream in{fmt::format("/proc/{}/environ", process), std::ios::binary};
  std::set<std::string> found;
  for (std::string entry; std::getline(in, entry, '\0');)
    found.insert(entry);
  return std::all_of(entries.begin(), entries.end(),
                     [&](const std::string& entry) { return found.contains(entry); });
}

void kill_all_with(const std::vector<std::string>& entries) {
  auto end = std::chrono::steady_clock::now() + time_to_die;
  while (std::chrono::steady_clock::now() < end) {
    auto some = false;
    for (const auto& process : all_processes()) {
      if (process.state == 'Z' || process.id == ::getpid() || !has_environment(process.id, entries))
        continue;
      some = true;
      ::kill(process.id, SIGKILL);
    }
    if (!some)
      return;
    std::this_thread::sleep_for(between_looks);
  }
}

} // namespace orch
