#include "agents.hpp"

using namespace orch::test;

namespace {

struct reviews : codex_agents {
  /// A merge request for a feature, and a session with a commit for it.
  void prepare() {
    session = open();
    id = session["session"]["id"];
    commit(session["session_root_worktree"]["path"].get<std::string>(), "new.txt", "new\n");
    auto feature = ask("task.create", {{"level", "feature"}, {"title", "a feature"}})["id"];
    merge_request = ask("merge.request", {{"feature_task_id", feature}})["id"];
  }

  json request(const json& more = json::object()) {
    json params{{"session_id", id}, {"merge_request_id", merge_request}, {"provider", "codex"}};
    params.update(more);
    auto made = ask("merge.review.request_auto", params);
    CHECK(made["review_job"]["state"] == "running");
    CHECK(made["main_lock"]["holder_session_id"] == id);
    return made;
  }

  json status(const json& job) {
    return ask("merge.review.thread_status", {{"review_job_id", job["id"]}});
  }

  json wait_for_end(const json& made) {
    json now;
    eventually("the review ends", [&] {
      now = status(made["review_job"]);
      return now["review_job"]["state"] != "running";
    });
    return now["review_job"];
  }

  std::string state_of_request() {
    return ask("merge.review_context",
               {{"merge_request_id", merge_request}})["merge_request"]["status"];
  }

  void check_nothing_is_locked() {
    auto other = panes::open()["session"]["id"];
    CHECK(first().code_of("merge.main.acquire_lock", {{"session_id", other}}) == "ok");
    ask("merge.main.release_lock", {{"session_id", other}});
    CHECK(ask("lock.list")["locks"].empty());
  }

  json session;
  int64_t id = 0;
  int64_t merge_request = 0;
};

} // namespace

TEST_CASE_METHOD(reviews, "codex: a reviewer's verdict ends the review", "[scenario][agents]") {
  if (!ready())
    return;
  prepare();
  follow_script(
    {rule("review job #(\\d+)\\): commit ([0-9a-f]{40})",
          {orchestrator_call("merge_review_submit", {{"review_job_id", "{{int user.1}}"},
                                                     {"verdict", "approve"},
                                                     {"summary", "It is good."},
                                                     {"head_sha", "{{user.2}}"}}),
           {{"text", "Reviewed."}}})});
  auto made = request();
  auto job = wait_for_end(made);
  INFO(job << last_request_with("review job")["results"]);
  CHECK(job["state"] == "completed");
  CHECK(job["verdict"] == "approve");
  CHECK(job["summary"] == "It is good.");
  CHECK(state_of_request() == "approved");
  check_nothing_is_locked();
  eventually("the reviewer is dismissed",
             [&] { return status(job)["thread"]["status"] == "completed"; });
}

TEST_CASE_METHOD(reviews, "codex: a reviewer that is killed fails its review",
                 "[scenario][agents]") {
  if (!ready())
    return;
  prepare();
  follow_script({rule("review job", {{{"hang", "silent"}}})});
  auto made = request();
  eventually("the model is asked", [&] { return was_asked("review job"); });
  ::kill(process_of(made["thread"]), SIGKILL);
  auto job = wait_for_end(made);
  INFO(job);
  CHECK(job["state"] == "failed");
  CHECK(job["holds_main_lock"] == false);
  CHECK(state_of_request() == "requested");
  check_nothing_is_locked();
}

TEST_CASE_METHOD(reviews, "codex: a reviewer that hangs fails its review in time",
                 "[scenario][agents]") {
  if (!ready())
    return;
  prepare();
  follow_script({rule("review job", {{{"hang", "silent"}}})});
  auto made = request({{"timeout_seconds", 4}});
  auto job = wait_for_end(made);
  INFO(job);
  CHECK(job["state"] == "failed");
  CHECK(job["error_message"] == "no verdict in time");
  CHECK(state_of_request() == "requested");
  check_nothing_is_locked();
}
