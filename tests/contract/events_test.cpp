#include "client.hpp"

#include <sqlite3.h>

#include <csignal>
#include <set>

using namespace orch::test;

namespace {

struct events : contract {
  json tail(server& on, const json& params = json::object()) {
    return on.ask("events.tail", params);
  }
  int64_t newest(server& on) { return tail(on)["next_since"]; }

  /// All events there are, page by page.
  std::vector<json> all() {
    std::vector<json> found;
    for (int64_t since = 0;;) {
      auto page = tail(first, {{"since", since}, {"limit", 50}});
      CHECK_FALSE(page["gap"].get<bool>());
      if (page["events"].empty())
        return found;
      for (const auto& x : page["events"])
        found.push_back(x);
      since = page["next_since"];
    }
  }

  /// What a request changed, by the kinds of its events; db_version must agree.
  std::vector<std::string> changes_by(const std::string& method, const json& params) {
    auto version = first.db_version();
    auto since = newest(first);
    INFO(method);
    ask(method, params);
    std::vector<std::string> kinds;
    auto page = tail(first, {{"since", since}, {"limit", 1'000}});
    for (const auto& x : page["events"])
      kinds.push_back(x["kind"]);
    CHECK(first.db_version() - version == std::ssize(kinds));
    return kinds;
  }

  int64_t wait_for_events(server& on, const json& more = json::object()) {
    json params{{"wait_seconds", 3'600}};
    params.update(more);
    return on.request("events.tail", params);
  }
};

/// JSON-RPC with notifications in between.
struct resource_updates : contract {
  resource_updates() {
    first.rpc("initialize", {{"protocolVersion", "2025-11-25"},
                             {"capabilities", json::object()},
                             {"clientInfo", {{"name", "t"}, {"version", "1"}}}});
  }
  json subscribe(const std::string& uri) {
    return first.rpc("resources/subscribe", {{"uri", uri}});
  }
  json unsubscribe(const std::string& uri) {
    return first.rpc("resources/unsubscribe", {{"uri", uri}});
  }
  std::string next_updated() {
    auto message = first.next();
    INFO(message);
    CHECK(message["jsonrpc"] == "2.0");
    CHECK_FALSE(message.contains("id"));
    REQUIRE(message["method"] == "notifications/resources/updated");
    return message["params"]["uri"];
  }
  int64_t make_task_on(server& on, const json& more = json::object()) {
    json params{{"level", "epic"}, {"title", "x"}};
    params.update(more);
    return on.ask("task.create", params)["id"];
  }
};

} // namespace

TEST_CASE_METHOD(events, "every kind of change is an event, as db_version counts it", "[events]") {
  using kinds = std::vector<std::string>;
  auto task = make_case();
  auto feature = make_task("feature");
  auto node = make_node();
  auto other_node = make_node();
  auto session = open_session();
  auto owner = std::to_string(session);
  json scope{{"scope_type", "file"}, {"scope_path", "a.txt"}, {"owner_session", owner}};
  CHECK(changes_by("session.open", {}) == kinds{"session.opened"});
  CHECK(changes_by("session.open", {{"intent", "resume_work"}}) == kinds{"session.opened"});
  CHECK(changes_by("task.create", {{"level", "epic"}, {"title", "x"}}) == kinds{"task.created"});
  CHECK(changes_by("task.update", {{"task_id", task}, {"title", "y"}}) == kinds{"task.updated"});
  CHECK(changes_by("case.begin", {{"case_id", task}, {"session_id", session}})
        == kinds{"case.begun"});
  CHECK(
    changes_by("step.check",
               {{"case_id", task}, {"session_id", session}, {"step_title", "s"}, {"result", "ok"}})
    == kinds{"step.checked"});
  CHECK(changes_by("work.current_ref", {{"session_id", session}, {"mode", "resume"}})
        == kinds{"ref.updated"});
  CHECK(changes_by("work.current_ref.ack", {{"session_id", session}, {"ref_id", 1}})
        == kinds{"ref.acked"});
  CHECK(changes_by("case.complete", {{"case_id", task}, {"session_id", session}})
        == kinds{"case.completed"});
  CHECK(changes_by("graph.node.create", {{"node_type", "slice"}, {"title", "x"}})
        == kinds{"node.created"});
  CHECK(changes_by("graph.edge.create",
                   {{"from_node_id", node}, {"to_node_id", other_node}, {"edge_type", "blocks"}})
        == kinds{"edge.created"});
  CHECK(changes_by("graph.checklist.upsert", {{"node_id", node}, {"item_text", "x"}})
        == kinds{"checklist.updated"});
  CHECK(changes_by("graph.snapshot.create", {{"node_id", node}, {"snapshot_type", "manual"}})
        == kinds{"node.snapshot"});
  CHECK(changes_by("plan.bootstrap", {{"initiative_title", "I"}, {"plan_title", "P"}})
        == kinds{"plan.created"});
  CHECK(changes_by("plan.rollup.submit", {{"node_id", node}}) == kinds{"rollup.submitted"});
  CHECK(changes_by("plan.rollup.approve", {{"node_id", node}}) == kinds{"rollup.decided"});
  CHECK(changes_by("lock.acquire", scope) == kinds{"lock.acquired"});
  CHECK(changes_by("lock.acquire", scope) == kinds{"lock.renewed"});
  CHECK(changes_by("lock.heartbeat", {{"lock_id", 1}}) == kinds{"lock.renewed"});
  CHECK(changes_by("lock.release", {{"lock_id", 1}}) == kinds{"lock.released"});
  CHECK(changes_by("merge.request", {{"feature_task_id", feature}}) == kinds{"merge.requested"});
  CHECK(changes_by("merge.main.acquire_lock", {{"session_id", session}})
        == kinds{"main_lock.acquired"});
  CHECK(changes_by("merge.main.release_lock", {{"session_id", session}})
        == kinds{"main_lock.released"});
  CHECK(changes_by("worktree.create", {{"branch", "b"}}) == kinds{"worktree.planned"});
  CHECK(changes_by("worktree.create", {{"branch", "c"}, {"create_on_disk", true}})
        == kinds{"worktree.created"});
  ask("lock.acquire", scope);
  CHECK(changes_by("session.close", {{"session_id", session}})
        == kinds{"lock.released", "session.closed"});
  CHECK(changes_by("task.list", {}).empty());
  CHECK(std::ssize(all()) == first.db_version());
}

TEST_CASE_METHOD(events, "an event says when, what, whose request and which server", "[events]") {
  auto session = open_session();
  auto task = make_case();
  auto since = newest(first);
  ask("case.begin", {{"case_id", task}, {"session_id", session}});
  auto found = tail(first, {{"since", since}})["events"];
  REQUIRE(found.size() == 1);
  CHECK(found[0]["seq"] == since + 1);
  CHECK(shape_of_time(found[0]["at"]) == "time");
  CHECK(found[0]["kind"] == "case.begun");
  CHECK(found[0]["ids"]["task_id"] == task);
  CHECK(found[0]["session_id"] == session);
  CHECK_FALSE(found[0].contains("thread_id"));
  CHECK(found[0]["server_id"].is_number_integer());
}

TEST_CASE_METHOD(events, "what is refused is no event", "[events]") {
  auto since = newest(first);
  code_of("task.create", {{"level", "case"}, {"title", "x"}, {"parent_id", 9}});
  CHECK(newest(first) == since);
}

TEST_CASE_METHOD(events, "events.tail sees what was asked for before it", "[events]") {
  std::vector<int64_t> asked;
  for (int i = 1; i <= 200; ++i) {
    first.request("task.create", {{"level", "epic"}, {"title", "x"}});
    asked.push_back(first.request("events.tail", {{"since", 0}, {"limit", 1'000}}));
  }
  for (int i = 1; i <= 200; ++i)
    CHECK(result_of(first.answer_to(asked[static_cast<std::size_t>(i) - 1]))["events"].size()
          >= static_cast<std::size_t>(i));
}

TEST_CASE_METHOD(events, "events.tail hears of another process at once, again and again",
                 "[events]") {
  auto& other = start();
  auto since = newest(other);
  auto began = std::chrono::steady_clock::now();
  constexpr int rounds = 50;
  for (int i = 0; i < rounds; ++i) {
    auto waiting = wait_for_events(other, {{"since", since}});
    auto made = make_task("epic");
    auto found = result_of(other.answer_to(waiting));
    REQUIRE(found["events"].size() == 1);
    CHECK(found["events"][0]["ids"]["task_id"] == made);
    since = found["next_since"];
  }
  // Without a hint each would take 5 s.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{5 * rounds / 2});
}

TEST_CASE_METHOD(events, "events.tail holds up nobody and may be waited for many times",
                 "[events]") {
  auto& other = start();
  std::vector<int64_t> waiting;
  auto since = newest(other);
  for (int i = 0; i < 100; ++i)
    waiting.push_back(wait_for_events(other, {{"since", since}, {"kinds", {"task."}}}));
  CHECK(other.code_of("task.list") == "ok");
  open_session();
  CHECK(other.code_of("task.list") == "ok");
  make_task("epic");
  for (auto id : waiting)
    CHECK(result_of(other.answer_to(id))["events"][0]["kind"] == "task.created");
}

TEST_CASE_METHOD(events, "events.tail answers with an empty list when the time is over",
                 "[events]") {
  auto since = newest(first);
  auto found = tail(first, {{"wait_seconds", 1}});
  CHECK(found["events"].empty());
  CHECK(found["next_since"] == since);
}

TEST_CASE_METHOD(events, "events.tail is told when what it asks for is no longer kept",
                 "[events]") {
  write(root / ".codex-orch/config.json", R"({"events":{"keep_hours":1}})");
  make_task("epic");
  make_task("epic");
  first.finish();
  auto file = (root / ".codex-orch/state.db").string();
  auto& next = start();
  CHECK(newest(next) == 2);
  next.finish();
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, "UPDATE events SET at = 1", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  auto& last = start();
  last.ask("task.create", {{"level", "epic"}, {"title", "x"}});
  auto found = tail(last, {{"since", 0}});
  CHECK(found["gap"] == true);
  CHECK(found["oldest_seq"] == 3);
  REQUIRE(found["events"].size() == 1);
  CHECK(found["events"][0]["seq"] == 3);
}

TEST_CASE_METHOD(events, "a waiting events.tail can be cancelled", "[events]") {
  auto waiting = wait_for_events(first);
  first.send_line(json{
    {"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", waiting}}}}
                    .dump());
  CHECK(first.error_of("nope")["code"] == "method_not_found");
  make_task("epic");
  first.send_line(R"({"id":"last","method":"task.list"})");
  std::set<std::string> ids;
  for (;;) {
    auto answer = first.next();
    CHECK(answer["id"] != waiting);
    if (answer["id"] == "last")
      break;
  }
}

TEST_CASE_METHOD(events, "a server that is stopped answers those who wait for events", "[events]") {
  auto waiting = wait_for_events(first);
  CHECK(code_of("task.list") == "ok");
  first.kill(SIGTERM);
  CHECK(orch::test::error_of(first.answer_to(waiting))["code"] == "unavailable");
  CHECK(first.wait().code == 0);
}

TEST_CASE_METHOD(resource_updates, "resources/subscribe is offered", "[mcp]") {
  auto result = result_of(first.rpc("initialize", {{"protocolVersion", "2025-06-18"}}));
  CHECK(result["capabilities"]["resources"]["subscribe"] == true);
}

TEST_CASE_METHOD(resource_updates, "a subscriber hears of a change that another process makes",
                 "[mcp]") {
  auto& other = start();
  auto task = make_task_on(other);
  auto uri = "orch://tasks/" + std::to_string(task);
  CHECK(result_of(subscribe(uri)) == json::object());
  for (int i = 0; i < 5; ++i) {
    other.ask("task.update", {{"task_id", task}, {"title", std::to_string(i)}});
    CHECK(next_updated() == uri);
    auto text = result_of(first.rpc("resources/read", {{"uri", uri}}))["contents"][0]["text"];
    CHECK(json::parse(text.get<std::string>())["title"] == std::to_string(i));
  }
}

TEST_CASE_METHOD(resource_updates, "a subscriber hears of what changes below a task", "[mcp]") {
  auto epic = make_task_on(first);
  subscribe("orch://tasks/" + std::to_string(epic));
  auto feature = make_task_on(first, {{"level", "feature"}, {"parent_id", epic}});
  CHECK(next_updated() == "orch://tasks/" + std::to_string(epic));
  make_task_on(first, {{"level", "case"}, {"parent_id", feature}});
  CHECK(next_updated() == "orch://tasks/" + std::to_string(epic));
}

TEST_CASE_METHOD(resource_updates, "a burst of changes is told of seldom, the last one always",
                 "[mcp]") {
  auto& other = start();
  auto task = make_task_on(other);
  auto uri = "orch://tasks/" + std::to_string(task);
  subscribe(uri);
  constexpr int changes = 2'000;
  auto began = std::chrono::steady_clock::now();
  std::vector<int64_t> asked;
  for (int i = 0; i < changes; ++i)
    asked.push_back(
      other.request("task.update", {{"task_id", task}, {"title", std::to_string(i)}}));
  for (auto id : asked)
    result_of(other.answer_to(id));
  int notices = 0;
  std::string title;
  while (title != std::to_string(changes - 1)) {
    next_updated();
    ++notices;
    auto text = result_of(first.rpc("resources/read", {{"uri", uri}}))["contents"][0]["text"];
    title = json::parse(text.get<std::string>())["title"];
  }
  auto took = std::chrono::steady_clock::now() - began;
  CHECK(notices <= 2 + took / std::chrono::milliseconds{100});
}

TEST_CASE_METHOD(resource_updates, "a subscriber does not hear of its own reads or of others",
                 "[mcp]") {
  auto task = make_task_on(first);
  auto mine = "orch://tasks/" + std::to_string(task);
  for (const auto& uri : {mine, std::string{"orch://locks"}, std::string{"orch://merge-queue"}})
    result_of(subscribe(uri));
  for (const auto& uri : {mine, std::string{"orch://locks"}, std::string{"orch://merge-queue"},
                          std::string{"orch://status"}, std::string{"orch://mirror"}})
    result_of(first.rpc("resources/read", {{"uri", uri}}));
  make_task_on(first);
  ask("task.update", {{"task_id", task}, {"title", "changed"}});
  CHECK(next_updated() == mine);
}

TEST_CASE_METHOD(resource_updates, "every resource can be subscribed to and is told of", "[mcp]") {
  auto session = open_session();
  auto locks = std::string{"orch://locks"};
  auto all = {std::string{"orch://status"}, std::string{"orch://mirror"}, locks,
              "orch://sessions/" + std::to_string(session)};
  for (const auto& uri : all)
    result_of(subscribe(uri));
  ask(
    "lock.acquire",
    {{"scope_type", "file"}, {"scope_path", "a.txt"}, {"owner_session", std::to_string(session)}});
  std::set<std::string> told;
  while (told.size() < all.size())
    told.insert(next_updated());
  CHECK(told == std::set<std::string>{all});
}

TEST_CASE_METHOD(resource_updates, "after resources/unsubscribe nothing more is told", "[mcp]") {
  auto task = make_task_on(first);
  auto gone = "orch://tasks/" + std::to_string(task);
  subscribe(gone);
  CHECK(result_of(unsubscribe(gone)) == json::object());
  CHECK(result_of(unsubscribe(gone)) == json::object());
  subscribe("orch://locks");
  ask("task.update", {{"task_id", task}, {"title", "changed"}});
  ask("lock.acquire", {{"scope_type", "file"},
                       {"scope_path", "a.txt"},
                       {"owner_session", std::to_string(open_session())}});
  CHECK(next_updated() == "orch://locks");
}

TEST_CASE_METHOD(resource_updates, "only resources can be subscribed to", "[mcp]") {
  auto uri = GENERATE(as<std::string>{}, "orch://nope", "orch://tasks/x", "orch://tasks/", "",
                      "file:///etc/passwd");
  auto method = GENERATE(as<std::string>{}, "resources/subscribe", "resources/unsubscribe");
  auto error = orch::test::error_of(first.rpc(method, {{"uri", uri}}));
  CHECK(error["code"] == -32002);
  CHECK(error["data"]["uri"] == uri);
}

TEST_CASE_METHOD(resource_updates, "locks, merge queue and threads can be read", "[mcp]") {
  auto read = [&](const std::string& uri) {
    return json::parse(result_of(first.rpc("resources/read", {{"uri", uri}}))["contents"][0]["text"]
                         .get<std::string>());
  };
  CHECK(read("orch://locks")["locks"] == json::array());
  CHECK(read("orch://merge-queue")["requests"] == json::array());
  CHECK(orch::test::error_of(first.rpc("resources/read", {{"uri", "orch://threads/9"}}))["code"]
        == -32002);
}

TEST_CASE_METHOD(resource_updates, "a server with subscriptions ends with its input", "[mcp]") {
  subscribe("orch://status");
  CHECK(first.finish().code == 0);
}
