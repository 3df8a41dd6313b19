#include "client.hpp"

using namespace orch::test;

namespace {

struct versions : contract {
  /// By how much the request raised db_version.
  int64_t raise(const std::string& method, const json& params = json::object()) {
    auto before = first.db_version();
    ask(method, params);
    return first.db_version() - before;
  }
};

} // namespace

TEST_CASE_METHOD(versions, "db_version is raised by one for each change", "[versions]") {
  auto session = open_session();
  auto owner = std::to_string(session);
  auto task = make_case();
  auto node = make_node();
  CHECK(raise("session.open") == 1);
  CHECK(raise("task.create", {{"level", "epic"}, {"title", "x"}}) == 1);
  CHECK(raise("task.update", {{"task_id", task}, {"title", "y"}}) == 1);
  CHECK(raise("case.begin", {{"case_id", task}, {"session_id", session}}) == 1);
  CHECK(raise("step.check",
              {{"case_id", task}, {"session_id", session}, {"step_title", "s"}, {"result", 1}})
        == 1);
  CHECK(raise("case.complete", {{"case_id", task}, {"session_id", session}}) == 1);
  CHECK(raise("plan.bootstrap", {{"initiative_title", "I"}, {"plan_title", "P"}}) == 1);
  CHECK(raise("plan.rollup.submit", {{"node_id", node}}) == 1);
  CHECK(
    raise("lock.acquire", {{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", owner}})
    == 1);
  CHECK(raise("lock.release", {{"lock_id", 1}}) == 1);
  CHECK(raise("merge.main.acquire_lock", {{"session_id", session}}) == 1);
  CHECK(raise("merge.main.release_lock", {{"session_id", session}}) == 1);
  CHECK(raise("worktree.create", {{"branch", "b"}}) == 1);
  CHECK(raise("session.close", {{"session_id", session}}) == 1);
}

TEST_CASE_METHOD(versions, "db_version is not raised by reads and heartbeats", "[versions]") {
  auto work = begin_work();
  ask("work.current_ref", {{"session_id", work["session"]}});
  for (const char* method : {"workspace.init", "session.list", "task.list", "graph.node.list",
                             "graph.ready", "worktree.list", "lock.list", "merge.main.next",
                             "merge.main.list", "mirror.status", "resume.next"})
    CHECK(raise(method) == 0);
  for (const char* method : {"session.context", "session.heartbeat", "work.current_ref"})
    CHECK(raise(method, {{"session_id", work["session"]}}) == 0);
  CHECK(raise("checkpoint.list", {{"task_id", work["case"]}}) == 0);
}

TEST_CASE_METHOD(versions, "db_version is not raised by what is refused", "[versions]") {
  auto before = first.db_version();
  code_of("task.create", {{"level", "case"}, {"title", "x"}, {"parent_id", 9}});
  code_of("session.close", {{"session_id", 9}});
  code_of("nope");
  CHECK(first.db_version() == before);
}

TEST_CASE_METHOD(versions, "db_version is raised by a lease that ends", "[versions]") {
  ask("lock.acquire", {{"scope_type", "file"},
                       {"scope_path", "a"},
                       {"owner_session", std::to_string(open_session())},
                       {"ttl_seconds", 1}});
  auto before = first.db_version();
  eventually("the lease has ended", [&] { return ask("lock.list")["locks"].empty(); });
  CHECK(first.db_version() == before + 1);
}

TEST_CASE_METHOD(versions, "db_version counts the changes of all servers", "[versions]") {
  auto before = first.db_version();
  std::vector<server*> servers{&first, &start(), &start(), &start()};
  constexpr int each = 50;
  for (auto one : servers)
    for (int i = 0; i < each; ++i)
      one->request("task.create", {{"level", "epic"}, {"title", "x"}});
  for (auto one : servers)
    for (int i = 0; i < each; ++i)
      REQUIRE(one->next().contains("result"));
  CHECK(first.db_version() == before + 4 * each);
}

TEST_CASE_METHOD(sandbox, "many servers may start at the same moment", "[versions]") {
  std::vector<server*> servers;
  for (int i = 0; i < 8; ++i)
    servers.push_back(&start());
  for (auto one : servers)
    one->request("session.open");
  std::vector<int64_t> ids;
  for (auto one : servers)
    ids.push_back(result_of(one->next())["session_context"]["session"]["id"]);
  std::sort(ids.begin(), ids.end());
  CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
  git({"fsck", "--no-dangling"});
}
