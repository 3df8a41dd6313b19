#pragma once

#include "messages/method.hpp"
#include "messages/page.hpp"

namespace orch {

inline const std::vector<std::string_view> approval_states{"none", "pending", "approved",
                                                           "rejected"};

/// A node of the planning graph: an initiative, a plan, a slice, a task.
struct node {
  int64_t id = 0;
  std::string node_type;
  std::string facet = "planning";
  std::string title;
  std::string status = "todo";
  int64_t priority = 0;
  std::optional<int64_t> parent_id;
  std::optional<int64_t> worktree_id;
  std::optional<int64_t> owner_session_id;
  std::optional<std::string> summary;
  std::optional<int64_t> risk_level;
  std::optional<int64_t> token_estimate;
  std::optional<std::vector<std::string>> affected_files;
  std::string approval_state = "none";
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("node_type", node_type),
      required("facet", facet),
      required("title", title),
      required("status", status),
      required("priority", priority),
      optional("parent_id", parent_id),
      optional("worktree_id", worktree_id),
      optional("owner_session_id", owner_session_id),
      optional("summary", summary),
      optional("risk_level", risk_level),
      optional("token_estimate", token_estimate),
      optional("affected_files", affected_files),
      required("approval_state", approval_state).one_of(approval_states),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

struct edge {
  int64_t id = 0;
  int64_t from_node_id = 0;
  int64_t to_node_id = 0;
  std::string edge_type;
  timestamp created_at;

  field_list fields() {
    return {
      required("id", id),
      required("from_node_id", from_node_id),
      required("to_node_id", to_node_id),
      required("edge_type", edge_type),
      required("created_at", created_at),
    };
  }
};

struct checklist_item {
  int64_t id = 0;
  int64_t node_id = 0;
  std::string item_text;
  std::string status;
  int64_t order_no = 1;
  std::string facet;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("node_id", node_id),
      required("item_text", item_text),
      required("status", status),
      required("order_no", order_no),
      required("facet", facet),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

struct node_snapshot {
  int64_t id = 0;
  int64_t node_id = 0;
  std::string snapshot_type{};
  std::optional<std::string> summary{};
  std::optional<std::vector<std::string>> affected_files{};
  std::optional<std::string> next_action{};
  timestamp created_at{};

  field_list fields() {
    return {
      required("id", id),
      required("node_id", node_id),
      required("snapshot_type", snapshot_type),
      optional("summary", summary),
      optional("affected_files", affected_files),
      optional("next_action", next_action),
      required("created_at", created_at),
    };
  }
};

struct graph_node_create {
  static constexpr method about{
    "graph.node.create",
    "Create a node of the planning graph, such as an initiative, plan, slice "
    "or task.",
    access::write};
  using result = node;

  std::string node_type;
  std::string title;
  std::string facet = "planning";
  std::string status = "todo";
  int64_t priority = 0;
  std::optional<int64_t> parent_id;
  std::optional<int64_t> worktree_id;
  std::optional<int64_t> owner_session_id;
  std::optional<std::string> summary;
  std::optional<int64_t> risk_level;
  std::optional<int64_t> token_estimate;
  std::optional<std::vector<std::string>> affected_files;
  std::string approval_state = "none";

  field_list fields() {
    return {
      required("node_type", node_type, "initiative, plan, slice, task, ...").trimmed(),
      required("title", title).trimmed(),
      optional("facet", facet).trimmed(),
      optional("status", status).trimmed(),
      optional("priority", priority, "higher is more urgent"),
      id_of("parent_id", parent_id),
      id_of("worktree_id", worktree_id),
      id_of("owner_session_id", owner_session_id),
      optional("summary", summary),
      optional("risk_level", risk_level).at_least(0),
      optional("token_estimate", token_estimate).at_least(0),
      optional("affected_files", affected_files),
      optional("approval_state", approval_state).one_of(approval_states),
    };
  }
};

struct node_page {
  std::vector<node> nodes;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("nodes", nodes), next_cursor_field(next_cursor)}; }
};

struct graph_node_list {
  static constexpr method about{
    "graph.node.list",
    "List nodes of the planning graph, most urgent first; filter by type, "
    "facet, status or parent.",
    access::read};
  using result = node_page;

  std::optional<std::string> node_type;
  std::optional<std::string> facet;
  std::optional<std::string> status;
  std::optional<int64_t> parent_id;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("node_type", node_type).trimmed(),
      optional("facet", facet).trimmed(),
      optional("status", status).trimmed(),
      id_of("parent_id", parent_id),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct graph_edge_create {
  static constexpr method about{
    "graph.edge.create",
    "Connect two nodes of the planning graph. depends_on and blocks must not "
    "form a cycle.",
    access::write};
  using result = edge;

  int64_t from_node_id = 0;
  int64_t to_node_id = 0;
  std::string edge_type;

  field_list fields() {
    return {
      id_of("from_node_id", from_node_id),
      id_of("to_node_id", to_node_id),
      required("edge_type", edge_type, "contains, depends_on, blocks, relates, ...").trimmed(),
    };
  }
};

struct ready_nodes {
  std::vector<node> nodes;

  field_list fields() { return {required("nodes", nodes)}; }
};

struct graph_ready {
  static constexpr method about{
    "graph.ready",
    "What can be started now: todo nodes whose dependencies are all done, most "
    "urgent first.",
    access::read};
  using result = ready_nodes;

  std::optional<std::string> node_type;
  int64_t limit = default_page;

  field_list fields() { return {optional("node_type", node_type).trimmed(), limit_field(limit)}; }
};

struct graph_checklist_upsert {
  static constexpr method about{"graph.checklist.upsert",
                                "Add or change an item of a node's checklist, found by node, facet "
                                "and order number.",
                                access::write};
  using result = checklist_item;

  int64_t node_id = 0;
  std::string item_text;
  std::string status = "todo";
  int64_t order_no = 1;
  std::string facet = "planning";

  field_list fields() {
    return {
      id_of("node_id", node_id),
      required("item_text", item_text).trimmed(),
      optional("status", status).trimmed(),
      optional("order_no", order_no, "give 1, 2, 3 to add items; the same number replaces one")
        .at_least(0),
      optional("facet", facet).trimmed(),
    };
  }
};

struct graph_snapshot_create {
  static constexpr method about{"graph.snapshot.create",
                                "Record a snapshot of a node: what is known and what comes next.",
                                access::write};
  using result = node_snapshot;

  int64_t node_id = 0;
  std::string snapshot_type;
  std::optional<std::string> summary;
  std::optional<std::vector<std::string>> affected_files;
  std::optional<std::string> next_action;

  field_list fields() {
    return {
      id_of("node_id", node_id),
      required("snapshot_type", snapshot_type, "note, replan, rollup, ...").trimmed(),
      optional("summary", summary),
      optional("affected_files", affected_files),
      optional("next_action", next_action),
    };
  }
};

struct bootstrapped_plan {
  node initiative;
  node plan;
  orch::edge edge;

  field_list fields() {
    return {required("initiative", initiative), required("plan", plan), required("edge", edge)};
  }
};

struct plan_bootstrap {
  static constexpr method about{
    "plan.bootstrap", "Start planning: create an initiative and its first plan, connected.",
    access::write};
  using result = bootstrapped_plan;

  std::string initiative_title;
  std::string plan_title;
  int64_t priority = 0;
  std::optional<int64_t> owner_session_id;
  std::optional<std::string> summary;

  field_list fields() {
    return {
      required("initiative_title", initiative_title).trimmed(),
      required("plan_title", plan_title).trimmed(),
      optional("priority", priority, "higher is more urgent"),
      id_of("owner_session_id", owner_session_id),
      optional("summary", summary),
    };
  }
};

struct slice_spec {
  std::string title;
  int64_t priority = 0;
  std::optional<int64_t> token_estimate;
  std::optional<std::vector<std::string>> affected_files;
  std::optional<std::string> summary;

  field_list fields() {
    return {
      required("title", title).trimmed(),
      optional("priority", priority),
      optional("token_estimate", token_estimate).at_least(0),
      optional("affected_files", affected_files),
      optional("summary", summary),
    };
  }
};

/// A slice that breaks a planning rule; created all the same.
struct slice_warning {
  int64_t node_id = 0;
  std::string rule;
  std::string message;

  field_list fields() {
    return {required("node_id", node_id), required("rule", rule), required("message", message)};
  }
};

struct generated_slices {
  int64_t plan_node_id = 0;
  std::vector<node> slices;
  std::vector<edge> edges;
  std::vector<slice_warning> warnings;

  field_list fields() {
    return {
      required("plan_node_id", plan_node_id),
      required("slices", slices),
      required("edges", edges),
      required("warnings", warnings),
    };
  }
};

struct plan_slice_generate {
  static constexpr method about{
    "plan.slice.generate",
    "Cut a plan into slices, all or none; slices that are too large are "
    "warned about.",
    access::write};
  using result = generated_slices;

  int64_t plan_node_id = 0;
  std::vector<slice_spec> slice_specs;
  std::optional<int64_t> owner_session_id;

  field_list fields() {
    return {
      id_of("plan_node_id", plan_node_id),
      required("slice_specs", slice_specs, "one for each slice, in order"),
      id_of("owner_session_id", owner_session_id),
    };
  }
};

struct plan_slice_replan {
  static constexpr method about{
    "plan.slice.replan", "Record that a slice has to be planned again, and why.", access::write};
  using result = node_snapshot;

  int64_t node_id = 0;
  std::string reason;
  std::optional<std::vector<std::string>> affected_files;
  std::optional<std::string> next_action;

  field_list fields() {
    return {
      id_of("node_id", node_id),
      required("reason", reason),
      optional("affected_files", affected_files),
      optional("next_action", next_action),
    };
  }
};

struct rollup_preview {
  int64_t parent_node_id = 0;
  int64_t child_count = 0;
  raw_json status_counts;
  std::vector<node> children;

  field_list fields() {
    return {
      required("parent_node_id", parent_node_id),
      required("child_count", child_count),
      required("status_counts", status_counts, "{status: number of children}").object(),
      required("children", children),
    };
  }
};

struct plan_rollup_preview {
  static constexpr method about{"plan.rollup.preview",
                                "See the children of a node and how many have which status.",
                                access::read};
  using result = rollup_preview;

  int64_t parent_node_id = 0;

  field_list fields() { return {id_of("parent_node_id", parent_node_id)}; }
};

struct submitted_rollup {
  node_snapshot snapshot;
  orch::node node;
  rollup_preview preview;

  field_list fields() {
    return {required("snapshot", snapshot), required("node", node), required("preview", preview)};
  }
};

struct plan_rollup_submit {
  static constexpr method about{
    "plan.rollup.submit",
    "Hand in a node for approval: status in_review, approval pending, with a "
    "rollup snapshot.",
    access::write};
  using result = submitted_rollup;

  int64_t node_id = 0;
  std::optional<std::string> summary;
  std::optional<std::vector<std::string>> affected_files;
  std::optional<std::string> next_action;

  field_list fields() {
    return {
      id_of("node_id", node_id),
      optional("summary", summary),
      optional("affected_files", affected_files),
      optional("next_action", next_action),
    };
  }
};

struct plan_rollup_approve {
  static constexpr method about{"plan.rollup.approve", "Approve a submitted rollup: done.",
                                access::write};
  using result = node;

  int64_t node_id = 0;
  std::optional<std::string> reason;

  field_list fields() { return {id_of("node_id", node_id), optional("reason", reason)}; }
};

struct plan_rollup_reject {
  static constexpr method about{"plan.rollup.reject", "Reject a submitted rollup: blocked.",
                                access::write};
  using result = node;

  int64_t node_id = 0;
  std::optional<std::string> reason;

  field_list fields() { return {id_of("node_id", node_id), optional("reason", reason)}; }
};

struct plan_methods {
  static constexpr std::string_view owner = "plans";
  using list = method_list<graph_node_create, graph_node_list, graph_edge_create, graph_ready,
                           graph_checklist_upsert, graph_snapshot_create, plan_bootstrap,
                           plan_slice_generate, plan_slice_replan, plan_rollup_preview,
                           plan_rollup_submit, plan_rollup_approve, plan_rollup_reject>;
};

} // namespace orch
