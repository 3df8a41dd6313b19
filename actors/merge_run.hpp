#pragma once

#include "actors/effects.hpp"
#include "actors/merge_candidates.hpp"
#include "io/turnstile.hpp"
#include "messages/merge_queue.hpp"

#include <chrono>

namespace orch {

/// Merges a batch in memory, checks it, finds the bad ones, and moves the target branch. `holder`:
/// the session with the main merge lock, or the queue itself. What is not decided by `end`, or
/// cannot be, stays queued, and the answer says why. Nothing if another run goes on under
/// the same lock.
std::optional<processed_main_merges> run_merge(effects& fx, const merge_batch& batch,
                                               int64_t holder,
                                               std::chrono::steady_clock::time_point end);

/// Ends a run as its target branch says: what has got there is merged, the rest is queued, with
/// `why`. Files that a move has half changed are put back; if that is not possible now it throws,
/// and the run stays. For whoever works on it, or has `move.lock`.
void settle_run(effects& fx, int64_t run_id, const std::optional<std::string>& why = {});

/// Deletes where a run has checked, if it is there; what cannot be deleted is logged.
void remove_scratch(const std::filesystem::path& directory);

/// Waits for a lock as long as somebody waits for this work; false if it is not to be had by `end`.
bool enter_in_time(const effects& fx, turnstile& turn, std::chrono::steady_clock::time_point end);

} // namespace orch
