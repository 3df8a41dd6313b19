#include "io/backup.hpp"

#include "io/presence.hpp"
#include "io/turnstile.hpp"
#include "io/workspace.hpp"
#include "storage/backup.hpp"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <iostream>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// As in 20261123T150405Z.
std::string time_for_names() {
  auto now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc)};
}

} // namespace

int back_up(const fs::path& repo, const fs::path& file) {
  auto place = find_workspace(repo);
  back_up_state(place.state_dir / "state.db", file);
  std::cout << fmt::format("{}: {} bytes\n", file.string(), fs::file_size(file));
  return 0;
}

int restore(const fs::path& repo, const fs::path& file) {
  auto place = find_workspace(repo);
  // Servers that start now wait until it is done.
  turnstile writers{place.state_dir / "write.lock"};
  writers.enter();
  auto servers = living_servers(place.servers_file());
  if (!servers || !servers->empty())
    throw std::runtime_error{
      fmt::format("{} servers and clients have the state of {} open; stop them first",
                  servers ? std::to_string(servers->size()) : "some", place.layout.root.string())};
  auto state = place.state_dir / "state.db";
  auto former = fs::path{state.string() + ".before-restore-" + time_for_names()};
  auto had_one = fs::exists(state);
  restore_state(file, state, former);
  std::cout << fmt::format("{} is restored from {}{}\n", state.string(), file.string(),
                           had_one ? fmt::format("; the former one is {}", former.string())
                                   : std::string{});
  return 0;
}

} // namespace orch
