#pragma once

#include "actors/effects.hpp"
#include "messages/merge_queue.hpp"
#include "storage/merge_runs.hpp"

namespace orch {

/// Requests that are merged together.
struct merge_batch {
  std::string target;
  std::vector<int64_t> ids;
  std::string why_none; ///< if there are none
};

/// The next requests of one target that are ready, as many as fit, or `only` that one. Those whose
/// branch is gone or has moved have `failed`. Throws not_found or failed_precondition if `only`
/// cannot be merged now.
merge_batch next_batch(effects& fx, const std::optional<int64_t>& only);

/// Is it time to merge by itself: a full batch, or one that has waited long enough?
bool batch_is_due(effects& fx);

/// Why it cannot be merged as its worktree is; nothing if it can.
std::optional<wait_reason> why_not_in_git(effects& fx, const main_merge_request& x);

/// The first commit on the target's line that a branch conflicts with; nothing if it is not found.
std::optional<std::string> first_in_conflict(git& repository, const std::string& tip,
                                             const std::string& head);

/// Why a request is not moving.
explained_main_merge explain_main_merge(effects& fx, const merge_main_explain& request);

/// Where the checks of a run are.
std::filesystem::path scratch_directory_of(const surroundings& around, int64_t run_id);

/// What the processes of a run's checks are known by.
std::string mark_of_run(const surroundings& around, int64_t run_id);

} // namespace orch
