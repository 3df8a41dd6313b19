#pragma once

#include "actors/effects.hpp"
#include "messages/merge_queue.hpp"

namespace orch {

/// Merges the next requests of the queue, or one of them. See docs/merging.md.
processed_main_merges process_main_merges(effects& fx, const merge_main_process& request);

/// Why a request is not moving.
explained_main_merge explain_main_merge(effects& fx, const merge_main_explain& request);

/// Ends the runs of processes that died, or puts them back: what was moved is merged, what was not
/// is queued.
void recover_merge_runs(effects& fx);

/// The loop: merges what is ready as long as there is something, holding the main merge lock
/// itself. Does nothing while somebody else has that.
void merge_by_itself(effects& fx);

} // namespace orch
