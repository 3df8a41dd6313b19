#pragma once

#include "actors/effects.hpp"
#include "messages/worktrees.hpp"

namespace orch {

/// A worktree to be made.
struct new_worktree {
  worktree row;       ///< all but id, path, branch and times
  std::string branch; ///< wanted; must be new
  std::filesystem::path path;
  std::string base_commit;
  std::optional<std::string> slug{};
  std::function<void(const std::filesystem::path&)> fill{}; ///< what else comes into it
};

/// Makes branch and directory under an intent, then stores the row (a new one, or that of
/// `wanted.row.id`) together with what `also` writes, in one transaction. When anything fails,
/// nothing is left of it.
worktree make_worktree(effects& fx, const new_worktree& wanted,
                       const std::function<void(tx&, const worktree&)>& also);

/// The directory for worktrees: REPO/.codex-orch/worktrees.
std::filesystem::path worktrees_dir(const surroundings& around);

/// `path` as an absolute path for a new worktree; it must lie inside the repository and outside
/// `.git` (invalid_params, field `path`).
std::filesystem::path checked_worktree_path(const surroundings& around, const std::string& path);

/// The worktree that a task branch was spawned from and is merged back into.
std::optional<worktree> parent_of(effects& fx, const worktree& child);

/// The commit that a worktree's own work is counted from: the tip of its parent's branch, or of
/// main. Throws failed_precondition if there is none.
std::string unmerged_base(git& repository, const worktree& of,
                          const std::optional<worktree>& parent);

/// Throws invalid_params (field) unless `branch` can be the name of a branch.
void check_branch_name(std::string_view field, const std::string& branch);

/// The commit that `ref` names, or invalid_params (field).
std::string commit_for(git& repository, std::string_view field, const std::string& ref);

/// A path and a branch that nobody has, from those wanted: with -2, -3, ... if they are taken.
void find_free_names(effects& fx, new_worktree& wanted);

// Removing: actors/worktree_removal.cpp; restoring: actors/worktree_restoring.cpp.

/// Why a worktree must not be removed: work in it that exists nowhere else. Empty if it may.
struct unsaved_work {
  std::vector<std::string> files;
  int64_t commits = 0;

  bool none() const { return files.empty() && commits == 0; }
  std::string words() const;
};

/// Where the backups of a worktree are.
std::string backup_prefix_of(const worktree& row);

unsaved_work find_unsaved_work(effects& fx, const worktree& of);

/// Removes directory, metadata and branch of a worktree and marks its row. With `force`, unsaved
/// work is kept under a backup ref first; without, it is failed_precondition. `also` runs in the
/// transaction that marks the row.
removed_worktree remove_from_disk(
  effects& fx, const worktree& row, bool force,
  const std::function<void(tx&, const removed_worktree&)>& also = [](tx&, const auto&) {});

worktree create_worktree(effects& fx, const worktree_create& request);
worktree spawn_worktree(effects& fx, const worktree_spawn& request);
worktree_state look_at_worktree(effects& fx, const worktree_status& request);
merged_worktree merge_to_parent(effects& fx, const worktree_merge_to_parent& request);
removed_worktree remove_worktree(effects& fx, const worktree_remove& request);
restored_worktree restore_worktree(effects& fx, const worktree_restore& request);
pruned_worktrees prune_worktrees(effects& fx, const worktree_prune& request);

/// The loop: prunes what is as old as the config says.
void prune_by_itself(effects& fx);
decide_result decide_worktree(effects& fx, const scheduler_decide_worktree& request);

} // namespace orch
