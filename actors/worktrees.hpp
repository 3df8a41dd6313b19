#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/worktrees.hpp"

namespace orch {

/// Owns the worktrees, in the database and on disk.
using worktree_actor = actor_for<worktree_methods::list>;

worktree_actor::behavior_type worktrees(worktree_actor::pointer self, tree parts);

route_map routes(const worktree_actor& owner);

} // namespace orch
