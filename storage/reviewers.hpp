#pragma once

#include "messages/reviewers.hpp"
#include "storage/threads.hpp"

namespace orch {

/// What a review job needs to be written.
struct wanted_review {
  int64_t session_id = 0;
  int64_t merge_request_id = 0;
  std::string head_sha;
  int64_t timeout_seconds = 0;
  bool hold_main_lock = true;
};

/// The worktree whose branch a review of that merge request is about: what was queued for it, else
/// the session's root worktree. Throws not_found and failed_precondition.
worktree reviewed_worktree(tx& t, int64_t session_id, int64_t merge_request_id);

/// Writes a running job, marks the merge request `in_review` and takes the main merge lock for the
/// session if that is wanted. `conflict` if one runs already or another session has the lock.
review_job begin_review(tx& t, const wanted_review& wanted);

/// The job's reviewer.
review_job note_reviewer(tx& t, int64_t review_job_id, int64_t thread_id);

/// Ends a running job without a verdict: the merge request may be reviewed again, and the lock goes
/// back if the job took it. Nothing happens to a job that is over.
void fail_review(tx& t, int64_t review_job_id, const std::string& why);

/// Ends a running job with a verdict on `head`.
/// Throws failed_precondition if it is over or reviews another commit, permission_denied if it is
/// the author who asks: another thread than the reviewer's, or the server that has opened the
/// session whose work it is.
review_job submit_review(tx& t, const merge_review_submit& request, const std::string& head,
                         const caller& from);

review_job get_review(tx& t, int64_t review_job_id);

/// The newest job of a merge request.
std::optional<review_job> newest_review(tx& t, int64_t merge_request_id);

/// The newest job of a reviewer thread, running or over.
std::optional<review_job> last_review_of_thread(tx& t, int64_t thread_id);

/// The reviewer ended its turn without a verdict; says how often it was reminded before.
int64_t count_reminder(tx& t, int64_t review_job_id);

/// Jobs whose maker died before it had a reviewer thread fail.
void fail_abandoned_reviews(tx& t);

std::string name_of_review(int64_t review_job_id);

} // namespace orch
