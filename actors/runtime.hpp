#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/runtime.hpp"

namespace orch {

/// Owns what agents need around them: tmux, and what is installed for agent CLIs.
using runtime_actor = actor_for<runtime_methods::list>;

runtime_actor::behavior_type runtime(runtime_actor::pointer self, tree parts);

route_map routes(const runtime_actor& owner);

} // namespace orch
