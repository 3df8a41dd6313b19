#include "storage/merge_runs.hpp"

#include "storage/merge_queue.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

constexpr int64_t us_per_minute = 60'000'000;

main_merge_request get_entry(tx& t, int64_t id) {
  return t.get<main_merge_request>("merge_main_queue", id, "main merge request");
}

void store(tx& t, main_merge_request& entry, std::string_view what) {
  entry.updated_at = t.now;
  t.update("merge_main_queue", entry);
  t.changed(what, {{"request_id", entry.id},
                   {"worktree_id", entry.from_worktree_id},
                   {"session_id", entry.session_id},
                   {"merge_request_id", entry.merge_request_id.value_or(0)}});
}

merge_run get_run(tx& t, int64_t id) {
  return t.get<merge_run>("merge_runs", id, "merge run");
}

void store(tx& t, merge_run& run) {
  run.updated_at = t.now;
  t.update("merge_runs", run);
}

bool is_main_lock(tx& t, int64_t token) {
  return t
    .number("SELECT 1 FROM merge_main_lock WHERE state = 'locked' AND lease_until > ? AND "
            "token = ?",
            t.now, token)
    .has_value();
}

/// The run moves nothing any more.
void stand_still(tx& t, merge_run& run) {
  run.state = "merging";
  run.base_commit.reset();
  run.to_commit.reset();
  store(t, run);
}

request_error lost_lock(tx& t) {
  auto held = get_main_lock(t);
  if (held.holder_session_id)
    return main_lock_conflict(held);
  return {errc::conflict, "the main merge lock has ended; what was begun stays queued"};
}

/// Whether the review of exactly that head has approved it.
std::optional<wait_reason> review_missing(tx& t, const main_merge_request& x) {
  if (!x.merge_request_id)
    return wait_reason{"review_wanted", "nobody was asked to review it: it has no merge request"};
  auto request =
    t.get<merge_request_record>("merge_requests", *x.merge_request_id, "merge request");
  if (request.status != "approved")
    return wait_reason{request.status == "rejected" ? "review_blocked" : "review_pending",
                       fmt::format("merge request #{} is {}", request.id, request.status)};
  auto of_this_head = t.number("SELECT 1 FROM review_jobs WHERE merge_request_id = ? AND state = "
                               "'completed' AND verdict = 'approve' AND head_sha = ?",
                               request.id, x.head_sha);
  if (of_this_head)
    return {};
  return wait_reason{"review_outdated",
                     fmt::format("merge request #{} was approved for another commit than {}",
                                 request.id, x.head_sha.value_or("none"))};
}

} // namespace

std::string name_of_run(int64_t id) {
  return fmt::format("merge run {}", id);
}

std::vector<main_merge_request> queue_in_order(tx& t, const std::optional<std::string>& target) {
  // A clock that was set back makes nobody younger than new.
  return t.select<main_merge_request>(
    "FROM merge_main_queue WHERE state = 'queued' AND (?1 IS NULL OR target_branch = ?1) ORDER BY "
    "priority + max(0, ?2 - created_at) / ?3 DESC, id",
    target, t.now, t.around.merging.ageing_minutes * us_per_minute);
}

std::optional<wait_reason> why_not_ready(tx& t, const main_merge_request& x) {
  const auto& policy = t.around.merging.review;
  if (policy == "never" || (policy == "if_requested" && !x.merge_request_id))
    return {};
  return review_missing(t, x);
}

std::optional<int64_t> main_lock_token(tx& t, int64_t holder) {
  return t.number("SELECT token FROM merge_main_lock WHERE state = 'locked' AND lease_until > ? "
                  "AND holder_session_id = ?",
                  t.now, holder);
}

int64_t must_hold_main_lock(tx& t, int64_t holder) {
  if (auto token = main_lock_token(t, holder))
    return *token;
  throw request_error{errc::failed_precondition,
                      fmt::format("session #{} does not hold the main merge lock; "
                                  "merge.main.acquire_lock gives it",
                                  holder),
                      {{"lock", json::parse(to_json_text(get_main_lock(t)))}}};
}

merge_run begin_run(tx& t, const std::string& target, int64_t holder,
                    const std::vector<int64_t>& request_ids) {
  auto token = must_hold_main_lock(t, holder);
  merge_run run;
  run.target_branch = target;
  run.token = token;
  run.server_id = t.around.server;
  run.created_at = run.updated_at = t.now;
  t.insert("merge_runs", run);
  for (auto id : request_ids) {
    auto entry = get_entry(t, id);
    if (entry.state != "queued" || why_not_ready(t, entry))
      continue;
    entry.state = "merging";
    entry.error_message.reset();
    entry.started_at = t.now;
    store(t, entry, "merge.started");
    t.run("UPDATE merge_main_queue SET run_id = ? WHERE id = ?", run.id, id);
  }
  return run;
}

std::vector<main_merge_request> requests_of(tx& t, int64_t run_id) {
  return t.select<main_merge_request>(
    "FROM merge_main_queue WHERE run_id = ? AND state = 'merging' ORDER BY id", run_id);
}

void put_aside(tx& t, int64_t request_id, const set_aside& how) {
  auto entry = get_entry(t, request_id);
  if (entry.state != "merging")
    return;
  entry.state = how.state;
  entry.error_message = how.why;
  entry.conflict_paths = how.conflict_paths;
  entry.conflicts_with_commit = how.conflicts_with_commit;
  if (how.conflicts_with_commit)
    entry.conflicts_with_request = request_of_commit(t, *how.conflicts_with_commit);
  entry.merge_commit.reset();
  entry.completed_at = t.now;
  store(t, entry,
        how.state == "conflict"        ? "merge.conflict"
        : how.state == "checks_failed" ? "merge.checks_failed"
                                       : "merge.failed");
  t.run("UPDATE merge_main_queue SET run_id = NULL WHERE id = ?", request_id);
}

void requeue(tx& t, int64_t request_id, const std::optional<std::string>& why) {
  auto entry = get_entry(t, request_id);
  if (entry.state != "merging")
    return;
  entry.state = "queued";
  entry.error_message = why;
  entry.merge_commit.reset();
  entry.started_at.reset();
  store(t, entry, "merge.requeued");
  t.run("UPDATE merge_main_queue SET run_id = NULL WHERE id = ?", request_id);
}

void note_check(tx& t, int64_t request_id, const std::string& log, bool flaky) {
  auto entry = get_entry(t, request_id);
  entry.check_log = log;
  entry.flaky = entry.flaky || flaky;
  store(t, entry, "merge.checked");
}

void begin_move(tx& t, int64_t run_id, const std::string& base, const std::string& to,
                const std::vector<merged_request>& merged) {
  auto run = get_run(t, run_id);
  if (!is_main_lock(t, run.token))
    throw lost_lock(t);
  run.state = "moving";
  run.base_commit = base;
  run.to_commit = to;
  store(t, run);
  for (const auto& one : merged)
    t.run("UPDATE merge_main_queue SET merge_commit = ? WHERE id = ? AND run_id = ? AND state = "
          "'merging'",
          one.commit, one.id, run_id);
  t.changed("merge.moving", {{"run_id", run_id}});
}

void note_update(tx& t, int64_t run_id) {
  // The time stays that of the move: what is newer may be of it.
  t.run("UPDATE merge_runs SET state = 'updating' WHERE id = ?", run_id);
}

void finish_move(tx& t, int64_t run_id) {
  auto run = get_run(t, run_id);
  for (auto& entry : requests_of(t, run_id)) {
    if (!entry.merge_commit)
      continue;
    entry.state = "merged";
    entry.error_message.reset();
    entry.completed_at = t.now;
    store(t, entry, "merge.merged");
    t.run("UPDATE merge_main_queue SET run_id = NULL WHERE id = ?", entry.id);
    t.run("UPDATE worktrees SET merge_state = 'merged_to_main', merged_at = ? WHERE id = ?", t.now,
          entry.from_worktree_id);
    if (entry.merge_request_id)
      t.run("UPDATE merge_requests SET status = 'merged', updated_at = ? WHERE id = ?", t.now,
            *entry.merge_request_id);
  }
  stand_still(t, run);
}

void give_up_move(tx& t, int64_t run_id) {
  t.run("UPDATE merge_main_queue SET merge_commit = NULL WHERE run_id = ? AND state = 'merging'",
        run_id);
  auto run = get_run(t, run_id);
  stand_still(t, run);
  t.changed("merge.move_given_up", {{"run_id", run_id}});
}

void end_run(tx& t, int64_t run_id, const std::optional<std::string>& why) {
  for (const auto& entry : requests_of(t, run_id))
    requeue(t, entry.id, why);
  if (t.run("DELETE FROM merge_runs WHERE id = ?", run_id) > 0)
    t.changed("merge.run_ended", {{"run_id", run_id}});
}

bool has_run(tx& t, int64_t holder) {
  return t.number("SELECT 1 FROM merge_runs WHERE token = ?", main_lock_token(t, holder))
    .has_value();
}

std::vector<int64_t> live_runs(tx& t) {
  return t.numbers("SELECT id FROM merge_runs");
}

std::string queue_fingerprint(tx& t) {
  std::string text;
  for (const auto& x : queue_in_order(t))
    text += fmt::format("{} {} {}\n", x.id, x.head_sha.value_or(""),
                        why_not_ready(t, x) ? "waits" : "ready");
  return text;
}

std::vector<merge_run> orphaned_runs(tx& t) {
  auto runs = t.select<merge_run>("FROM merge_runs ORDER BY id");
  std::erase_if(runs, [&](const merge_run& run) {
    return t.around.at_work(run.server_id, name_of_run(run.id));
  });
  return runs;
}

std::optional<std::string> log_of_passed(tx& t, const std::string& tree,
                                         const std::string& command) {
  auto statement =
    t.db.prepare("SELECT coalesce(log, '') FROM passed_trees WHERE tree = ? AND command = ?");
  bind_all(*statement, tree, command);
  if (!statement->executeStep())
    return {};
  return statement->getColumn(0).getString();
}

void note_passed(tx& t, const std::string& tree, const std::string& command,
                 const std::string& log) {
  t.run("DELETE FROM passed_trees WHERE passed_at < ?",
        timestamp{t.now.us - std::chrono::microseconds{kept_checks}.count()});
  t.run("INSERT OR REPLACE INTO passed_trees(tree, command, log, passed_at) VALUES(?, ?, ?, ?)",
        tree, command, log, t.now);
}

std::optional<int64_t> request_of_commit(tx& t, const std::string& commit) {
  return t.number("SELECT id FROM merge_main_queue WHERE merge_commit = ? AND state = 'merged' "
                  "ORDER BY id LIMIT 1",
                  commit);
}

void keep_main_lock(tx& t, int64_t token, int64_t ttl_seconds) {
  if (!is_main_lock(t, token))
    throw lost_lock(t);
  t.run("UPDATE merge_main_lock SET lease_until = max(lease_until, ?) WHERE id = 1",
        plus_seconds(t.now, ttl_seconds));
}

} // namespace orch
