#include "actors/worktree_effects.hpp"
#include "io/log.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

namespace orch {

namespace fs = std::filesystem;

std::string unsaved_work::words() const {
  std::string out;
  if (!files.empty())
    out =
      fmt::format("{} uncommitted files ({}{})", files.size(),
                  fmt::join(files.begin(),
                            files.begin() + std::min<std::ptrdiff_t>(5, std::ssize(files)), ", "),
                  files.size() > 5 ? ", ..." : "");
  if (commits > 0)
    out += fmt::format("{}{} unmerged commits", out.empty() ? "" : " and ", commits);
  return out;
}

namespace {

/// The git directory of a linked worktree, as its .git file names it; empty if it has none.
fs::path metadata_of(const fs::path& path) {
  std::ifstream file{path / ".git"};
  std::string line;
  std::getline(file, line);
  constexpr std::string_view prefix = "gitdir: ";
  return line.starts_with(prefix) ? fs::path{line.substr(prefix.size())} : fs::path{};
}

/// What git has in hand or keeps only here, in words.
std::vector<std::string> unfinished_business(const fs::path& path) {
  auto metadata = metadata_of(path);
  std::vector<std::string> found;
  for (auto [name, words] : std::initializer_list<std::pair<const char*, const char*>>{
         {"rebase-merge", "a rebase in progress"},
         {"rebase-apply", "a rebase in progress"},
         {"MERGE_HEAD", "a merge in progress"},
         {"CHERRY_PICK_HEAD", "a cherry-pick in progress"},
         {"modules", "submodules with repositories of their own"},
         {"locked", "a lock by git worktree lock"}})
    if (!metadata.empty() && fs::exists(metadata / name))
      found.emplace_back(words);
  return found;
}

/// Repositories inside a work tree that git ignores, as paths relative to it with a slash at the
/// end.
std::vector<std::string> ignored_repositories(const fs::path& top) {
  std::vector<std::string> found;
  std::error_code error;
  fs::recursive_directory_iterator all{top, fs::directory_options::skip_permission_denied, error};
  for (; !error && all != fs::recursive_directory_iterator{}; all.increment(error)) {
    auto path = all->path();
    if (path.filename() == ".git" && path.parent_path() != top) {
      found.push_back(path.parent_path().lexically_relative(top).string() + "/");
      all.disable_recursion_pending();
    }
  }
  return found;
}

/// Commits of `head` that neither main nor the parent's branch has.
int64_t commits_only_in(effects& fx, const worktree& of, const std::string& head) {
  auto& repository = fx.repository();
  // A branch that was squashed or rebased is on main under other names.
  if (fx.look([&](tx& t) { return was_merged_to_main(t, of.id, head); }))
    return 0;
  auto count = repository.distance(unmerged_base(repository, of, {}), head).ahead;
  // What went into the parent's branch is not lost, wherever main is.
  if (auto parent = parent_of(fx, of))
    if (auto into = repository.commit_of("refs/heads/" + parent->branch))
      count = std::min(count, repository.distance(*into, head).ahead);
  return count;
}

/// Keeps what only this worktree has under `ref`, and a branch tip that is not checked out there
/// under `ref`-branch.
void back_up(effects& fx, const worktree& row, const std::string& ref,
             const std::optional<std::string>& tip) {
  auto& repository = fx.repository();
  auto on_disk = fs::is_directory(row.path);
  if (on_disk)
    repository.keep(row.path, ref);
  else if (tip)
    repository.update_ref(ref, *tip, {});
  if (on_disk && tip && repository.head(row.path).commit != tip)
    repository.update_ref(ref + "-branch", *tip, {});
}

/// Removes directory, metadata and the branch while it is at `tip`. What is gone already, and a
/// branch that somebody uses or has moved, is left as it is.
void take_off_disk(effects& fx, const worktree& row, const std::optional<std::string>& tip) {
  try {
    fx.repository().remove_worktree(row.path);
  } catch (const request_error& e) {
    if (e.code != errc::not_found)
      throw;
  }
  try {
    if (tip)
      fx.repository().delete_branch(row.branch, tip);
  } catch (const request_error& e) {
    if (e.code != errc::conflict && e.code != errc::failed_precondition)
      throw;
  }
}

/// Repositories inside the worktree cannot be kept in a commit.
void refuse_nested_repositories(const worktree& row, const unsaved_work& unsaved) {
  for (const auto& file : unsaved.files)
    if (file.ends_with('/') || file.starts_with("submodules"))
      throw request_error{errc::failed_precondition,
                          fmt::format("worktree #{} holds another repository ({}), which no backup "
                                      "can keep; move it away first",
                                      row.id, file),
                          {{"files", unsaved.files}}};
}

} // namespace

std::string backup_prefix_of(const worktree& row) {
  return fmt::format("refs/codex-orch/backup/{}-{}-", row.branch, row.id);
}

unsaved_work find_unsaved_work(effects& fx, const worktree& of) {
  auto& repository = fx.repository();
  unsaved_work found;
  std::set<std::string> heads;
  if (auto tip = repository.commit_of("refs/heads/" + of.branch))
    heads.insert(*tip);
  if (fs::is_directory(of.path)) {
    auto changes = repository.changes(of.path);
    found.files = std::move(changes.dirty);
    found.files.insert(found.files.end(), changes.untracked.begin(), changes.untracked.end());
    for (auto& nested : ignored_repositories(of.path))
      if (std::find(found.files.begin(), found.files.end(), nested) == found.files.end())
        found.files.push_back(std::move(nested));
    for (auto& words : unfinished_business(of.path))
      found.files.push_back(std::move(words));
    // A detached HEAD may hold commits that no branch has.
    if (auto head = repository.head(of.path).commit)
      heads.insert(*head);
  }
  for (const auto& head : heads)
    found.commits += commits_only_in(fx, of, head);
  return found;
}

removed_worktree remove_from_disk(effects& fx, const worktree& row, bool force,
                                  const std::function<void(tx&, const removed_worktree&)>& also) {
  removed_worktree removed;
  if (row.status != "planned") {
    auto tip = fx.repository().commit_of("refs/heads/" + row.branch);
    auto unsaved = find_unsaved_work(fx, row);
    if (!unsaved.none() && !force)
      throw request_error{errc::failed_precondition,
                          fmt::format("worktree #{} has {}", row.id, unsaved.words()),
                          {{"files", unsaved.files}, {"unmerged_commits", unsaved.commits}}};
    if (!unsaved.none()) {
      refuse_nested_repositories(row, unsaved);
      removed.backup_ref = fmt::format("{}{}", backup_prefix_of(row), fx.around.now().us);
      back_up(fx, row, *removed.backup_ref, tip);
      fx.store_anyway([&](tx& t) { note_backup(t, row.id, *removed.backup_ref); });
    }
    removed.reclaimed_bytes = fs::is_directory(row.path) ? disk_use(row.path) : 0;
    take_off_disk(fx, row, tip);
  }
  fx.store_anyway([&](tx& t) {
    removed.worktree = mark_removed(t, row.id, removed.backup_ref);
    removed.backup_ref = removed.worktree.backup_ref;
    also(t, removed);
  });
  return removed;
}

removed_worktree remove_worktree(effects& fx, const worktree_remove& request) {
  auto row =
    fx.store([&](tx& t) { return t.get<worktree>("worktrees", request.worktree_id, "worktree"); });
  if (row.kind == "main")
    throw request_error{
      errc::failed_precondition, "the main work tree is not removed", {{"field", "worktree_id"}}};
  if (row.status == "removed")
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{} is removed already", row.id)};
  auto children = fx.store([&](tx& t) { return unmerged_children(t, row.id); });
  if (!children.empty())
    throw request_error{
      errc::failed_precondition,
      fmt::format("worktree #{} has {} unmerged children", row.id, children.size()),
      {{"worktree_ids", [&] {
          auto ids = json::array();
          for (const auto& child : children)
            ids.push_back(child.id);
          return ids;
        }()}}};
  return remove_from_disk(fx, row, request.force,
                          [&](tx& t, const removed_worktree& removed) { fx.conclude(t, removed); });
}

namespace {

/// Why prune leaves a worktree that is there alone; empty if it may go.
std::string reason_to_keep(effects& fx, const prune_candidate& candidate, timestamp before) {
  const auto& row = candidate.row;
  if (candidate.in_use)
    return fmt::format("session #{} is using it", *row.owner_session_id);
  if (candidate.resumable)
    return fmt::format("session #{} can be resumed", *row.owner_session_id);
  if (row.created_at > before)
    return "it is not old enough";
  return find_unsaved_work(fx, row).words();
}

/// The directory is gone: git's metadata and the row follow.
void forget_missing(effects& fx, const worktree& row) {
  try {
    fx.repository().remove_worktree(row.path);
  } catch (const request_error& e) {
    if (e.code != errc::not_found)
      throw;
  }
  fx.store_anyway([id = row.id](tx& t) { mark_removed(t, id); });
}

} // namespace

pruned_worktrees prune_worktrees(effects& fx, const worktree_prune& request) {
  constexpr int64_t hour_us = 3'600'000'000;
  auto before = timestamp{fx.around.now().us - request.older_than_hours * hour_us};
  pruned_worktrees pruned;
  for (const auto& candidate : fx.store([](tx& t) { return prune_candidates(t); })) {
    const auto& row = candidate.row;
    try {
      std::error_code unreadable; // counts as there
      if (!fs::exists(row.path, unreadable) && !unreadable) {
        // Its branch stays, and with it whatever was committed.
        if (!request.dry_run)
          forget_missing(fx, row);
        pruned.removed.push_back(row.path);
        continue;
      }
      if (auto reason = reason_to_keep(fx, candidate, before); !reason.empty()) {
        pruned.kept.push_back({row.path, reason});
        continue;
      }
      auto bytes = disk_use(row.path);
      if (!request.dry_run)
        remove_from_disk(fx, row, false);
      pruned.removed.push_back(row.path);
      pruned.reclaimed_bytes += bytes;
    } catch (const request_error& e) {
      pruned.kept.push_back({row.path, e.what()});
    }
  }
  return pruned;
}

void prune_by_itself(effects& fx) {
  worktree_prune request;
  request.dry_run = false;
  request.older_than_hours = fx.loops().config.prune_after_hours;
  auto pruned = prune_worktrees(fx, request);
  for (const auto& path : pruned.removed)
    log_info("removed the worktree {}", path);
}

} // namespace orch
