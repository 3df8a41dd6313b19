#pragma once

#include "config/config.hpp"
#include "storage/reviewers.hpp"

namespace orch {

/// A merge request that wants a review, and the session that asks for it.
struct wanted_round {
  int64_t merge_request_id = 0;
  int64_t session_id = 0;
  int64_t failed_rounds = 0; ///< reviewers in a row that ended without a verdict
};

struct reviews_now {
  std::vector<wanted_round> due;       ///< to be started now, oldest first
  std::vector<wanted_round> exhausted; ///< all rounds are over, and nobody was told
  int64_t running = 0;
};

/// Who wants a review: merge requests that nobody has judged or judges now and that are queued for
/// main, or whose last reviewer ended without a verdict. Only of sessions that are not closed; one
/// that was taken over is followed.
reviews_now reviews_wanted(tx& t, const reviews_config& config);

/// A reviewer could not be started: that counts as a round, unless it has been counted or somebody
/// else has begun one.
void note_failed_start(tx& t, const wanted_round& which, const std::string& why);

/// All rounds are over: the queued merge has `failed`, and the session's root thread is told.
/// Nothing happens if a review has begun or was given up meanwhile.
void give_up_reviews(tx& t, const wanted_round& which, const reviews_config& config);

} // namespace orch
