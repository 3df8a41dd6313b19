#pragma once

#include "messages/plans.hpp"
#include "storage/tx.hpp"

namespace orch {

node create_node(tx& t, const graph_node_create& request);
node_page list_nodes(tx& t, const graph_node_list& request);
edge create_edge(tx& t, const graph_edge_create& request);
ready_nodes list_ready_nodes(tx& t, const graph_ready& request);
checklist_item upsert_checklist_item(tx& t, const graph_checklist_upsert& request);
node_snapshot create_snapshot(tx& t, const graph_snapshot_create& request);
bootstrapped_plan bootstrap_plan(tx& t, const plan_bootstrap& request);
generated_slices generate_slices(tx& t, const plan_slice_generate& request);
node_snapshot replan_slice(tx& t, const plan_slice_replan& request);
rollup_preview preview_rollup(tx& t, const plan_rollup_preview& request);
submitted_rollup submit_rollup(tx& t, const plan_rollup_submit& request);
node approve_rollup(tx& t, const plan_rollup_approve& request);
node reject_rollup(tx& t, const plan_rollup_reject& request);

} // namespace orch
