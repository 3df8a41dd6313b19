#include "actors/recovery.hpp"
#include "actors/worktree_effects.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// What was kept of a worktree.
struct backup {
  std::string ref;
  std::string tip;                    ///< of its branch
  std::string head;                   ///< what was checked out
  std::optional<std::string> files{}; ///< a commit with the files as they were
};

backup read_backup(git& repository, const std::string& ref, const std::string& commit) {
  backup found{ref, commit, commit};
  if (auto before = repository.kept_on(commit)) {
    found.files = commit;
    found.head = found.tip = *before;
  }
  // The branch had another commit than the one that was checked out.
  if (auto branch = repository.commit_of(ref + "-branch"))
    found.tip = *branch;
  return found;
}

backup find_backup(effects& fx, const worktree& row, const std::optional<std::string>& wanted) {
  auto& repository = fx.repository();
  if (wanted && !wanted->starts_with("refs/codex-orch/backup/"))
    throw bad_param("backup_ref", "backup_ref: backups are below refs/codex-orch/backup/");
  auto ref = wanted ? wanted : row.backup_ref;
  if (!ref)
    ref = repository.newest_ref(backup_prefix_of(row));
  if (ref)
    if (auto commit = repository.commit_of(*ref))
      return read_backup(repository, *ref, *commit);
  if (wanted)
    throw request_error{
      errc::not_found, fmt::format("no backup {}", *wanted), {{"field", "backup_ref"}}};
  // Whoever deletes a directory by hand leaves the branch.
  auto branch = "refs/heads/" + row.branch;
  if (auto commit = repository.commit_of(branch))
    return {branch, *commit, *commit};
  throw request_error{errc::failed_precondition,
                      fmt::format("nothing was kept of worktree #{}: when it was removed, all of "
                                  "it was merged",
                                  row.id),
                      {{"merge_state", row.merge_state}}};
}

} // namespace

restored_worktree restore_worktree(effects& fx, const worktree_restore& request) {
  auto row =
    fx.store([&](tx& t) { return get_restorable(t, request.worktree_id, request.session_id); });
  undo_orphans(fx); // one that was killed may hold its names
  auto from = find_backup(fx, row, request.backup_ref);
  new_worktree wanted;
  wanted.branch = request.branch.value_or(row.branch);
  check_branch_name("branch", wanted.branch);
  wanted.path = checked_worktree_path(fx.around, request.path.value_or(row.path));
  if (!request.branch && !request.path)
    find_free_names(fx, wanted);
  wanted.row = row;
  wanted.base_commit = from.tip;
  auto& repository = fx.repository();
  wanted.fill = [&](const fs::path& path) { repository.put_back(path, from.head, from.files); };
  restored_worktree restored;
  restored.backup_ref = from.ref;
  restored.head = from.head;
  if (row.status != "removed") // its directory is gone
    fx.store([&](tx& t) { mark_removed(t, row.id); });
  restored.worktree = make_worktree(fx, wanted, [&](tx& t, const worktree& made) {
    restored.worktree = made;
    fx.conclude(t, restored);
  });
  auto changes = repository.changes(restored.worktree.path);
  restored.uncommitted_files = std::move(changes.dirty);
  restored.uncommitted_files.insert(restored.uncommitted_files.end(), changes.untracked.begin(),
                                    changes.untracked.end());
  return restored;
}

} // namespace orch
