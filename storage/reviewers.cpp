#include "storage/reviewers.hpp"

#include "storage/merge_queue.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// The lease covers the review and the moments around it.
constexpr int64_t lease_margin_seconds = 60;

merge_request_record get_request(tx& t, int64_t id) {
  return t.get<merge_request_record>("merge_requests", id, "merge request");
}

void set_request_status(tx& t, int64_t id, const std::string& status) {
  t.run("UPDATE merge_requests SET status = ?, updated_at = ? WHERE id = ?", status, t.now, id);
}

/// Does a running review of the session hold the main merge lock?
bool reviews_hold_main_lock(tx& t, int64_t session_id) {
  return t
    .number("SELECT 1 FROM review_jobs WHERE state = 'running' AND holds_main_lock = 1 AND "
            "session_id = ? LIMIT 1",
            session_id)
    .has_value();
}

void note_review(tx& t, std::string_view kind, const review_job& job) {
  t.changed(kind, {{"review_job_id", job.id},
                   {"merge_request_id", job.merge_request_id},
                   {"thread_id", job.reviewer_thread_id.value_or(0)}});
}

/// Stores it, and gives back what it holds unless another review of the session holds it too.
void close_job(tx& t, review_job& job) {
  auto held = std::exchange(job.holds_main_lock, false);
  job.completed_at = job.updated_at = t.now;
  t.update("review_jobs", job);
  note_review(t, job.state == "failed" ? "review.failed" : "review.completed", job);
  if (held && !reviews_hold_main_lock(t, job.session_id))
    release_main_lock_of(t, job.session_id);
}

bool is_author(tx& t, const review_job& job, const caller& from) {
  if (from.thread_id)
    return from.thread_id != job.reviewer_thread_id;
  return t
    .number("SELECT 1 FROM sessions WHERE id = ? AND server_id = ?", job.session_id,
            server_of(t, from))
    .has_value();
}

} // namespace

worktree reviewed_worktree(tx& t, int64_t session_id, int64_t merge_request_id) {
  auto owner = must_be_open(t, session_id);
  get_request(t, merge_request_id);
  if (auto queued = queued_for(t, merge_request_id))
    return t.get<worktree>("worktrees", queued->from_worktree_id, "worktree");
  if (!owner.session_root_worktree_id)
    throw request_error{errc::failed_precondition,
                        fmt::format("session #{} has no worktree of its own", owner.id),
                        {{"field", "session_id"}}};
  return t.get<worktree>("worktrees", *owner.session_root_worktree_id, "worktree");
}

review_job begin_review(tx& t, const wanted_review& wanted) {
  must_be_open(t, wanted.session_id);
  fail_abandoned_reviews(t);
  auto request = get_request(t, wanted.merge_request_id);
  if (request.status == "merged" || request.status == "cancelled")
    throw request_error{errc::failed_precondition,
                        fmt::format("merge request #{} is {}", request.id, request.status),
                        {{"status", request.status}}};
  if (auto newest = newest_review(t, request.id); newest && newest->state == "running")
    throw request_error{
      errc::conflict,
      fmt::format("merge request #{} is being reviewed (job #{})", request.id, newest->id),
      {{"review_job_id", newest->id}}};
  review_job job;
  if (wanted.hold_main_lock) {
    // A session that took it itself keeps it when the review is over.
    job.holds_main_lock =
      main_lock_holder(t) != wanted.session_id || reviews_hold_main_lock(t, wanted.session_id);
    if (main_lock_refusal(t, wanted.session_id))
      throw main_lock_conflict(get_main_lock(t));
    take_main_lock(t, wanted.session_id, wanted.timeout_seconds + lease_margin_seconds);
  }
  job.merge_request_id = request.id;
  job.session_id = wanted.session_id;
  job.head_sha = wanted.head_sha;
  job.deadline = plus_seconds(t.now, wanted.timeout_seconds);
  job.created_at = job.updated_at = t.now;
  t.insert("review_jobs", job);
  t.run("UPDATE review_jobs SET server_id = ? WHERE id = ?", t.around.server, job.id);
  set_request_status(t, request.id, "in_review");
  note_review(t, "review.started", job);
  return job;
}

review_job note_reviewer(tx& t, int64_t review_job_id, int64_t thread_id) {
  auto job = get_review(t, review_job_id);
  job.reviewer_thread_id = thread_id;
  job.updated_at = t.now;
  t.update("review_jobs", job);
  note_review(t, "review.assigned", job);
  t.wake_waiters();
  return job;
}

void fail_review(tx& t, int64_t review_job_id, const std::string& why) {
  auto job = get_review(t, review_job_id);
  if (job.state != "running")
    return;
  job.state = "failed";
  job.error_message = why;
  close_job(t, job);
  if (get_request(t, job.merge_request_id).status == "in_review")
    set_request_status(t, job.merge_request_id, "requested");
}

review_job submit_review(tx& t, const merge_review_submit& request, const std::string& head,
                         const caller& from) {
  auto job = get_review(t, request.review_job_id);
  if (job.state != "running")
    throw request_error{errc::failed_precondition,
                        fmt::format("review job #{} is {} already", job.id, job.state),
                        {{"state", job.state}}};
  if (is_author(t, job, from))
    throw request_error{errc::permission_denied,
                        fmt::format("review job #{} is for its reviewer, thread #{}, to judge",
                                    job.id, job.reviewer_thread_id.value_or(0))};
  if (job.head_sha && *job.head_sha != head)
    throw request_error{
      errc::failed_precondition,
      fmt::format("the branch has moved from {} to {} since the review began; its verdict would "
                  "be about something else. Ask for a new review",
                  *job.head_sha, head),
      {{"reviewed", *job.head_sha}, {"head", head}}};
  job.state = "completed";
  job.verdict = request.verdict;
  job.summary = request.summary;
  if (!request.findings.empty()) {
    std::string findings;
    for (const auto& finding : request.findings)
      findings += (findings.empty() ? "[" : ",") + to_json_text(finding);
    job.findings = raw_json{findings + "]"};
  }
  close_job(t, job);
  set_request_status(t, job.merge_request_id,
                     request.verdict == "approve" ? "approved" : "rejected");
  t.wake_waiters();
  return job;
}

review_job get_review(tx& t, int64_t review_job_id) {
  return t.get<review_job>("review_jobs", review_job_id, "review job");
}

std::optional<review_job> newest_review(tx& t, int64_t merge_request_id) {
  return t.first<review_job>("FROM review_jobs WHERE merge_request_id = ? ORDER BY id DESC LIMIT 1",
                             merge_request_id);
}

std::optional<review_job> last_review_of_thread(tx& t, int64_t thread_id) {
  return t.first<review_job>(
    "FROM review_jobs WHERE reviewer_thread_id = ? ORDER BY id DESC LIMIT 1", thread_id);
}

int64_t count_reminder(tx& t, int64_t review_job_id) {
  auto before =
    t.number("SELECT reminders FROM review_jobs WHERE id = ?", review_job_id).value_or(0);
  t.run("UPDATE review_jobs SET reminders = reminders + 1 WHERE id = ?", review_job_id);
  return before;
}

void fail_abandoned_reviews(tx& t) {
  std::vector<int64_t> abandoned;
  for (const auto& job : t.select<review_job>(
         "FROM review_jobs WHERE state = 'running' AND reviewer_thread_id IS NULL ORDER BY id")) {
    auto server = t.number("SELECT server_id FROM review_jobs WHERE id = ?", job.id).value_or(0);
    if (!t.around.at_work(server, name_of_review(job.id)))
      abandoned.push_back(job.id);
  }
  for (auto id : abandoned)
    fail_review(t, id, "the server that was starting its reviewer died");
}

std::string name_of_review(int64_t review_job_id) {
  return fmt::format("review {}", review_job_id);
}

} // namespace orch
