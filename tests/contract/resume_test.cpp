#include "client.hpp"

#include <csignal>

using namespace orch::test;

namespace {

/// Sessions that stop, and a server on which others look for them.
struct resume : contract {
  /// A session with a case in progress whose connection has ended.
  json suspended_work() {
    auto& other = start();
    auto work = begin_work_on(other);
    CHECK(other.finish().code == 0);
    return work;
  }

  int64_t requester() { return ask("session.open", {{"intent", "resume_work"}})["session"]["id"]; }

  json candidates(int64_t requester, const json& more = json::object()) {
    json params{{"requester_session_id", requester}};
    params.update(more);
    return ask("resume.candidates.list", params)["candidates"];
  }

  json attach(const json& requester, const json& target) {
    return call("resume.candidates.attach",
                {{"requester_session_id", requester}, {"target_session_id", target}});
  }

  std::string status(const json& session) {
    return ask("session.context", {{"session_id", session}})["session"]["status"];
  }
};

} // namespace

TEST_CASE_METHOD(resume, "a session is suspended when its connection ends", "[resume]") {
  auto work = suspended_work();
  auto listed = ask("session.list", {{"status", "suspended"}});
  REQUIRE(listed["count"] == 1);
  CHECK(listed["sessions"][0]["session"]["id"] == work["session"]);
  CHECK(listed["sessions"][0]["connected"] == false);
}

TEST_CASE_METHOD(resume, "a session that was closed stays closed when its connection ends",
                 "[resume]") {
  auto& other = start();
  auto id = open_session_on(other);
  other.ask("session.close", {{"session_id", id}});
  other.finish();
  CHECK(ask("session.list", {{"status", "suspended"}})["count"] == 0);
}

TEST_CASE_METHOD(resume, "a suspended session is active again when a request names it",
                 "[resume]") {
  auto work = suspended_work();
  CHECK(ask("session.heartbeat", {{"session_id", work["session"]}})["status"] == "active_new");
}

TEST_CASE_METHOD(resume, "a session opened by once is neither suspended nor kept alive",
                 "[resume]") {
  auto opened = json::parse(run_once("session.open").out);
  auto body = opened.contains("result") ? opened["result"] : opened;
  CHECK(status(body["session_context"]["session"]["id"]) == "active_new");
}

TEST_CASE_METHOD(resume, "resume.candidates.list offers suspended sessions with work", "[resume]") {
  auto work = suspended_work();
  auto found = candidates(requester());
  REQUIRE(found.size() == 1);
  CHECK(found[0]["session"]["id"] == work["session"]);
  CHECK(found[0]["current_ref"]["node_id"] == work["case"]);
  CHECK(found[0]["session_root_worktree"]["owner_session_id"] == work["session"]);
}

TEST_CASE_METHOD(resume, "session.open to resume offers the candidates at once", "[resume]") {
  auto work = suspended_work();
  auto opened = ask("session.open", {{"intent", "resume_work"}});
  REQUIRE(opened["resume_candidates"].size() == 1);
  CHECK(opened["resume_candidates"][0]["session"]["id"] == work["session"]);
}

TEST_CASE_METHOD(resume, "resume.candidates.list leaves out who has no work or is alive",
                 "[resume]") {
  auto& other = start();
  open_session_on(other);
  other.finish();
  begin_work();
  CHECK(candidates(requester()).empty());
}

TEST_CASE_METHOD(resume, "resume.candidates.list never offers the requester", "[resume]") {
  auto work = begin_work();
  CHECK(candidates(work["session"], {{"heartbeat_timeout_seconds", 0}}).empty());
}

TEST_CASE_METHOD(resume, "resume.candidates.list leaves out closed sessions", "[resume]") {
  auto& other = start();
  auto work = begin_work_on(other);
  other.ask("session.close", {{"session_id", work["session"]}});
  other.finish();
  CHECK(candidates(requester()).empty());
}

TEST_CASE_METHOD(resume, "resume.candidates.list leaves out who finished the case", "[resume]") {
  auto& other = start();
  auto work = begin_work_on(other);
  other.ask("case.complete", {{"case_id", work["case"]}, {"session_id", work["session"]}});
  other.finish();
  CHECK(candidates(requester()).empty());
}

TEST_CASE_METHOD(resume, "resume.candidates.list offers the session of a killed server",
                 "[resume]") {
  auto& other = start();
  auto work = begin_work_on(other);
  other.kill(SIGKILL);
  other.wait();
  auto me = requester();
  eventually("the killed session is a candidate", [&] {
    return candidates(me, {{"heartbeat_timeout_seconds", 1}}).size() == 1;
  });
  auto taken = result_of(attach(me, work["session"]));
  CHECK(taken["current_ref"]["node_id"] == work["case"]);
}

TEST_CASE_METHOD(resume, "resume.candidates.attach hands everything over", "[resume]") {
  auto& other = start();
  auto work = begin_work_on(other);
  auto owner = std::to_string(work["session"].get<int64_t>());
  auto tree =
    other.ask("session.context", {{"session_id", work["session"]}})["session_root_worktree"]["id"];
  auto child = other.ask("worktree.spawn",
                         {{"session_id", work["session"]}, {"parent_worktree_id", tree}})["id"];
  other.ask("lock.acquire",
            {{"scope_type", "prefix"}, {"scope_path", "src"}, {"owner_session", owner}});
  other.ask("merge.main.acquire_lock", {{"session_id", work["session"]}});
  other.finish();

  auto me = requester();
  auto context = result_of(attach(me, work["session"]));
  CHECK(context["session"]["id"] == me);
  CHECK(context["session"]["status"] == "active_resume");
  CHECK(context["session_root_worktree"]["id"] == tree);
  CHECK(context["current_ref"]["session_id"] == me);
  CHECK(context["current_ref"]["mode"] == "resume");
  CHECK(context["current_ref"]["node_id"] == work["case"]);
  CHECK(status(work["session"]) == "handoff_attached");
  auto lock = ask("lock.list")["locks"][0];
  CHECK(lock["owner_session"] == std::to_string(me));
  auto mine = ask("worktree.list", {{"owner_session_id", me}})["worktrees"];
  CHECK(std::any_of(mine.begin(), mine.end(), [&](auto& x) { return x["id"] == child; }));
  CHECK(ask("merge.main.acquire_lock", {{"session_id", me}})["holder_session_id"] == me);
  CHECK(
    code_of("step.check",
            {{"case_id", work["case"]}, {"step_title", "on"}, {"result", "ok"}, {"session_id", me}})
    == "ok");
}

TEST_CASE_METHOD(resume, "resume.candidates.attach refuses a live target", "[resume]") {
  auto work = begin_work();
  auto error = orch::test::error_of(attach(requester(), work["session"]));
  CHECK(error["code"] == "failed_precondition");
  CHECK(status(work["session"]) == "active_new");
}

TEST_CASE_METHOD(resume, "resume.candidates.attach refuses the requester itself", "[resume]") {
  auto me = requester();
  auto code = orch::test::error_of(attach(me, me))["code"].get<std::string>();
  CHECK((code == "invalid_params" || code == "failed_precondition"));
}

TEST_CASE_METHOD(resume, "resume.candidates.attach refuses a target that is closed", "[resume]") {
  auto work = suspended_work();
  ask("session.close", {{"session_id", work["session"]}});
  CHECK(orch::test::error_of(attach(requester(), work["session"]))["code"]
        == "failed_precondition");
}

TEST_CASE_METHOD(resume, "resume.candidates.attach refuses a target that is taken already",
                 "[resume]") {
  auto work = suspended_work();
  result_of(attach(requester(), work["session"]));
  auto late = requester();
  CHECK(candidates(late).empty());
  CHECK(orch::test::error_of(attach(late, work["session"]))["code"] == "conflict");
}

TEST_CASE_METHOD(resume, "resume.candidates.attach gives a target to one of two racers",
                 "[resume]") {
  for (int round = 0; round < 5; ++round) {
    auto work = suspended_work();
    auto& a = start();
    auto& b = start();
    std::vector<server*> racers{&a, &b};
    std::vector<int64_t> ids;
    for (auto racer : racers) {
      auto me = racer->ask("session.open", {{"intent", "resume_work"}})["session"]["id"];
      ids.push_back(me);
    }
    std::vector<int64_t> asked;
    for (std::size_t i = 0; i < 2; ++i)
      asked.push_back(
        racers[i]->request("resume.candidates.attach", {{"requester_session_id", ids[i]},
                                                        {"target_session_id", work["session"]}}));
    int won = 0;
    for (std::size_t i = 0; i < 2; ++i) {
      auto answer = racers[i]->answer_to(asked[i]);
      if (answer.contains("result"))
        ++won;
      else
        CHECK(answer["error"]["code"] == "conflict");
    }
    CHECK(won == 1);
    for (auto id : ids)
      a.ask("session.close", {{"session_id", id}});
  }
}

TEST_CASE_METHOD(resume, "resume.next goes by status, then priority, then age", "[resume]") {
  auto idle = make_case({{"priority", 9}});
  auto urgent = make_case({{"priority", 10}});
  auto blocked = make_case();
  auto begun = make_case();
  auto done = make_case({{"priority", 99}});
  for (auto id : {blocked, begun, done})
    ask("case.begin", {{"case_id", id}});
  ask("task.update", {{"task_id", blocked}, {"status", "blocked"}});
  ask("case.complete", {{"case_id", done}});
  std::vector<int64_t> order;
  for (int i = 0; i < 4; ++i) {
    auto next = ask("resume.next")["task"]["id"].get<int64_t>();
    order.push_back(next);
    ask("task.update", {{"task_id", next}, {"status", "cancelled"}});
  }
  CHECK(order == std::vector<int64_t>{begun, blocked, urgent, idle});
  CHECK(ask("resume.next") == json::object());
}

TEST_CASE_METHOD(resume, "resume.next looks at cases only", "[resume]") {
  make_task("epic", {{"priority", 5}});
  make_task("step");
  CHECK_FALSE(ask("resume.next").contains("task"));
}

TEST_CASE_METHOD(resume, "resume.next gives the newest checkpoint and the next step", "[resume]") {
  auto id = make_case();
  ask("case.begin", {{"case_id", id}, {"steps", {"one", "two"}}});
  ask("step.check", {{"case_id", id}, {"step_title", "one"}, {"result", "fine"}});
  auto point = ask("resume.next");
  CHECK(point["task"]["id"] == id);
  CHECK(point["checkpoint"]["step_title"] == "one");
  CHECK(point["next_step"] == "two");
}

TEST_CASE_METHOD(resume, "resume.next begins the case for who claims it", "[resume]") {
  auto id = make_case();
  auto me = open_session();
  auto point = ask("resume.next", {{"session_id", me}, {"claim", true}});
  CHECK(point["task"]["id"] == id);
  CHECK(point["task"]["status"] == "in_progress");
  CHECK(ask("session.context", {{"session_id", me}})["current_ref"]["node_id"] == id);
}

TEST_CASE_METHOD(resume, "resume.next needs a session to claim for", "[resume]") {
  make_case();
  CHECK(error_of("resume.next", {{"claim", true}})["data"]["field"] == "session_id");
}

TEST_CASE_METHOD(resume, "resume.next never gives one case to two claimants", "[resume]") {
  constexpr int count = 12;
  for (int i = 0; i < count; ++i)
    make_case();
  std::vector<server*> servers{&first, &start(), &start()};
  std::vector<std::pair<server*, int64_t>> sessions;
  for (int i = 0; i < count; ++i)
    sessions.emplace_back(servers[i % 3], open_session_on(*servers[i % 3]));
  std::vector<int64_t> asked;
  for (auto [on, id] : sessions)
    asked.push_back(on->request("resume.next", {{"session_id", id}, {"claim", true}}));
  std::vector<int64_t> claimed;
  for (std::size_t i = 0; i < asked.size(); ++i)
    claimed.push_back(result_of(sessions[i].first->answer_to(asked[i]))["task"]["id"]);
  std::sort(claimed.begin(), claimed.end());
  CHECK(std::unique(claimed.begin(), claimed.end()) == claimed.end());
  CHECK_FALSE(
    ask("resume.next", {{"session_id", open_session()}, {"claim", true}}).contains("task"));
}
