#include "actors/plans.hpp"

#include "actors/owner.hpp"
#include "storage/plans.hpp"

namespace orch {

plan_actor::behavior_type plans(plan_actor::pointer self, tree parts) {
  return {
    stored<graph_node_create>(self, parts, create_node),
    stored<graph_node_list>(self, parts, list_nodes),
    stored<graph_edge_create>(self, parts, create_edge),
    stored<graph_ready>(self, parts, list_ready_nodes),
    stored<graph_checklist_upsert>(self, parts, upsert_checklist_item),
    stored<graph_snapshot_create>(self, parts, create_snapshot),
    stored<plan_bootstrap>(self, parts, bootstrap_plan),
    stored<plan_slice_generate>(self, parts, generate_slices),
    stored<plan_slice_replan>(self, parts, replan_slice),
    stored<plan_rollup_preview>(self, parts, preview_rollup),
    stored<plan_rollup_submit>(self, parts, submit_rollup),
    stored<plan_rollup_approve>(self, parts, approve_rollup),
    stored<plan_rollup_reject>(self, parts, reject_rollup),
  };
}

route_map routes(const plan_actor& owner) {
  return routes_to(owner, plan_methods::list{});
}

} // namespace orch
