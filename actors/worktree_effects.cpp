#include "actors/worktree_effects.hpp"

#include "actors/recovery.hpp"
#include "actors/slug.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

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

worktree plan_only(effects& fx, worktree row) {
  return fx.store([&fx, row](tx& t) {
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
    t.changed("worktree.planned", {{"worktree_id", made.id}});
    fx.conclude(t, made);
    return made;
  });
}

void task_must_exist(effects& fx, const std::optional<int64_t>& task_id) {
  if (task_id)
    fx.store([id = *task_id](tx& t) { t.must_exist("tasks", id, "task"); });
}

/// Writes the intent. A worktree of that name that a dead server has left half made is undone
/// first.
intent plan(effects& fx, const new_worktree& wanted) {
  // Undoing an intent removes its branch and directory, so neither may have been there before.
  auto must_be_new = [&] {
    if (fx.repository().branch_exists(wanted.branch))
      throw request_error{errc::conflict,
                          fmt::format("a branch named {} exists already", wanted.branch),
                          {{"branch", wanted.branch}}};
    std::error_code ignored;
    if (fs::exists(wanted.path) && !fs::is_empty(wanted.path, ignored))
      throw request_error{errc::conflict,
                          fmt::format("{} is there already", wanted.path.string()),
                          {{"path", wanted.path.string()}}};
  };
  auto write = [&] {
    return fx.store([&](tx& t) {
      auto made = plan_worktree(t, wanted.path.string(), wanted.branch, wanted.base_commit);
      fx.hold(name_of(made));
      return made;
    });
  };
  try {
    must_be_new();
    return write();
  } catch (const request_error& e) {
    if (e.code != errc::conflict || !undo_orphans(fx))
      throw;
  }
  must_be_new();
  return write();
}

/// After a failure; `made`: of what came after git. If the storage failed, the transaction may have
/// been kept all the same: then its intent is gone, and the worktree stays. If it cannot even be
/// asked, the intent is an orphan from now on.
void undo_unless_kept(effects& fx, const intent& intended, bool made) {
  if (!fx.store_anyway([&](tx& t) { return is_intended(t, intended.id); }))
    return;
  if (made)
    undo_worktree(fx.repository(), intended);
  fx.store_anyway([&](tx& t) { forget_intent(t, intended.id); });
}

} // namespace

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

worktree make_worktree(effects& fx, const new_worktree& wanted,
                       const std::function<void(tx&, const worktree&)>& also) {
  auto intended = plan(fx, wanted);
  auto made = false;
  try {
    fx.repository().add_worktree(wanted.path, wanted.branch, wanted.base_commit);
    made = true;
    if (wanted.fill)
      wanted.fill(wanted.path);
    return fx.store([&](tx& t) {
      auto row = wanted.row;
      row.path = wanted.path.string();
      row.branch = wanted.branch;
      if (row.id == 0)
        insert_worktree(t, row, wanted.base_commit);
      else
        revive_worktree(t, row, wanted.base_commit);
      if (wanted.slug)
        t.run("UPDATE worktrees SET slug = ? WHERE id = ?", *wanted.slug, row.id);
      also(t, row);
      forget_intent(t, intended.id);
      // A session is opened with its worktree, which is one change.
      t.changed(row.kind == "session_root" ? "session.opened" : "worktree.created",
                {{"worktree_id", row.id}, {"session_id", row.owner_session_id.value_or(0)}});
      return row;
    });
  } catch (...) {
    undo_unless_kept(fx, intended, made);
    throw;
  }
}

void find_free_names(effects& fx, new_worktree& wanted) {
  auto branch = wanted.branch;
  auto path = wanted.path;
  for (int n = 2; n <= most_suffixes && !is_free(fx, wanted.path, wanted.branch); ++n) {
    wanted.branch = fmt::format("{}-{}", branch, n);
    wanted.path = fmt::format("{}-{}", path.string(), n);
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
  return make_worktree(fx, {row, request.branch, path, base},
                       [&](tx& t, const worktree& made) { fx.conclude(t, made); });
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
  return make_worktree(fx, wanted, [&](tx& t, const worktree& made) { fx.conclude(t, made); });
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

} // namespace orch
