#pragma once

#include "actors/thread_start.hpp"
#include "messages/reviewers.hpp"

namespace orch {

/// Starts a reviewer: job, merge lock if wanted, thread. Fails as a whole.
requested_review start_review(effects& fx, const merge_review_request_auto& request);

requested_review request_review(effects& fx, const merge_review_request_auto& request);
review_status tell_review_status(effects& fx, const merge_review_thread_status& request);
review_job submit_verdict(effects& fx, const merge_review_submit& request);

/// The commit that a review of a merge request would be about now.
std::string reviewed_head(effects& fx, int64_t session_id, int64_t merge_request_id);

} // namespace orch
