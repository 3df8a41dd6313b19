#pragma once

#include "actors/repository.hpp"
#include "config/config.hpp"
#include "io/presence.hpp"
#include "io/turnstile.hpp"

#include <filesystem>
#include <memory>

namespace orch {

/// A repository made ready to be served: its state opened and brought up to date, what dead
/// servers left half done undone. Lives as long as the actors that work on it.
struct workspace_files {
  repository_layout layout;
  std::shared_ptr<presence> servers;
  std::shared_ptr<turnstile> writers;
  repository_config config;
  std::shared_ptr<surroundings> around;
  repository_options actors; ///< what `repository` is spawned with
};

/// Where a repository and its state are.
struct workspace_place {
  repository_layout layout;
  std::filesystem::path state_dir; ///< REPO/.codex-orch; there, and of mode 0700 if it is ours

  /// Tells which server processes live (io/presence).
  std::filesystem::path servers_file() const { return state_dir / "servers.lock"; }
};

/// Finds the repository that `directory` is in. Throws as `open_workspace`.
workspace_place find_workspace(const std::filesystem::path& directory);

/// Opens the repository that `directory` is in. Throws `std::exception` with one clear line (not a
/// repository, no write access, a corrupt or newer database, a bad config); then nothing that was
/// there before has changed. `settings` go over those of the repository's config.
workspace_files open_workspace(const std::filesystem::path& directory,
                               const json& settings = json::object());

} // namespace orch
