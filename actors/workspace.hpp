#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/workspace.hpp"

namespace orch {

/// Answers for the repository as a whole.
using workspace_actor = actor_for<workspace_methods::list>;

workspace_actor::behavior_type workspace(workspace_actor::pointer self, tree parts);

route_map routes(const workspace_actor& owner);

} // namespace orch
