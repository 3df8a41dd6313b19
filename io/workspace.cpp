#include "io/workspace.hpp"

#include "actors/conflict_radar.hpp"
#include "config/config.hpp"
#include "io/git_pool.hpp"
#include "io/install.hpp"
#include "io/wake_file.hpp"
#include "storage/schema.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view excluded = "/.codex-orch/";

/// A git program that a dead server has left behind ends by itself in this time, or it hangs.
constexpr std::chrono::seconds patience_with_orphans{10};

/// While others write without a pause, those who follow events look at most this often.
constexpr std::chrono::milliseconds between_looks_at_events{5};

timestamp wall_time() {
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count()};
}

/// `.codex-orch`, for its owner only: it holds what agents were told.
fs::path make_state_dir(const fs::path& root) {
  auto dir = root / ".codex-orch";
  if (fs::is_symlink(fs::symlink_status(dir)))
    throw std::runtime_error{fmt::format("{} is a symlink; it must be a directory", dir.string())};
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
    throw std::runtime_error{
      fmt::format("cannot create {}: {}", dir.string(), std::strerror(errno))};
  if (::access(dir.c_str(), R_OK | W_OK | X_OK) != 0)
    throw std::runtime_error{fmt::format("no write access to {}", dir.string())};
  return dir;
}

bool is_excluded(const repository_layout& layout) {
  std::ifstream file{layout.git_dir / "info" / "exclude"};
  for (std::string line; std::getline(file, line);)
    if (line == excluded)
      return true;
  return false;
}

std::shared_ptr<surroundings> make_surroundings(const workspace_files& files, const fs::path& dir) {
  const auto& config = files.config;
  auto around = std::make_shared<surroundings>();
  around->repo_root = files.layout.root;
  around->state_dir = dir;
  around->server = files.servers->id();
  around->alive = [servers = files.servers](int64_t id) { return servers->alive(id); };
  around->children_ended = [servers = files.servers](int64_t id) {
    return servers->children_ended(id, patience_with_orphans);
  };
  around->now = wall_time;
  around->wake = [file = dir / "wake"] { touch_wake_file(file); };
  around->wake_events = [file = dir / "events.wake"] { touch_wake_file(file); };
  around->keep_events_hours = config.events.keep_hours;
  around->most_tokens_per_slice = config.planning.max_tokens_per_slice;
  around->most_files_per_slice = config.planning.max_files_per_slice;
  around->own_worktree_from_score = config.own_worktree_from_score;
  around->main_branch = config.main_branch.value_or("");
  around->merging = config.merging;
  return around;
}

tmux_options terminal_of(const agents_config& config) {
  tmux_options options;
  options.socket_name = config.tmux_socket;
  return options;
}

} // namespace

workspace_place find_workspace(const fs::path& directory) {
  workspace_place found{find_repository(directory), {}};
  found.state_dir = make_state_dir(found.layout.root);
  return found;
}

workspace_files open_workspace(const fs::path& directory, const json& settings) {
  auto found = find_workspace(directory);
  const auto& dir = found.state_dir;
  workspace_files files;
  files.layout = found.layout;
  files.servers = std::make_shared<presence>(found.servers_file());
  files.writers = std::make_shared<turnstile>(dir / "write.lock");
  files.config = read_repository_config(dir / "config.json", settings);
  files.around = make_surroundings(files, dir);
  git_pool repositories{[layout = files.layout, servers = files.servers, file = dir / "git.lock"] {
    return git{layout, file, {servers->children_descriptor()}};
  }};
  auto file = dir / "state.db";
  files.writers->enter();
  auto db = open_state(file);
  files.writers->leave();
  if (!is_excluded(files.layout))
    repositories.take()->exclude(std::string{excluded});
  auto& storage = files.actors.storage;
  storage.file = file;
  storage.around = files.around;
  storage.opened = std::make_shared<std::unique_ptr<database>>(std::move(db));
  storage.enter = [writers = files.writers] { writers->enter(); };
  storage.leave = [writers = files.writers] { writers->leave(); };
  files.actors.parts.around = files.around;
  files.actors.parts.agents = std::make_shared<const agent_host>(
    files.config.agents, terminal_of(files.config.agents), own_program());
  if (files.config.loops.enabled)
    files.actors.parts.loops =
      std::make_shared<const loop_host>(loop_host{files.config.loops, files.config.reviews});
  files.actors.parts.radar =
    std::make_shared<conflict_radar>(dir / "radar" / std::to_string(files.around->server));
  files.actors.parts.open_git = [repositories]() mutable { return repositories.take(); };
  files.actors.parts.watch = [wake = dir / "wake"](std::function<void()> look) {
    return std::make_shared<wake_watch>(wake, std::move(look));
  };
  files.actors.parts.watch_events = [wake = dir / "events.wake"](std::function<void()> look) {
    return std::make_shared<wake_watch>(wake, std::move(look), between_looks_at_events);
  };
  return files;
}

} // namespace orch
