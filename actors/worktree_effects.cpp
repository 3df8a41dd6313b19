#include "actors/worktree_effects.hpp"

#include "actors/slug.hpp"
#include "io/turnstile.hpp"
#include "storage/locks.hpp"
#include "storage/sessions.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <fstream>
#include <set>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// A wanted name may be taken; then it gets -2, -3, ... up to this.
constexpr int most_suffixes = 1'000;

bool is_free(effects& fx, const fs::path& path, const std::string& branch) {
  if (fs::exists(path) || fx.repository().branch_exists(branch))
    return false;
  return !fx.store(
    [path = path.string(), branch](tx& t) { return worktree_name_taken(t, path, branch); });
}

std::string unmerged_base(git& repository, const worktree& of,
                          const std::optional<worktree>& parent) {
  auto base = parent ? parent->branch : repository.main_branch();
  auto commit = repository.commit_of("refs/heads/" + base);
  if (!commit)
    commit = repository.commit_of("HEAD");
  if (!commit)
    throw request_error{
      errc::failed_precondition,
      fmt::format("worktree #{}: branch {} to compare with is gone", of.id, base)};
  return *commit;
}

std::optional<worktree> parent_of(effects& fx, const worktree& child) {
  if (!child.parent_worktree_id || child.kind != "task_branch")
    return {};
  return fx.store(
    [id = *child.parent_worktree_id](tx& t) { return t.find<worktree>("worktrees", id); });
}

worktree plan_only(effects& fx, worktree row) {
  return fx.store([row](tx& t) {
    if (worktree_name_taken(t, row.path, row.branch))
      throw request_error{
        errc::conflict,
        fmt::format("branch {} or path {} belongs to another worktree", row.branch, row.path),
        {{"branch", row.branch}, {"path", row.path}}};
    if (row.task_id)
      t.must_exist("tasks", *row.task_id, "task");
    auto made = row;
    made.status = "planned";
    insert_worktree(t, made, "");
    t.changed();
    return made;
  });
}

void task_must_exist(effects& fx, const std::optional<int64_t>& task_id) {
  if (task_id)
    fx.store([id = *task_id](tx& t) { t.must_exist("tasks", id, "task"); });
}

} // namespace

fs::path worktrees_dir(const surroundings& around) {
  return around.state_dir / "worktrees";
}

fs::path checked_worktree_path(const surroundings& around, const std::string& path) {
  if (path.find('\0') != std::string::npos)
    throw bad_param("path", "path must not contain NUL");
  auto full = fs::weakly_canonical(around.repo_root / path);
  auto inside = full.lexically_relative(around.repo_root);
  auto first = inside.empty() ? fs::path{} : *inside.begin();
  if (inside.empty() || inside == "." || first == ".." || first == ".git")
    throw bad_param(
      "path", fmt::format("path must lie inside the repository {}", around.repo_root.string()));
  auto below_worktrees = full.lexically_relative(worktrees_dir(around));
  if (first == ".codex-orch" && (below_worktrees == "." || *below_worktrees.begin() == ".."))
    throw bad_param("path", "below .codex-orch only .codex-orch/worktrees/NAME is for worktrees");
  return full;
}

void check_branch_name(std::string_view field, const std::string& branch) {
  if (auto problem = git::bad_branch_name(branch))
    throw bad_param(field, fmt::format("{} cannot be a branch name: {}", field, *problem));
}

std::string commit_for(git& repository, std::string_view field, const std::string& ref) {
  auto commit = repository.commit_of(ref);
  if (commit)
    return *commit;
  if (ref == "HEAD")
    throw request_error{errc::failed_precondition,
                        "the repository has no commit yet; make a first commit"};
  throw bad_param(field, fmt::format("{} names no commit of the repository", field));
}

worktree make_worktree(effects& fx, new_worktree wanted,
                       const std::function<void(tx&, const worktree&)>& also) {
  auto path = wanted.path.string();
  auto planned =
    fx.store([=](tx& t) { return plan_worktree(t, path, wanted.branch, wanted.base_commit); });
  auto made = false;
  try {
    fx.repository().add_worktree(wanted.path, wanted.branch, wanted.base_commit);
    made = true;
    return fx.store([=](tx& t) {
      auto row = wanted.row;
      row.path = path;
      row.branch = wanted.branch;
      insert_worktree(t, row, wanted.base_commit);
      if (wanted.slug)
        t.run("UPDATE worktrees SET slug = ? WHERE id = ?", *wanted.slug, row.id);
      also(t, row);
      forget_intent(t, planned.id);
      t.changed();
      return row;
    });
  } catch (...) {
    // If even this fails, the intent stays and the next server to start undoes it.
    if (made) {
      fx.repository().remove_worktree(wanted.path);
      fx.repository().delete_branch(wanted.branch, wanted.base_commit);
    }
    fx.store([=](tx& t) { forget_intent(t, planned.id); });
    throw;
  }
}

worktree create_worktree(effects& fx, const worktree_create& request) {
  check_branch_name("branch", request.branch);
  worktree row;
  row.task_id = request.task_id;
  row.kind = "task_branch";
  row.branch = request.branch;
  auto path = request.path ? checked_worktree_path(fx.around, *request.path)
                           : worktrees_dir(fx.around) / directory_name(request.branch);
  row.path = path.string();
  task_must_exist(fx, request.task_id);
  if (!request.create_on_disk)
    return plan_only(fx, row);
  auto base = commit_for(fx.repository(), "base_ref", request.base_ref);
  return make_worktree(fx, {row, request.branch, path, base}, [](tx&, const worktree&) {});
}

worktree spawn_worktree(effects& fx, const worktree_spawn& request) {
  auto parent = fx.store([=](tx& t) {
    if (request.task_id)
      t.must_exist("tasks", *request.task_id, "task");
    return get_own_worktree(t, request.session_id, request.parent_worktree_id,
                            "parent_worktree_id");
  });
  auto slug = make_slug(request.slug.value_or(request.reason.value_or("")));
  if (slug.empty())
    slug = "work";
  new_worktree wanted;
  wanted.row.task_id = request.task_id;
  wanted.row.kind = "task_branch";
  wanted.row.parent_worktree_id = parent.id;
  wanted.row.owner_session_id = request.session_id;
  for (int n = 1; n <= most_suffixes; ++n) {
    wanted.slug = n == 1 ? slug : fmt::format("{}-{}", slug, n);
    wanted.branch =
      request.branch.value_or(fmt::format("task/{}/{}", request.session_id, *wanted.slug));
    check_branch_name("branch", wanted.branch);
    wanted.path = request.path ? checked_worktree_path(fx.around, *request.path)
                               : worktrees_dir(fx.around) / directory_name(wanted.branch);
    // Names that were given must be had as they are; only our own get a suffix.
    if (request.branch || is_free(fx, wanted.path, wanted.branch))
      break;
  }
  wanted.row.branch = wanted.branch;
  wanted.row.path = wanted.path.string();
  if (!request.create_on_disk)
    return plan_only(fx, wanted.row);
  wanted.base_commit = commit_for(fx.repository(), "base_ref",
                                  request.base_ref.value_or("refs/heads/" + parent.branch));
  return make_worktree(fx, wanted, [](tx&, const worktree&) {});
}

worktree_state look_at_worktree(effects& fx, const worktree_status& request) {
  worktree_state state;
  state.worktree =
    fx.store([&](tx& t) { return t.get<worktree>("worktrees", request.worktree_id, "worktree"); });
  state.worktree.exists_on_disk = fs::is_directory(state.worktree.path);
  if (!*state.worktree.exists_on_disk)
    throw request_error{
      errc::failed_precondition,
      fmt::format("worktree #{} is {} and not on disk", state.worktree.id, state.worktree.status),
      {{"status", state.worktree.status}, {"path", state.worktree.path}}};
  auto& repository = fx.repository();
  auto head = repository.head(state.worktree.path);
  state.branch = head.branch;
  state.head = head.commit;
  if (!(fx.repository().layout().bare && state.worktree.kind == "main")) {
    auto changes = repository.changes(state.worktree.path);
    state.dirty_files = std::move(changes.dirty);
    state.untracked = std::move(changes.untracked);
  }
  if (head.commit) {
    auto base = unmerged_base(repository, state.worktree, parent_of(fx, state.worktree));
    auto distance = repository.distance(base, *head.commit);
    state.ahead = distance.ahead;
    state.behind = distance.behind;
  }
  state.disk_bytes = disk_use(state.worktree.path);
  return state;
}

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

/// Commits of `head` that neither main nor the parent's branch has.
int64_t commits_only_in(effects& fx, const worktree& of, const std::string& head) {
  auto& repository = fx.repository();
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

removed_worktree remove_from_disk(effects& fx, const worktree& row, bool force) {
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
      removed.backup_ref =
        fmt::format("refs/codex-orch/backup/{}-{}-{}", row.branch, row.id, fx.around.now().us);
      back_up(fx, row, *removed.backup_ref, tip);
    }
    removed.reclaimed_bytes = fs::is_directory(row.path) ? disk_use(row.path) : 0;
    take_off_disk(fx, row, tip);
  }
  removed.worktree = fx.store([id = row.id](tx& t) { return mark_removed(t, id); });
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
  return remove_from_disk(fx, row, request.force);
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
  fx.store([id = row.id](tx& t) { mark_removed(t, id); });
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

} // namespace orch
