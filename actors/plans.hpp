#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/plans.hpp"

namespace orch {

/// Owns the planning graph.
using plan_actor = actor_for<plan_methods::list>;

plan_actor::behavior_type plans(plan_actor::pointer self, tree parts);

route_map routes(const plan_actor& owner);

} // namespace orch
