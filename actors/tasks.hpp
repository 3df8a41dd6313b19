#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/tasks.hpp"

namespace orch {

/// Owns the task tree and its checkpoints.
using task_actor = actor_for<task_methods::list>;

task_actor::behavior_type tasks(task_actor::pointer self, tree parts);

route_map routes(const task_actor& owner);

} // namespace orch
