#include "actors/workspace.hpp"

#include "actors/owner.hpp"
#include "storage/mirror.hpp"

namespace orch {

workspace_actor::behavior_type workspace(workspace_actor::pointer self, tree parts) {
  return {stored<workspace_init>(self, parts, get_workspace_state)};
}

route_map routes(const workspace_actor& owner) {
  return routes_to(owner, workspace_methods::list{});
}

} // namespace orch
