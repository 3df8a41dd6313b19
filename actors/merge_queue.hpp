#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "actors/waiting.hpp"
#include "actors/waiting_effects.hpp"
#include "messages/merge_queue.hpp"

namespace orch {

/// Owns merge requests, the queue into main, and the lease on merging.
using merge_actor =
  actor_for<merge_methods::list, caf::reacts_to<look_again>, caf::reacts_to<cancel_wait>>;

struct merge_state {
  merge_state() = default;

  waiting_room waiting;
  waiting_effects merging;
};

merge_actor::behavior_type merge_queue(merge_actor::stateful_pointer<merge_state> self, tree parts);

route_map routes(const merge_actor& owner);

} // namespace orch
