#include "storage/plans.hpp"

#include "storage/paging.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

namespace orch {

namespace {

std::vector<int64_t> urgency_key(const node& x) {
  return {x.priority, x.updated_at.us, x.id};
}

node get_node(tx& t, int64_t id) {
  return t.get<node>("graph_nodes", id, "node");
}

void must_exist_if_given(tx& t, std::string_view table, const std::optional<int64_t>& id,
                         std::string_view what) {
  if (id)
    t.must_exist(table, *id, what);
}

node insert_node(tx& t, node made) {
  made.created_at = made.updated_at = t.now;
  t.insert("graph_nodes", made);
  return made;
}

edge insert_edge(tx& t, int64_t from, int64_t to, const std::string& type) {
  edge made;
  made.from_node_id = from;
  made.to_node_id = to;
  made.edge_type = type;
  made.created_at = t.now;
  t.insert("graph_edges", made);
  return made;
}

/// "a depends_on b" and "b blocks a" say the same: a must wait for b. These are the nodes that
/// `id` waits for.
std::vector<int64_t> prerequisites(tx& t, int64_t id) {
  auto query = t.db.prepare("SELECT to_node_id FROM graph_edges WHERE from_node_id = ?1 AND "
                            "edge_type = 'depends_on' UNION SELECT from_node_id FROM graph_edges "
                            "WHERE to_node_id = ?1 AND edge_type = 'blocks'");
  query->bind(1, id);
  std::vector<int64_t> ids;
  while (query->executeStep())
    ids.push_back(query->getColumn(0).getInt64());
  return ids;
}

/// A way from `from` to `to` along prerequisites, both included; empty if there is none.
std::vector<int64_t> way_between(tx& t, int64_t from, int64_t to) {
  std::map<int64_t, int64_t> came_from{{from, 0}};
  std::vector<int64_t> frontier{from};
  while (!frontier.empty() && !came_from.contains(to)) {
    std::vector<int64_t> next;
    for (auto id : frontier)
      for (auto needed : prerequisites(t, id))
        if (came_from.emplace(needed, id).second)
          next.push_back(needed);
    frontier = std::move(next);
  }
  std::vector<int64_t> way;
  if (came_from.contains(to))
    for (auto id = to; id != 0; id = came_from.at(id))
      way.insert(way.begin(), id);
  return way;
}

void refuse_cycle(tx& t, const graph_edge_create& request) {
  if (request.edge_type != "depends_on" && request.edge_type != "blocks")
    return;
  auto forward = request.edge_type == "depends_on";
  auto waiting = forward ? request.from_node_id : request.to_node_id;
  auto needed = forward ? request.to_node_id : request.from_node_id;
  auto cycle = way_between(t, needed, waiting);
  if (cycle.empty())
    return;
  cycle.insert(cycle.begin(), waiting);
  throw request_error{errc::conflict,
                      fmt::format("the edge would close a cycle: {}", fmt::join(cycle, " -> ")),
                      {{"cycle", cycle}}};
}

void warn_about(tx& t, const node& slice, std::vector<slice_warning>& warnings) {
  auto most_tokens = t.around.most_tokens_per_slice;
  auto most_files = t.around.most_files_per_slice;
  if (slice.token_estimate.value_or(0) > most_tokens)
    warnings.push_back({slice.id, "max_tokens_per_slice",
                        fmt::format("slice \"{}\": {} tokens, more than {}", slice.title,
                                    *slice.token_estimate, most_tokens)});
  auto files = slice.affected_files ? static_cast<int64_t>(slice.affected_files->size()) : 0;
  if (files > most_files)
    warnings.push_back(
      {slice.id, "max_files_per_slice",
       fmt::format("slice \"{}\": {} files, more than {}", slice.title, files, most_files)});
}

node_snapshot insert_snapshot(tx& t, node_snapshot made) {
  made.created_at = t.now;
  t.insert("node_snapshots", made);
  return made;
}

node decide_rollup(tx& t, int64_t node_id, const std::string& approval, const std::string& status,
                   const std::optional<std::string>& reason) {
  auto decided = get_node(t, node_id);
  if (decided.approval_state != "pending")
    throw request_error{errc::failed_precondition,
                        fmt::format("node #{} has approval {}, not pending; submit it first",
                                    node_id, decided.approval_state),
                        {{"approval_state", decided.approval_state}}};
  decided.approval_state = approval;
  decided.status = status;
  decided.updated_at = t.now;
  t.update("graph_nodes", decided);
  insert_snapshot(t,
                  {.node_id = node_id, .snapshot_type = "rollup_" + approval, .summary = reason});
  t.changed("rollup.decided", {{"node_id", node_id}});
  return decided;
}

} // namespace

node create_node(tx& t, const graph_node_create& request) {
  must_exist_if_given(t, "graph_nodes", request.parent_id, "parent node");
  must_exist_if_given(t, "worktrees", request.worktree_id, "worktree");
  must_exist_if_given(t, "sessions", request.owner_session_id, "session");
  node made;
  made.node_type = request.node_type;
  made.facet = request.facet;
  made.title = request.title;
  made.status = request.status;
  made.priority = request.priority;
  made.parent_id = request.parent_id;
  made.worktree_id = request.worktree_id;
  made.owner_session_id = request.owner_session_id;
  made.summary = request.summary;
  made.risk_level = request.risk_level;
  made.token_estimate = request.token_estimate;
  made.affected_files = request.affected_files;
  made.approval_state = request.approval_state;
  made = insert_node(t, std::move(made));
  t.changed("node.created", {{"node_id", made.id}});
  return made;
}

node_page list_nodes(tx& t, const graph_node_list& request) {
  condition where;
  if (request.parent_id)
    where.add("parent_id = ?", *request.parent_id);
  if (request.status)
    where.add("status = ?", *request.status);
  if (request.node_type)
    where.add("node_type = ?", *request.node_type);
  if (request.facet)
    where.add("facet = ?", *request.facet);
  std::optional<std::vector<int64_t>> after;
  if (request.cursor)
    after = read_cursor(*request.cursor, 3);
  node_page page;
  page.nodes = select_by_urgency<node>(t, "graph_nodes", where, after, request.limit + 1);
  page.next_cursor = close_page(page.nodes, request.limit, urgency_key);
  return page;
}

edge create_edge(tx& t, const graph_edge_create& request) {
  t.must_exist("graph_nodes", request.from_node_id, "node");
  t.must_exist("graph_nodes", request.to_node_id, "node");
  if (request.from_node_id == request.to_node_id)
    throw bad_param("to_node_id", "an edge must connect two different nodes");
  auto twin = t.number("SELECT id FROM graph_edges WHERE from_node_id = ? AND edge_type = ? AND "
                       "to_node_id = ?",
                       request.from_node_id, request.edge_type, request.to_node_id);
  if (twin)
    throw request_error{
      errc::conflict, fmt::format("that edge exists already, as #{}", *twin), {{"edge_id", *twin}}};
  refuse_cycle(t, request);
  auto made = insert_edge(t, request.from_node_id, request.to_node_id, request.edge_type);
  t.changed(
    "edge.created",
    {{"edge_id", made.id}, {"from_node_id", made.from_node_id}, {"to_node_id", made.to_node_id}});
  return made;
}

ready_nodes list_ready_nodes(tx& t, const graph_ready& request) {
  condition where;
  where.add("status = ?", std::string{"todo"});
  if (request.node_type)
    where.add("node_type = ?", *request.node_type);
  where.sql += " AND NOT EXISTS (SELECT 1 FROM graph_edges e JOIN graph_nodes n ON n.id = "
               "e.to_node_id WHERE e.from_node_id = graph_nodes.id AND e.edge_type = 'depends_on' "
               "AND n.status <> 'done') AND NOT EXISTS (SELECT 1 FROM graph_edges e JOIN "
               "graph_nodes n ON n.id = e.from_node_id WHERE e.to_node_id = graph_nodes.id AND "
               "e.edge_type = 'blocks' AND n.status <> 'done')";
  return {select_by_urgency<node>(t, "graph_nodes", where, {}, request.limit)};
}

checklist_item upsert_checklist_item(tx& t, const graph_checklist_upsert& request) {
  t.must_exist("graph_nodes", request.node_id, "node");
  auto item =
    t.first<checklist_item>(
       "FROM node_checklists WHERE node_id = ? AND facet = ? AND order_no = ? ORDER BY id "
       "LIMIT 1",
       request.node_id, request.facet, request.order_no)
      .value_or(checklist_item{});
  item.node_id = request.node_id;
  item.item_text = request.item_text;
  item.status = request.status;
  item.order_no = request.order_no;
  item.facet = request.facet;
  item.updated_at = t.now;
  if (item.id == 0) {
    item.created_at = t.now;
    t.insert("node_checklists", item);
  } else {
    t.update("node_checklists", item);
  }
  t.changed("checklist.updated", {{"checklist_item_id", item.id}, {"node_id", item.node_id}});
  return item;
}

node_snapshot create_snapshot(tx& t, const graph_snapshot_create& request) {
  t.must_exist("graph_nodes", request.node_id, "node");
  t.changed("node.snapshot", {{"node_id", request.node_id}});
  return insert_snapshot(t, {.node_id = request.node_id,
                             .snapshot_type = request.snapshot_type,
                             .summary = request.summary,
                             .affected_files = request.affected_files,
                             .next_action = request.next_action});
}

bootstrapped_plan bootstrap_plan(tx& t, const plan_bootstrap& request) {
  must_exist_if_given(t, "sessions", request.owner_session_id, "session");
  node shared;
  shared.priority = request.priority;
  shared.owner_session_id = request.owner_session_id;
  bootstrapped_plan made;
  made.initiative = shared;
  made.initiative.node_type = "initiative";
  made.initiative.title = request.initiative_title;
  made.initiative.status = "in_progress";
  made.initiative.summary = request.summary;
  made.initiative = insert_node(t, made.initiative);
  made.plan = shared;
  made.plan.node_type = "plan";
  made.plan.title = request.plan_title;
  made.plan.parent_id = made.initiative.id;
  made.plan = insert_node(t, made.plan);
  made.edge = insert_edge(t, made.initiative.id, made.plan.id, "contains");
  t.changed("plan.created",
            {{"node_id", made.plan.id}, {"initiative_node_id", made.initiative.id}});
  return made;
}

generated_slices generate_slices(tx& t, const plan_slice_generate& request) {
  auto plan = get_node(t, request.plan_node_id);
  must_exist_if_given(t, "sessions", request.owner_session_id, "session");
  if (request.slice_specs.empty())
    throw bad_param("slice_specs", "slice_specs must name at least one slice");
  generated_slices made;
  made.plan_node_id = plan.id;
  for (const auto& spec : request.slice_specs) {
    node slice;
    slice.node_type = "slice";
    slice.title = spec.title;
    slice.priority = spec.priority;
    slice.parent_id = plan.id;
    slice.owner_session_id = request.owner_session_id;
    slice.summary = spec.summary;
    slice.token_estimate = spec.token_estimate;
    slice.affected_files = spec.affected_files;
    made.slices.push_back(insert_node(t, slice));
    made.edges.push_back(insert_edge(t, plan.id, made.slices.back().id, "contains"));
    warn_about(t, made.slices.back(), made.warnings);
  }
  t.changed("plan.sliced", {{"node_id", plan.id}});
  return made;
}

node_snapshot replan_slice(tx& t, const plan_slice_replan& request) {
  t.must_exist("graph_nodes", request.node_id, "node");
  t.changed("plan.replanned", {{"node_id", request.node_id}});
  return insert_snapshot(t, {.node_id = request.node_id,
                             .snapshot_type = "replan",
                             .summary = request.reason,
                             .affected_files = request.affected_files,
                             .next_action = request.next_action});
}

rollup_preview preview_rollup(tx& t, const plan_rollup_preview& request) {
  t.must_exist("graph_nodes", request.parent_node_id, "node");
  rollup_preview preview;
  preview.parent_node_id = request.parent_node_id;
  preview.children =
    t.select<node>("FROM graph_nodes WHERE parent_id = ? ORDER BY priority DESC, updated_at, id",
                   request.parent_node_id);
  preview.child_count = static_cast<int64_t>(preview.children.size());
  auto counts = json::object();
  for (const auto& child : preview.children)
    counts[child.status] = counts.value(child.status, 0) + 1;
  preview.status_counts.text = counts.dump();
  return preview;
}

submitted_rollup submit_rollup(tx& t, const plan_rollup_submit& request) {
  submitted_rollup made;
  made.node = get_node(t, request.node_id);
  if (made.node.approval_state == "approved")
    throw request_error{errc::failed_precondition,
                        fmt::format("node #{} is approved already", made.node.id)};
  made.node.approval_state = "pending";
  made.node.status = "in_review";
  made.node.updated_at = t.now;
  if (request.summary)
    made.node.summary = request.summary;
  t.update("graph_nodes", made.node);
  made.snapshot = insert_snapshot(t, {.node_id = request.node_id,
                                      .snapshot_type = "rollup",
                                      .summary = request.summary,
                                      .affected_files = request.affected_files,
                                      .next_action = request.next_action});
  plan_rollup_preview children;
  children.parent_node_id = request.node_id;
  made.preview = preview_rollup(t, children);
  t.changed("rollup.submitted", {{"node_id", request.node_id}});
  return made;
}

node approve_rollup(tx& t, const plan_rollup_approve& request) {
  return decide_rollup(t, request.node_id, "approved", "done", request.reason);
}

node reject_rollup(tx& t, const plan_rollup_reject& request) {
  return decide_rollup(t, request.node_id, "rejected", "blocked", request.reason);
}

} // namespace orch
