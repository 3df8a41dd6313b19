#include "actors/merge_candidates.hpp"

#include "storage/merge_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// So far back it is looked for whom a branch conflicts with.
constexpr std::size_t most_looked_back = 2'000;

std::optional<wait_reason> why_not(effects& fx, const main_merge_request& x) {
  if (auto reason = fx.look([&](tx& t) { return why_not_ready(t, x); }))
    return reason;
  return why_not_in_git(fx, x);
}

/// Nothing will make it mergeable as it was asked for.
bool is_final(const wait_reason& why) {
  return why.code == "branch_gone" || why.code == "branch_moved" || why.code == "target_gone"
         || why.code == "target_renamed";
}

/// Decides it without a run.
void fail_request(effects& fx, int64_t id, const std::string& why) {
  fx.store([&](tx& t) {
    auto entry = t.get<main_merge_request>("merge_main_queue", id, "main merge request");
    if (entry.state != "queued")
      return;
    entry.state = "merging";
    t.update("merge_main_queue", entry);
    put_aside(t, id, {"failed", why});
  });
}

void add_if_ready(effects& fx, merge_batch& batch, const main_merge_request& x) {
  auto why = why_not(fx, x);
  if (!why) {
    batch.target = x.target_branch;
    batch.ids.push_back(x.id);
    return;
  }
  if (is_final(*why))
    fail_request(fx, x.id, why->message);
  if (batch.why_none.empty())
    batch.why_none = fmt::format("request #{}: {}", x.id, why->message);
}

/// Why its commit cannot be merged as the target is now.
std::optional<wait_reason> merge_trouble(git& repository, const main_merge_request& x) {
  auto tip = repository.commit_of("refs/heads/" + x.target_branch);
  if (!tip || !x.head_sha || !repository.commit_of(*x.head_sha))
    return {};
  try {
    auto conflicts = repository.merge(*tip, *x.head_sha).conflicts;
    if (conflicts.empty())
      return {};
    return wait_reason{
      "would_conflict",
      fmt::format("it conflicts with {} in {}", x.target_branch, fmt::join(conflicts, ", ")),
      raw_json{json{{"paths", conflicts}}.dump(-1, ' ', false, json::error_handler_t::replace)}};
  } catch (const request_error& e) {
    return wait_reason{"cannot_merge", e.what()};
  }
}

wait_reason must_be_queued(const main_merge_request& x) {
  return {x.state, fmt::format("main merge request #{} is {}", x.id, x.state)};
}

} // namespace

std::optional<wait_reason> why_not_in_git(effects& fx, const main_merge_request& x) {
  auto from =
    fx.look([&](tx& t) { return t.get<worktree>("worktrees", x.from_worktree_id, "worktree"); });
  auto& repository = fx.repository();
  if (!repository.branch_exists(x.target_branch))
    return wait_reason{"target_gone",
                       fmt::format("the target branch {} does not exist", x.target_branch)};
  if (auto other = repository.other_name_of(x.target_branch))
    return wait_reason{"target_renamed", fmt::format("{} is another name of {}; queue it for that",
                                                     x.target_branch, *other)};
  auto head = repository.commit_of("refs/heads/" + from.branch);
  if (!head || !x.head_sha)
    return wait_reason{"branch_gone",
                       fmt::format("branch {} does not exist any more", from.branch)};
  if (*head != *x.head_sha)
    return wait_reason{"branch_moved",
                       fmt::format("branch {} has moved from {} to {} since it was queued; queue "
                                   "it again",
                                   from.branch, *x.head_sha, *head)};
  if (!fs::is_directory(from.path))
    return {};
  git_changes changes;
  try {
    changes = repository.changes(from.path);
  } catch (const request_error& e) {
    return wait_reason{"worktree_unreadable",
                       fmt::format("worktree #{} cannot be looked at: {}", from.id, e.what())};
  }
  if (changes.none())
    return {};
  auto files = changes.dirty;
  files.insert(files.end(), changes.untracked.begin(), changes.untracked.end());
  return wait_reason{
    "worktree_dirty", fmt::format("worktree #{} has {} uncommitted files", from.id, files.size()),
    raw_json{json{{"files", files}}.dump(-1, ' ', false, json::error_handler_t::replace)}};
}

merge_batch next_batch(effects& fx, const std::optional<int64_t>& only) {
  merge_batch batch;
  if (only) {
    auto x = fx.look([&](tx& t) {
      return t.get<main_merge_request>("merge_main_queue", *only, "main merge request");
    });
    auto why = x.state == "queued" ? why_not(fx, x) : must_be_queued(x);
    if (why && x.state == "queued" && is_final(*why))
      fail_request(fx, x.id, why->message);
    if (why)
      throw request_error{
        errc::failed_precondition, why->message, {{"reason", why->code}, {"request_id", x.id}}};
    return {x.target_branch, {x.id}, {}};
  }
  auto most = static_cast<std::size_t>(fx.around.merging.batch_size);
  for (const auto& x : fx.look([](tx& t) { return queue_in_order(t); })) {
    if (batch.ids.size() >= most || fx.given_up())
      break;
    if (batch.ids.empty() || x.target_branch == batch.target)
      add_if_ready(fx, batch, x);
  }
  if (batch.ids.empty() && batch.why_none.empty())
    batch.why_none = "nothing is queued";
  return batch;
}

bool batch_is_due(effects& fx) {
  const auto& config = fx.around.merging;
  return fx.look([&](tx& t) {
    auto line = queue_in_order(t);
    std::erase_if(line, [&](const auto& x) { return why_not_ready(t, x).has_value(); });
    auto has_waited = [&](const main_merge_request& x) {
      return plus_seconds(x.created_at, config.batch_wait_seconds) <= t.now;
    };
    return std::ssize(line) >= config.batch_size
           || std::any_of(line.begin(), line.end(), has_waited) || !orphaned_runs(t).empty();
  });
}

std::optional<std::string> first_in_conflict(git& repository, const std::string& tip,
                                             const std::string& head) {
  auto base = repository.merge_base(tip, head);
  if (!base)
    return {};
  auto line = repository.mainline(*base, tip);
  if (line.size() > most_looked_back)
    line.erase(line.begin(), line.end() - most_looked_back);
  // What conflicts once usually goes on doing so, so half of them need not be looked at each time.
  auto first = std::partition_point(line.begin(), line.end(), [&](const std::string& commit) {
    return repository.merge(commit, head).conflicts.empty();
  });
  return first == line.end() ? std::nullopt : std::optional{*first};
}

fs::path scratch_directory_of(const surroundings& around, int64_t run_id) {
  return around.state_dir / "queue" / fmt::format("run-{}", run_id);
}

std::string mark_of_run(const surroundings& around, int64_t run_id) {
  return fmt::format("{} {}", around.state_dir.string(), run_id);
}

explained_main_merge explain_main_merge(effects& fx, const merge_main_explain& request) {
  explained_main_merge explained;
  auto add = [&](std::string code, std::string message) {
    explained.reasons.push_back({std::move(code), std::move(message)});
  };
  auto status = fx.store([&](tx& t) { return get_main_merge(t, {request.request_id}); });
  explained.main_merge_request = status.main_merge_request;
  explained.position = status.position;
  const auto& x = explained.main_merge_request;
  if (x.state != "queued") {
    add(x.state, x.error_message.value_or(
                   x.state == "merged"    ? fmt::format("merged as {}", x.merge_commit.value_or(""))
                   : x.state == "merging" ? "it is being merged right now"
                                          : must_be_queued(x).message));
    return explained;
  }
  if (auto why = fx.look([&](tx& t) { return why_not_ready(t, x); }))
    explained.reasons.push_back(*why);
  if (auto why = why_not_in_git(fx, x))
    explained.reasons.push_back(*why);
  if (auto why = merge_trouble(fx.repository(), x))
    explained.reasons.push_back(*why);
  if (x.error_message)
    add("last_try", *x.error_message);
  if (status.position.value_or(1) > 1)
    add("not_its_turn", fmt::format("{} are before it in the queue", *status.position - 1));
  fx.store([&](tx& t) {
    auto holder = main_lock_holder(t);
    if (holder && *holder != x.session_id)
      add("lock_held", main_lock_conflict(get_main_lock(t)).what());
  });
  if (explained.reasons.empty())
    add("next", "it is next: merge.main.process merges it, or the loop merge_processing where the "
                "config has one");
  return explained;
}

} // namespace orch
