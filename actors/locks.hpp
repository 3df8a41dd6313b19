#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "actors/waiting.hpp"
#include "messages/locks.hpp"

namespace orch {

/// Owns path leases and those who wait for them.
using lock_actor =
  actor_for<lock_methods::list, caf::reacts_to<look_again>, caf::reacts_to<cancel_wait>>;

struct lock_state {
  lock_state() = default;

  waiting_room waiting;
};

lock_actor::behavior_type locks(lock_actor::stateful_pointer<lock_state> self, tree parts);

route_map routes(const lock_actor& owner);

} // namespace orch
