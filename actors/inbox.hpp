#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/inbox.hpp"

namespace orch {

/// Owns the messages between agent threads.
using inbox_actor = actor_for<inbox_methods::list>;

inbox_actor::behavior_type inbox(inbox_actor::pointer self, tree parts);

route_map routes(const inbox_actor& owner);

} // namespace orch
