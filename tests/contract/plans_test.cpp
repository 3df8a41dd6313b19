#include "client.hpp"

using namespace orch::test;

namespace {

struct plans : contract {
  json edge(int64_t from, int64_t to, const std::string& type) {
    return call("graph.edge.create",
                {{"from_node_id", from}, {"to_node_id", to}, {"edge_type", type}});
  }
  std::vector<int64_t> ids(const std::string& method, const json& params = json::object()) {
    std::vector<int64_t> found;
    auto rows = ask(method, params)["nodes"];
    for (const auto& node : rows)
      found.push_back(node["id"]);
    return found;
  }
  json bootstrap() {
    return ask("plan.bootstrap", {{"initiative_title", "I"}, {"plan_title", "P"}});
  }
};

} // namespace

TEST_CASE_METHOD(plans, "graph.node.create answers with the node", "[plans]") {
  auto session = open_session();
  auto parent = make_node();
  auto node = ask("graph.node.create", {{"node_type", "plan"},
                                        {"title", "P"},
                                        {"priority", 3},
                                        {"parent_id", parent},
                                        {"owner_session_id", session},
                                        {"risk_level", 2},
                                        {"token_estimate", 900},
                                        {"affected_files", {"a", "b"}},
                                        {"approval_state", "pending"}});
  CHECK(node["node_type"] == "plan");
  CHECK(node["facet"] == "planning");
  CHECK(node["status"] == "todo");
  CHECK(node["parent_id"] == parent);
  CHECK(node["owner_session_id"] == session);
  CHECK(node["affected_files"] == json({"a", "b"}));
  CHECK(node["approval_state"] == "pending");
  CHECK_FALSE(node.contains("summary"));
}

TEST_CASE_METHOD(plans, "graph.node.create refuses things that do not exist", "[plans]") {
  auto name = GENERATE(as<std::string>{}, "parent_id", "worktree_id", "owner_session_id");
  CHECK(code_of("graph.node.create", {{"node_type", "x"}, {"title", "y"}, {name, 99}})
        == "not_found");
}

TEST_CASE_METHOD(plans, "graph.node.list filters by type, facet, status and parent", "[plans]") {
  auto parent = make_node({{"node_type", "plan"}});
  auto child = make_node({{"parent_id", parent}, {"facet", "review"}, {"status", "done"}});
  CHECK(ids("graph.node.list", {{"node_type", "plan"}}) == std::vector<int64_t>{parent});
  CHECK(ids("graph.node.list", {{"facet", "review"}}) == std::vector<int64_t>{child});
  CHECK(ids("graph.node.list", {{"status", "done"}}) == std::vector<int64_t>{child});
  CHECK(ids("graph.node.list", {{"parent_id", parent}}) == std::vector<int64_t>{child});
}

TEST_CASE_METHOD(plans, "graph.edge.create connects two nodes", "[plans]") {
  auto a = make_node();
  auto b = make_node();
  auto made = result_of(edge(a, b, "relates"));
  CHECK(made["from_node_id"] == a);
  CHECK(made["to_node_id"] == b);
  CHECK(made["edge_type"] == "relates");
  CHECK(shape_of_time(made["created_at"]) == "time");
}

TEST_CASE_METHOD(plans, "graph.edge.create refuses ends that do not exist", "[plans]") {
  auto a = make_node();
  CHECK(orch::test::error_of(edge(a, 99, "relates"))["code"] == "not_found");
  CHECK(orch::test::error_of(edge(99, a, "relates"))["code"] == "not_found");
}

TEST_CASE_METHOD(plans, "graph.edge.create refuses an edge to itself", "[plans]") {
  auto type = GENERATE(as<std::string>{}, "depends_on", "blocks", "contains", "relates");
  auto a = make_node();
  auto code = orch::test::error_of(edge(a, a, type))["code"].get<std::string>();
  CHECK((code == "conflict" || code == "invalid_params"));
}

TEST_CASE_METHOD(plans, "graph.edge.create never makes an edge twice", "[plans]") {
  auto a = make_node();
  auto b = make_node();
  result_of(edge(a, b, "relates"));
  CHECK(orch::test::error_of(edge(a, b, "relates"))["code"] == "conflict");
}

TEST_CASE_METHOD(plans, "graph.edge.create refuses a cycle and names it", "[plans]") {
  auto type = GENERATE(as<std::string>{}, "depends_on", "blocks");
  auto a = make_node();
  auto b = make_node();
  auto c = make_node();
  result_of(edge(a, b, type));
  result_of(edge(b, c, type));
  auto error = orch::test::error_of(edge(c, a, type));
  CHECK(error["code"] == "conflict");
  for (auto id : {a, b, c})
    CHECK(error["data"].dump().find(std::to_string(id)) != std::string::npos);
}

TEST_CASE_METHOD(plans, "graph.edge.create refuses a cycle of depends_on and blocks together",
                 "[plans]") {
  // A depends on B; if A also blocks B, neither can start.
  auto a = make_node();
  auto b = make_node();
  result_of(edge(a, b, "depends_on"));
  CHECK(orch::test::error_of(edge(a, b, "blocks"))["code"] == "conflict");
}

TEST_CASE_METHOD(plans, "graph.edge.create allows cycles of other types", "[plans]") {
  auto a = make_node();
  auto b = make_node();
  result_of(edge(a, b, "relates"));
  CHECK(edge(b, a, "relates").contains("result"));
}

TEST_CASE_METHOD(plans, "graph.ready gives what depends on nothing unfinished", "[plans]") {
  auto needed = make_node({{"priority", 1}});
  auto needs = make_node({{"priority", 5}});
  auto free = make_node({{"priority", 2}});
  auto blocker = make_node({{"status", "done"}});
  auto blocked = make_node({{"priority", 9}});
  result_of(edge(needs, needed, "depends_on"));
  result_of(edge(blocker, blocked, "blocks"));
  CHECK(ids("graph.ready") == std::vector<int64_t>{blocked, free, needed});
  CHECK(ids("graph.ready", {{"limit", 1}}) == std::vector<int64_t>{blocked});
}

TEST_CASE_METHOD(plans, "graph.checklist.upsert keeps one item for each place", "[plans]") {
  auto node = make_node();
  auto item = ask("graph.checklist.upsert", {{"node_id", node}, {"item_text", "tests"}});
  CHECK(item["status"] == "todo");
  CHECK(item["order_no"] == 1);
  auto again = ask("graph.checklist.upsert",
                   {{"node_id", node}, {"item_text", "more tests"}, {"status", "done"}});
  CHECK(again["id"] == item["id"]);
  CHECK(again["item_text"] == "more tests");
  CHECK(
    ask("graph.checklist.upsert", {{"node_id", node}, {"item_text", "docs"}, {"order_no", 2}})["id"]
    != item["id"]);
}

TEST_CASE_METHOD(plans, "graph.snapshot.create answers with the snapshot", "[plans]") {
  auto node = make_node();
  auto snapshot = ask("graph.snapshot.create", {{"node_id", node},
                                                {"snapshot_type", "note"},
                                                {"summary", "s"},
                                                {"affected_files", {"a"}},
                                                {"next_action", "n"}});
  CHECK(snapshot["node_id"] == node);
  CHECK(snapshot["snapshot_type"] == "note");
  CHECK(snapshot["affected_files"] == json({"a"}));
}

TEST_CASE_METHOD(plans, "plan.bootstrap makes initiative, plan and edge", "[plans]") {
  auto made = bootstrap();
  CHECK(made["initiative"]["node_type"] == "initiative");
  CHECK(made["plan"]["node_type"] == "plan");
  CHECK(made["edge"]["edge_type"] == "contains");
  CHECK(made["edge"]["from_node_id"] == made["initiative"]["id"]);
  CHECK(made["edge"]["to_node_id"] == made["plan"]["id"]);
}

TEST_CASE_METHOD(plans, "plan.slice.generate makes all slices and warns about large ones",
                 "[plans]") {
  auto plan = bootstrap()["plan"]["id"];
  std::vector<std::string> thirteen(13, "f");
  for (std::size_t i = 0; i < thirteen.size(); ++i)
    thirteen[i] += std::to_string(i);
  auto made = ask("plan.slice.generate", {{"plan_node_id", plan},
                                          {"slice_specs",
                                           {{{"title", "fits"}, {"token_estimate", 18'000}},
                                            {{"title", "long"}, {"token_estimate", 18'001}},
                                            {{"title", "wide"}, {"affected_files", thirteen}}}}});
  REQUIRE(made["slices"].size() == 3);
  CHECK(made["edges"].size() == 3);
  CHECK(made["slices"][0]["parent_id"] == plan);
  REQUIRE(made["warnings"].size() == 2);
  CHECK(made["warnings"][0]["node_id"] == made["slices"][1]["id"]);
  CHECK(made["warnings"][1]["node_id"] == made["slices"][2]["id"]);
}

TEST_CASE_METHOD(plans, "plan.slice.generate keeps nothing when one slice is wrong", "[plans]") {
  auto plan = bootstrap()["plan"]["id"];
  auto before = ids("graph.node.list").size();
  CHECK(code_of("plan.slice.generate",
                {{"plan_node_id", plan}, {"slice_specs", {{{"title", "good"}}, {{"title", " "}}}}})
        == "invalid_params");
  CHECK(code_of("plan.slice.generate", {{"plan_node_id", plan},
                                        {"owner_session_id", 99},
                                        {"slice_specs", {{{"title", "good"}}}}})
        == "not_found");
  CHECK(ids("graph.node.list").size() == before);
}

TEST_CASE_METHOD(plans, "plan.slice.replan records why", "[plans]") {
  auto node = make_node();
  auto snapshot = ask("plan.slice.replan", {{"node_id", node}, {"reason", "too big"}});
  CHECK(snapshot["snapshot_type"] == "replan");
  CHECK(snapshot.dump().find("too big") != std::string::npos);
}

TEST_CASE_METHOD(plans, "plan.rollup.preview counts the children by status", "[plans]") {
  auto parent = make_node();
  make_node({{"parent_id", parent}});
  make_node({{"parent_id", parent}, {"status", "done"}});
  make_node({{"parent_id", parent}, {"status", "done"}});
  auto preview = ask("plan.rollup.preview", {{"parent_node_id", parent}});
  CHECK(preview["child_count"] == 3);
  CHECK(preview["status_counts"] == json({{"todo", 1}, {"done", 2}}));
  CHECK(preview["children"].size() == 3);
}

TEST_CASE_METHOD(plans, "plan.rollup.submit hands the node in", "[plans]") {
  auto node = make_node();
  auto submitted = ask("plan.rollup.submit", {{"node_id", node}, {"summary", "ready"}});
  CHECK(submitted["node"]["status"] == "in_review");
  CHECK(submitted["node"]["approval_state"] == "pending");
  CHECK(submitted["snapshot"]["summary"] == "ready");
  CHECK(submitted["preview"]["parent_node_id"] == node);
}

TEST_CASE_METHOD(plans, "plan.rollup.approve and reject decide about what is pending", "[plans]") {
  auto [verdict, state, status] = GENERATE(table<std::string, std::string, std::string>(
    {{"approve", "approved", "done"}, {"reject", "rejected", "blocked"}}));
  auto node = make_node();
  CHECK(code_of("plan.rollup." + verdict, {{"node_id", node}}) == "failed_precondition");
  ask("plan.rollup.submit", {{"node_id", node}});
  auto decided = ask("plan.rollup." + verdict, {{"node_id", node}, {"reason", "because"}});
  CHECK(decided["approval_state"] == state);
  CHECK(decided["status"] == status);
  CHECK(code_of("plan.rollup." + verdict, {{"node_id", node}}) == "failed_precondition");
}
