#include "client.hpp"

using namespace orch::test;

namespace {

struct merge_queue : contract {
  json queue(const json& context, const json& more = json::object()) {
    json params{{"session_id", context["session"]["id"]},
                {"from_worktree_id", context["session_root_worktree"]["id"]}};
    params.update(more);
    return call("merge.main.request", params);
  }
  /// A session with a commit of its own.
  json working() {
    auto context = open();
    commit(tree(context), "new.txt", "n\n");
    return context;
  }
  static path tree(const json& context) {
    return context["session_root_worktree"]["path"].get<std::string>();
  }
  int64_t queued(const json& more = json::object()) {
    return result_of(queue(working(), more))["main_merge_request"]["id"];
  }
};

} // namespace

TEST_CASE_METHOD(merge_queue, "merge.request answers with the request", "[merge]") {
  auto feature = make_task("feature");
  auto made = ask("merge.request", {{"feature_task_id", feature}, {"notes", {{"why", "x"}}}});
  CHECK(made["feature_task_id"] == feature);
  CHECK(made["status"] == "requested");
  CHECK(made["notes"] == json({{"why", "x"}}));
}

TEST_CASE_METHOD(merge_queue, "merge.request takes notes under their older name", "[merge]") {
  auto feature = make_task("feature");
  auto made = ask("merge.request", {{"feature_task_id", feature}, {"notes_json", {1, 2}}});
  CHECK(made["notes"] == json({1, 2}));
}

TEST_CASE_METHOD(merge_queue, "merge.review_context shows the feature and what is below",
                 "[merge]") {
  auto feature = make_task("feature");
  auto group = make_task("test_group", {{"parent_id", feature}});
  auto task = make_case({{"parent_id", group}});
  ask("case.begin", {{"case_id", task}});
  ask("step.check", {{"case_id", task}, {"step_title", "last"}, {"result", "ok"}});
  auto request = ask("merge.request", {{"feature_task_id", feature}})["id"];
  auto context = ask("merge.review_context", {{"merge_request_id", request}});
  CHECK(context["merge_request"]["id"] == request);
  CHECK(context["feature"]["id"] == feature);
  CHECK(context["children"].size() == 2);
  CHECK(context["checkpoints"][std::to_string(task)]["step_title"] == "last");
}

TEST_CASE_METHOD(merge_queue, "merge.main.request queues the session's branch", "[merge]") {
  auto context = working();
  auto request = result_of(queue(context))["main_merge_request"];
  CHECK(request["state"] == "queued");
  CHECK(request["target_branch"] == "main");
  CHECK(request["session_id"] == context["session"]["id"]);
  CHECK(request["head_sha"] == git_in(tree(context), {"rev-parse", "HEAD"}));
}

TEST_CASE_METHOD(merge_queue, "merge.main.request refuses uncommitted files", "[merge]") {
  auto context = working();
  write(tree(context) / "loose.txt", "l\n");
  CHECK(orch::test::error_of(queue(context))["code"] == "failed_precondition");
  CHECK(ask("merge.main.list")["requests"].empty());
}

TEST_CASE_METHOD(merge_queue, "merge.main.request refuses child worktrees that are not merged",
                 "[merge]") {
  auto context = working();
  auto child =
    ask("worktree.spawn", {{"session_id", context["session"]["id"]},
                           {"parent_worktree_id", context["session_root_worktree"]["id"]}});
  commit(child["path"].get<std::string>(), "c.txt", "c\n");
  CHECK(orch::test::error_of(queue(context))["code"] == "failed_precondition");
  ask("worktree.merge_to_parent",
      {{"session_id", context["session"]["id"]}, {"worktree_id", child["id"]}});
  CHECK(queue(context).contains("result"));
}

TEST_CASE_METHOD(merge_queue, "merge.main.request refuses a foreign worktree", "[merge]") {
  auto context = working();
  auto other = working();
  CHECK(orch::test::error_of(
          queue(context, {{"from_worktree_id", other["session_root_worktree"]["id"]}}))["code"]
        == "failed_precondition");
}

TEST_CASE_METHOD(merge_queue, "merge.main.request refuses a target that does not exist",
                 "[merge]") {
  auto error = orch::test::error_of(queue(working(), {{"target_branch", "nowhere"}}));
  CHECK(error["data"]["field"] == "target_branch");
  CHECK(ask("merge.main.list")["requests"].empty());
}

TEST_CASE_METHOD(merge_queue, "merge.main.next goes by priority, then age", "[merge]") {
  auto old_one = queued();
  auto urgent = queued({{"priority", 5}});
  auto young = queued();
  for (auto id : {urgent, old_one, young}) {
    CHECK(ask("merge.main.next")["main_merge_request"]["id"] == id);
    ask("merge.main.cancel", {{"request_id", id}});
  }
  CHECK(ask("merge.main.next") == json::object());
}

TEST_CASE_METHOD(merge_queue, "merge.main.status gives the place in the queue", "[merge]") {
  auto one = queued();
  auto two = queued();
  auto state = ask("merge.main.status", {{"request_id", two}});
  CHECK(state["main_merge_request"]["id"] == two);
  CHECK(state["position"] == 2);
  CHECK_FALSE(state["waits_for"].get<std::string>().empty());
  CHECK(ask("merge.main.status", {{"request_id", one}})["position"] == 1);
}

TEST_CASE_METHOD(merge_queue, "merge.main.list filters by state", "[merge]") {
  auto gone = queued();
  auto stays = queued();
  ask("merge.main.cancel", {{"request_id", gone}});
  auto waiting = ask("merge.main.list", {{"state", "queued"}})["requests"];
  REQUIRE(waiting.size() == 1);
  CHECK(waiting[0]["id"] == stays);
  CHECK(ask("merge.main.list")["requests"].size() == 2);
}

TEST_CASE_METHOD(merge_queue, "merge.main.cancel ends a request once", "[merge]") {
  auto id = queued();
  CHECK(ask("merge.main.cancel", {{"request_id", id}})["state"] == "cancelled");
  CHECK(code_of("merge.main.cancel", {{"request_id", id}}) == "failed_precondition");
}

TEST_CASE_METHOD(merge_queue, "merge.main.acquire_lock gives the lock to one session", "[merge]") {
  auto a = open_session();
  auto b = open_session();
  auto lock = ask("merge.main.acquire_lock", {{"session_id", a}});
  CHECK(lock["holder_session_id"] == a);
  CHECK(shape_of_time(lock["lease_until"]) == "time");
  auto error = error_of("merge.main.acquire_lock", {{"session_id", b}});
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["holder"]["holder_session_id"] == a);
  CHECK(error["data"]["holder"]["lease_until"] == lock["lease_until"]);
  auto renewed = ask("merge.main.acquire_lock", {{"session_id", a}, {"ttl_seconds", 5'000}});
  CHECK(renewed["lease_until"] > lock["lease_until"]);
}

TEST_CASE_METHOD(merge_queue, "merge.main.acquire_lock keeps the longest lease in the future",
                 "[merge]") {
  ask("merge.main.acquire_lock", {{"session_id", open_session()}, {"ttl_seconds", 366 * 86'400}});
  CHECK(code_of("merge.main.acquire_lock", {{"session_id", open_session()}}) == "conflict");
}

TEST_CASE_METHOD(merge_queue, "merge.main.release_lock is for the holder", "[merge]") {
  auto a = open_session();
  auto b = open_session();
  CHECK(code_of("merge.main.release_lock", {{"session_id", a}}) == "failed_precondition");
  ask("merge.main.acquire_lock", {{"session_id", a}});
  CHECK(code_of("merge.main.release_lock", {{"session_id", b}}) == "permission_denied");
  auto lock = ask("merge.main.release_lock", {{"session_id", a}});
  CHECK(lock["state"] == "unlocked");
  CHECK_FALSE(lock.contains("holder_session_id"));
}

TEST_CASE_METHOD(merge_queue, "the main merge lock ends by itself", "[merge]") {
  auto a = open_session();
  auto b = open_session();
  ask("merge.main.acquire_lock", {{"session_id", a}, {"ttl_seconds", 1}});
  eventually("the lock is free", [&] {
    return code_of("merge.main.acquire_lock", {{"session_id", b}}) == "ok";
  });
}
