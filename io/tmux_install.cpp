#include "io/tmux_install.hpp"

#include "io/shell_words.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace orch {

namespace fs = std::filesystem;

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::seconds time_to_install{120};

struct package_manager {
  std::string_view program;
  std::vector<std::vector<std::string>> commands; ///< run one after the other
};

const std::vector<package_manager>& package_managers() {
  static const std::vector<package_manager> all{
    {"apt-get", {{"apt-get", "update", "-qq"}, {"apt-get", "install", "-y", "-qq", "tmux"}}},
    {"dnf", {{"dnf", "install", "-y", "-q", "tmux"}}},
    {"yum", {{"yum", "install", "-y", "-q", "tmux"}}},
    {"zypper", {{"zypper", "--non-interactive", "install", "tmux"}}},
    {"pacman", {{"pacman", "-S", "--noconfirm", "tmux"}}},
    {"apk", {{"apk", "add", "tmux"}}},
    {"brew", {{"brew", "install", "tmux"}}},
  };
  return all;
}

/// The words that make a command run as root; nothing if that is not to be had.
std::optional<std::vector<std::string>> as_root(std::string_view manager) {
  if (::geteuid() == 0 || manager == "brew")
    return std::vector<std::string>{};
  if (!find_program("sudo"))
    return {};
  program probe{{"sudo", "-n", "true"}, "/"};
  probe.timeout = std::chrono::seconds{5};
  try {
    if (run(probe).ok())
      return std::vector<std::string>{"sudo", "-n"};
  } catch (const request_error&) {
    // Then not by sudo.
  }
  return {};
}

/// Runs a command of a package manager; true if it succeeded. What came of it goes to `attempts`.
bool attempt(std::vector<std::string> argv, steady::time_point end,
             std::vector<std::string>& attempts) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady::now());
  if (left.count() <= 0)
    return false;
  auto line = shell_line(argv);
  program install{std::move(argv), "/"};
  install.environment = {{"DEBIAN_FRONTEND", "noninteractive"}};
  install.timeout = left;
  try {
    auto ended = run(install);
    auto words =
      ended.timed_out ? std::string{"out of time"} : fmt::format("exit status {}", ended.exit_code);
    attempts.push_back(fmt::format("{}: {}", line, words));
    return ended.ok();
  } catch (const request_error& e) {
    attempts.push_back(fmt::format("{}: {}", line, e.what()));
    return false;
  }
}

std::string manual_instructions() {
  for (const auto& manager : package_managers())
    if (find_program(manager.program))
      return fmt::format("install tmux, for example: {}{}",
                         manager.program == "brew" ? "" : "sudo ",
                         shell_line(manager.commands.back()));
  return "install tmux with the package manager of this system";
}

} // namespace

tmux_readiness ensure_tmux(const tmux& terminal, bool may_install) {
  tmux_readiness found;
  auto is_there = [&](const char* status) {
    auto version = terminal.version();
    if (!version || !terminal.is_usable())
      return false;
    found.status = status;
    found.tmux_version = version->text;
    if (auto path = find_program("tmux"))
      found.tmux_path = path->string();
    return true;
  };
  if (is_there("ready"))
    return found;
  std::vector<std::string> attempts;
  auto end = steady::now() + time_to_install;
  for (const auto& manager : package_managers()) {
    if (!may_install || !find_program(manager.program))
      continue;
    auto root = as_root(manager.program);
    if (!root) {
      attempts.push_back(
        fmt::format("{}: needs root, or sudo without a password", manager.program));
      break;
    }
    for (const auto& command : manager.commands) {
      auto argv = *root;
      argv.insert(argv.end(), command.begin(), command.end());
      attempt(std::move(argv), end, attempts);
    }
    break; // a system has one
  }
  if (!attempts.empty())
    found.attempts = attempts;
  if (is_there("installed"))
    return found;
  found.status = "manual_required";
  found.manual_instructions = manual_instructions();
  return found;
}

} // namespace orch
