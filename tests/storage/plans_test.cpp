#include "state_fixture.hpp"
#include "storage/plans.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct plan_fixture : state_fixture {
  int64_t add(const std::string& status = "todo", int64_t priority = 0) {
    now.us += 1;
    graph_node_create request;
    request.node_type = "slice";
    request.title = "n";
    request.status = status;
    request.priority = priority;
    return in_tx([&](tx& t) { return create_node(t, request).id; });
  }

  request_error connect(int64_t from, int64_t to, const std::string& type) {
    return refused([&](tx& t) { create_edge(t, {from, to, type}); });
  }
};

} // namespace

TEST_CASE_METHOD(plan_fixture, "graph.edge.create refuses to close a cycle and names it",
                 "[plans]") {
  auto a = add();
  auto b = add();
  auto c = add();
  CHECK(connect(a, b, "depends_on").code == errc::none);
  CHECK(connect(c, b, "blocks").code == errc::none); // b waits for c
  auto error = connect(c, a, "depends_on");
  CHECK(error.code == errc::conflict);
  CHECK(error.data["cycle"] == json{c, a, b, c});
  CHECK(connect(c, a, "relates").code == errc::none);
}

TEST_CASE_METHOD(plan_fixture, "graph.edge.create refuses missing ends, loops and twins",
                 "[plans]") {
  auto a = add();
  auto b = add();
  CHECK(connect(a, 99, "contains").code == errc::not_found);
  CHECK(connect(99, a, "contains").code == errc::not_found);
  CHECK(connect(a, a, "relates").code == errc::invalid_params);
  CHECK(connect(a, b, "relates").code == errc::none);
  CHECK(connect(a, b, "relates").code == errc::conflict);
}

TEST_CASE_METHOD(plan_fixture, "graph.ready gives todo nodes whose dependencies are done",
                 "[plans]") {
  auto done = add("done");
  auto open = add("todo", 5);
  auto ready = add("todo", 1);
  auto waiting = add("todo", 9);
  connect(ready, done, "depends_on");
  connect(open, waiting, "blocks");
  std::vector<int64_t> ids;
  for (const auto& x : in_tx([](tx& t) { return list_ready_nodes(t, {}); }).nodes)
    ids.push_back(x.id);
  CHECK(ids == std::vector{open, ready});
}

TEST_CASE_METHOD(plan_fixture, "plan.slice.generate keeps nothing when one slice is refused",
                 "[plans]") {
  auto plan = add();
  auto before = in_tx([](tx& t) { return t.number("SELECT count(*) FROM graph_nodes"); });
  plan_slice_generate request;
  request.plan_node_id = plan;
  request.slice_specs.resize(2);
  request.owner_session_id = 99;
  CHECK(refused([&](tx& t) { generate_slices(t, request); }).code == errc::not_found);
  CHECK(in_tx([](tx& t) { return t.number("SELECT count(*) FROM graph_nodes"); }) == before);
}

TEST_CASE_METHOD(plan_fixture, "plan.slice.generate warns about slices over the planning rules",
                 "[plans]") {
  plan_slice_generate request;
  request.plan_node_id = add();
  request.slice_specs.resize(2);
  request.slice_specs[0].title = "small";
  request.slice_specs[0].token_estimate = 18'000;
  request.slice_specs[1].title = "large";
  request.slice_specs[1].token_estimate = 18'001;
  request.slice_specs[1].affected_files = std::vector<std::string>(13, "f");
  auto made = in_tx([&](tx& t) { return generate_slices(t, request); });
  CHECK(made.slices.size() == 2);
  REQUIRE(made.warnings.size() == 2);
  CHECK(made.warnings[0].node_id == made.slices[1].id);
  CHECK(made.warnings[0].rule == "max_tokens_per_slice");
  CHECK(made.warnings[1].rule == "max_files_per_slice");
}

TEST_CASE_METHOD(plan_fixture, "a rollup is decided once, and only after it was submitted",
                 "[plans]") {
  auto id = add();
  auto approve = [&] { return refused([&](tx& t) { approve_rollup(t, {id, {}}); }).code; };
  CHECK(approve() == errc::failed_precondition);
  plan_rollup_submit submit;
  submit.node_id = id;
  auto made = in_tx([&](tx& t) { return submit_rollup(t, submit); });
  CHECK(made.node.approval_state == "pending");
  CHECK(made.node.status == "in_review");
  CHECK(approve() == errc::none);
  CHECK(approve() == errc::failed_precondition);
}

TEST_CASE_METHOD(plan_fixture, "storage keeps one checklist item for each place", "[plans]") {
  auto id = add();
  auto put = [&](const std::string& text, int64_t order) {
    graph_checklist_upsert request;
    request.node_id = id;
    request.item_text = text;
    request.order_no = order;
    return in_tx([&](tx& t) { return upsert_checklist_item(t, request); });
  };
  auto first = put("a", 1);
  CHECK(put("b", 1).id == first.id);
  CHECK(put("c", 2).id != first.id);
}
