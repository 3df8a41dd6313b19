#include "actors/worktrees.hpp"

#include "actors/owner.hpp"
#include "actors/worktree_effects.hpp"
#include "storage/worktrees.hpp"

namespace orch {

worktree_actor::behavior_type worktrees(worktree_actor::pointer self, tree parts) {
  return {
    effect<scheduler_decide_worktree>(self, parts, decide_worktree),
    effect<worktree_create>(self, parts, create_worktree),
    stored<worktree_list>(self, parts, list_worktrees),
    effect<worktree_spawn>(self, parts, spawn_worktree),
    effect<worktree_status>(self, parts, look_at_worktree),
    effect<worktree_merge_to_parent>(self, parts, merge_to_parent),
    effect<worktree_remove>(self, parts, remove_worktree),
    effect<worktree_restore>(self, parts, restore_worktree),
    effect<worktree_prune>(self, parts, prune_worktrees),
  };
}

route_map routes(const worktree_actor& owner) {
  return routes_to(owner, worktree_methods::list{});
}

} // namespace orch
