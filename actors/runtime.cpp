#include "actors/runtime.hpp"

#include "actors/owner.hpp"
#include "actors/runtime_effects.hpp"

namespace orch {

runtime_actor::behavior_type runtime(runtime_actor::pointer self, tree parts) {
  return {
    effect<runtime_tmux_ensure>(self, parts, ensure_tmux_runtime),
    effect<runtime_bundle_info>(self, parts, look_at_bundle),
  };
}

route_map routes(const runtime_actor& owner) {
  return routes_to(owner, runtime_methods::list{});
}

} // namespace orch
