#include "storage/review_rounds.hpp"

#include "storage/inbox.hpp"
#include "storage/merge_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

/// Pauses double up to this many times the first.
constexpr int64_t most_doublings = 10;

/// Jobs of a request since its last verdict, newest first.
struct rounds {
  int64_t failed = 0;
  bool running = false;
  bool given_up = false;
  std::optional<review_job> newest;
};

rounds rounds_of(tx& t, int64_t merge_request_id) {
  rounds found;
  found.newest = newest_review(t, merge_request_id);
  if (!found.newest)
    return found;
  found.running = found.newest->state == "running";
  found.failed =
    t.number(
       "SELECT count(*) FROM review_jobs WHERE merge_request_id = ?1 AND state = 'failed' AND "
       "id > coalesce((SELECT max(id) FROM review_jobs WHERE merge_request_id = ?1 AND state "
       "= 'completed'), 0)",
       merge_request_id)
      .value_or(0);
  found.given_up =
    t.number("SELECT given_up FROM review_jobs WHERE id = ?", found.newest->id).value_or(0) != 0;
  return found;
}

timestamp due_at(const rounds& so_far, const reviews_config& config) {
  auto doublings = std::clamp<int64_t>(so_far.failed - 1, 0, most_doublings);
  return plus_seconds(so_far.newest->updated_at, config.retry_seconds << doublings);
}

/// Whoever has taken over the work of a session, or that session.
int64_t heir_of(tx& t, int64_t session_id) {
  return t
    .number("WITH RECURSIVE heirs(id, depth) AS (SELECT ?, 0 UNION SELECT h.to_session_id, depth + "
            "1 FROM session_handoffs h, heirs ON h.from_session_id = heirs.id WHERE depth < 100) "
            "SELECT id FROM heirs ORDER BY depth DESC LIMIT 1",
            session_id)
    .value_or(session_id);
}

std::vector<wanted_round> unjudged(tx& t) {
  auto query = t.db.prepare(
    "SELECT r.id, coalesce((SELECT q.session_id FROM merge_main_queue q WHERE q.merge_request_id = "
    "r.id AND q.state = 'queued' ORDER BY q.id DESC LIMIT 1), (SELECT j.session_id FROM "
    "review_jobs j WHERE j.merge_request_id = r.id ORDER BY j.id DESC LIMIT 1)) AS asking FROM "
    "merge_requests r WHERE r.status = 'requested' AND asking IS NOT NULL ORDER BY r.id");
  std::vector<wanted_round> found;
  while (query->executeStep())
    found.push_back({query->getColumn(0).getInt64(), query->getColumn(1).getInt64(), 0});
  for (auto& one : found)
    one.session_id = heir_of(t, one.session_id);
  std::erase_if(found, [&](const wanted_round& one) {
    return !t.number("SELECT 1 FROM sessions WHERE id = ? AND status NOT IN ('closed', "
                     "'handoff_attached')",
                     one.session_id);
  });
  return found;
}

} // namespace

reviews_now reviews_wanted(tx& t, const reviews_config& config) {
  reviews_now now;
  now.running = t.number("SELECT count(*) FROM review_jobs WHERE state = 'running'").value_or(0);
  for (auto& one : unjudged(t)) {
    auto so_far = rounds_of(t, one.merge_request_id);
    one.failed_rounds = so_far.failed;
    if (so_far.running || so_far.given_up)
      continue;
    if (so_far.failed >= config.rounds)
      now.exhausted.push_back(one);
    else if (so_far.failed == 0 || due_at(so_far, config) <= t.now)
      now.due.push_back(one);
  }
  return now;
}

void note_failed_start(tx& t, const wanted_round& which, const std::string& why) {
  auto so_far = rounds_of(t, which.merge_request_id);
  if (so_far.running || so_far.failed != which.failed_rounds)
    return;
  review_job job;
  job.merge_request_id = which.merge_request_id;
  job.session_id = which.session_id;
  job.state = "failed";
  job.error_message = why;
  job.deadline = job.created_at = job.updated_at = t.now;
  job.completed_at = t.now;
  t.insert("review_jobs", job);
  t.changed("review.failed",
            {{"review_job_id", job.id}, {"merge_request_id", which.merge_request_id}});
}

void give_up_reviews(tx& t, const wanted_round& which, const reviews_config& config) {
  auto so_far = rounds_of(t, which.merge_request_id);
  if (so_far.running || so_far.given_up || so_far.failed < config.rounds)
    return;
  auto why = fmt::format("{} reviewers ended without a verdict on merge request #{}; the last: {}",
                         so_far.failed, which.merge_request_id,
                         so_far.newest->error_message.value_or("no reason is known"));
  t.run("UPDATE review_jobs SET given_up = 1 WHERE id = ?", so_far.newest->id);
  t.run("UPDATE merge_main_queue SET state = 'failed', error_message = ?, completed_at = ?, "
        "updated_at = ?2 WHERE merge_request_id = ? AND state = 'queued'",
        why, t.now, which.merge_request_id);
  t.changed("review.given_up", {{"merge_request_id", which.merge_request_id}});
  auto root = t.number("SELECT root_thread_id FROM sessions WHERE id = ?", which.session_id);
  auto sender = so_far.newest->reviewer_thread_id;
  if (!sender)
    sender = root;
  if (root && sender)
    send_to_inbox(
      t, {*sender, *root, why + ". Ask for another with merge_review_request_auto, or judge it."});
}

} // namespace orch
