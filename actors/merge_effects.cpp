#include "actors/merge_effects.hpp"

#include "actors/conflict_radar.hpp"
#include "actors/reviewer_effects.hpp"
#include "io/turnstile.hpp"
#include "storage/locks.hpp"
#include "storage/merge_queue.hpp"
#include "storage/sessions.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace orch {

namespace fs = std::filesystem;

namespace {

struct family {
  worktree child;
  worktree parent;
};

family find_family(effects& fx, const worktree_merge_to_parent& request) {
  return fx.store([&](tx& t) {
    auto child = get_own_worktree(t, request.session_id, request.worktree_id, "worktree_id");
    if (!child.parent_worktree_id || child.kind != "task_branch")
      throw request_error{errc::failed_precondition,
                          fmt::format("worktree #{} has no parent to merge into", child.id),
                          {{"kind", child.kind}}};
    // One that was merged and worked on since is merged again.
    if (child.merge_state != "active" && child.merge_state != "merged_to_parent")
      throw request_error{errc::failed_precondition,
                          fmt::format("worktree #{} is {}", child.id, child.merge_state),
                          {{"merge_state", child.merge_state}}};
    return family{child,
                  t.get<worktree>("worktrees", *child.parent_worktree_id, "parent worktree")};
  });
}

std::string head_commit(git& repository, const worktree& of) {
  auto head = fs::is_directory(of.path) ? repository.head(of.path) : git_head{of.branch, {}};
  if (head.branch != of.branch)
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{} has {} checked out, not its branch {}", of.id,
                                    head.branch.empty() ? "no branch" : head.branch, of.branch),
                        {{"branch", of.branch}}};
  auto commit = head.commit ? head.commit : repository.commit_of("refs/heads/" + of.branch);
  if (!commit)
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{}: branch {} has no commit", of.id, of.branch)};
  return *commit;
}

void must_be_committed(git& repository, const worktree& of) {
  if (!fs::is_directory(of.path))
    return;
  auto changes = repository.changes(of.path);
  if (changes.none())
    return;
  auto files = changes.dirty;
  files.insert(files.end(), changes.untracked.begin(), changes.untracked.end());
  throw request_error{
    errc::failed_precondition,
    fmt::format("worktree #{} has {} uncommitted files; commit them first", of.id, files.size()),
    {{"files", files}}};
}

/// Merges the commits and moves the parent; returns the commit the parent is at then.
std::string merge_into(git& repository, const family& who) {
  auto ours = head_commit(repository, who.parent);
  auto theirs = head_commit(repository, who.child);
  if (repository.distance(ours, theirs).ahead == 0)
    return ours;
  auto merged = repository.merge(ours, theirs);
  if (!merged.conflicts.empty())
    throw request_error{errc::conflict,
                        fmt::format("{} and {} conflict in {}; merge {} into {} in {}, resolve and "
                                    "commit, then call this again",
                                    who.child.branch, who.parent.branch,
                                    fmt::join(merged.conflicts, ", "), who.parent.branch,
                                    who.child.branch, who.child.path),
                        {{"paths", merged.conflicts}}};
  auto commit = repository.commit(
    merged.tree, {ours, theirs},
    fmt::format("Merge branch '{}' into {}", who.child.branch, who.parent.branch));
  if (fs::is_directory(who.parent.path))
    repository.fast_forward(who.parent.path, commit);
  else
    repository.update_ref("refs/heads/" + who.parent.branch, commit, ours);
  return commit;
}

/// A child that was merged once may have new commits; git knows.
void children_must_be_merged(effects& fx, const worktree& parent, const std::string& head) {
  auto children = fx.store([id = parent.id](tx& t) { return live_children(t, id); });
  auto unmerged = json::array();
  for (const auto& child : children) {
    auto commit = fx.repository().commit_of("refs/heads/" + child.branch);
    if (commit && fx.repository().distance(head, *commit).ahead > 0)
      unmerged.push_back(child.id);
  }
  if (!unmerged.empty())
    throw request_error{
      errc::failed_precondition,
      fmt::format("{} of the child worktrees have commits that are not merged yet",
                  unmerged.size()),
      {{"worktree_ids", unmerged}}};
}

int64_t rounded_up_quarters(int64_t minutes) {
  return (minutes + 14) / 15;
}

/// Is `path` or something below it among `changed`?
bool touches(const std::set<std::string>& changed, const std::string& path) {
  if (path == ".")
    return !changed.empty();
  auto below = changed.lower_bound(path + "/");
  return changed.contains(path) || (below != changed.end() && below->starts_with(path + "/"));
}

int64_t count_conflicts(effects& fx, const std::vector<std::string>& wanted,
                        std::vector<std::string>& reasons) {
  auto others = fx.radar().changed(fx);
  // What one's own session has changed is no conflict.
  std::erase_if(others, [&](const changed_worktree& x) {
    return x.row.kind != "main" && fx.from.session_id
           && x.row.owner_session_id == fx.from.session_id;
  });
  int64_t conflicts = 0;
  for (const auto& given : wanted) {
    auto path = normalize_path(fx.around, "paths", given);
    auto locked = fx.store([path](tx& t) { return locks_on(t, path); }) > 0;
    std::vector<std::string> where;
    for (const auto& other : others)
      if (touches(other.paths, path))
        where.push_back(fmt::format("#{}", other.row.id));
    if (locked)
      reasons.push_back(fmt::format("{} is leased", path));
    if (!where.empty())
      reasons.push_back(
        fmt::format("{} is changed in another worktree: {}", path, fmt::join(where, ", ")));
    conflicts += locked || !where.empty() ? 1 : 0;
  }
  return conflicts;
}

/// Starts a reviewer for what was queued; it stays queued if that fails, and the answer says why.
void dispatch_review(effects& fx, const merge_main_request& request, queued_main_merge& queued) {
  if (!request.merge_request_id) {
    queued.review_dispatch_error =
      error_note{"invalid_params", "auto_review needs merge_request_id"};
    return;
  }
  merge_review_request_auto review;
  review.session_id = request.session_id;
  review.merge_request_id = *request.merge_request_id;
  review.reviewer_role = request.reviewer_role.value_or(review.reviewer_role);
  review.agent_guide_path = request.agent_guide_path;
  // The queue asks for the verdict; nothing needs to stand still meanwhile.
  review.hold_main_lock = false;
  try {
    queued.review_dispatch = start_review(fx, review);
  } catch (const request_error& e) {
    queued.review_dispatch_error = error_note{std::string{error_word(e.code)}, e.what()};
  }
}

} // namespace

merged_worktree merge_to_parent(effects& fx, const worktree_merge_to_parent& request) {
  // Two children of one parent are merged one after the other.
  turnstile one_at_a_time{fx.around.state_dir / "merge.lock"};
  one_at_a_time.enter();
  auto who = find_family(fx, request);
  auto& repository = fx.repository();
  must_be_committed(repository, who.child);
  merged_worktree merged;
  merged.merge_commit = merge_into(repository, who);
  merged.parent_worktree = who.parent;
  merged.outcome = "merged_to_parent";
  fx.store_anyway([&](tx& t) {
    merged.child_worktree = mark_merged_to_parent(t, who.child.id);
    fx.conclude(t, merged);
  });
  return merged;
}

decide_result decide_worktree(effects& fx, const scheduler_decide_worktree& request) {
  auto own_worktree_from = fx.around.own_worktree_from_score;
  decide_result decided;
  auto count = request.paths ? static_cast<int64_t>(request.paths->size()) : 0;
  auto conflicts = request.conflicting_paths.value_or(0);
  if (request.paths && !request.conflicting_paths)
    conflicts = count_conflicts(fx, *request.paths, decided.reasons);
  auto add = [&](std::string_view what, int64_t value, int64_t points) {
    decided.score += points;
    if (points > 0)
      decided.reasons.push_back(fmt::format("{} {}: +{}", what, value, points));
  };
  auto files = request.changed_files.value_or(count);
  auto minutes = request.estimate_minutes.value_or(0);
  auto risk = request.risk.value_or(0);
  auto workers = request.parallel_workers.value_or(0);
  add("changed_files", files, files);
  add("estimate_minutes", minutes, rounded_up_quarters(minutes));
  add("risk", risk, 3 * risk);
  add("parallel_workers", workers, 2 * workers);
  add("conflicting_paths", conflicts, 2 * conflicts);
  decided.mode = decided.score >= own_worktree_from ? "worktree" : "shared";
  decided.reasons.push_back(
    fmt::format("score {}: a worktree of its own from {} on", decided.score, own_worktree_from));
  return decided;
}

queued_main_merge request_main_merge(effects& fx, const merge_main_request& request) {
  auto from = fx.store([&](tx& t) { return check_main_request(t, request); });
  auto& repository = fx.repository();
  auto target = request.target_branch.value_or(fx.main_branch());
  if (auto problem = git::bad_branch_name(target))
    throw bad_param("target_branch", fmt::format("target_branch: {}", *problem));
  if (!repository.branch_exists(target))
    throw request_error{errc::failed_precondition,
                        fmt::format("target branch {} does not exist", target),
                        {{"field", "target_branch"}}};
  if (auto other = repository.other_name_of(target))
    target = *other;
  if (target == from.branch)
    throw bad_param("target_branch", "target_branch is the branch that is to be merged");
  must_be_committed(repository, from);
  auto head = head_commit(repository, from);
  children_must_be_merged(fx, from, head);
  queued_main_merge queued;
  fx.store([&](tx& t) {
    queued.main_merge_request = queue_main_merge(t, request, target, head);
    fx.conclude(t, queued); // and once more with the reviewer
  });
  if (request.auto_review.value_or(request.merge_request_id.has_value()))
    dispatch_review(fx, request, queued);
  fx.store([&](tx& t) { fx.conclude(t, queued); });
  return queued;
}

review_context gather_review_context(effects& fx, const merge_review_context& request) {
  auto context = fx.store([&](tx& t) { return get_review_context(t, request); });
  auto queued = fx.store([&](tx& t) { return queued_for(t, request.merge_request_id); });
  if (!queued || !queued->head_sha)
    return context;
  auto& repository = fx.repository();
  auto target = repository.commit_of("refs/heads/" + queued->target_branch);
  if (target && repository.commit_of(*queued->head_sha))
    context.diffstat = repository.diffstat(*target, *queued->head_sha);
  return context;
}

} // namespace orch
