#include "agents_fixture.hpp"

using namespace orch::test;

namespace {

struct reviews : command_agents {
  /// A session with a commit, a feature and a request to merge it.
  std::string head = commit(tree, "new.txt", "n 'quoted' $(touch HACKED)\n");
  int64_t request = make_request();

  json wanted(const std::string& command, const json& more = json::object()) const {
    json params{{"session_id", session},
                {"merge_request_id", request},
                {"provider", "command"},
                {"launch_command", command}};
    params.update(more);
    return params;
  }
  json begin(const std::string& command = "exec cat -", const json& more = json::object()) {
    return ask("merge.review.request_auto", wanted(command, more));
  }
  json job_of(const json& made) {
    return ask("merge.review.thread_status",
               {{"review_job_id", made["review_job"]["id"]}})["review_job"];
  }
  json ended_job(const json& made, const std::string& state) {
    json job;
    eventually("the review is " + state, [&] {
      job = job_of(made);
      return job["state"] == state;
    });
    return job;
  }
  std::string request_status() {
    return ask("merge.review_context", {{"merge_request_id", request}})["merge_request"]["status"];
  }
  /// "ok" if another session could have the main merge lock.
  std::string lock_for_another() {
    if (other == 0)
      other = another_session();
    auto code = code_of("merge.main.acquire_lock", {{"session_id", other}});
    if (code == "ok")
      ask("merge.main.release_lock", {{"session_id", other}});
    return code;
  }
  static json verdict(const json& made, const std::string& what,
                      const json& more = json::object()) {
    json params{{"review_job_id", made["review_job"]["id"]}, {"verdict", what}};
    params.update(more);
    return params;
  }
  server& reviewer_of(const json& made) { return start_as(made["thread"]["id"]); }

  int64_t other = 0;

private:
  int64_t make_request() {
    auto feature = ask("task.create", {{"level", "feature"}, {"title", "f"}})["id"];
    return ask("merge.request", {{"feature_task_id", feature}})["id"];
  }
};

} // namespace

TEST_CASE_METHOD(reviews, "merge.review.request_auto starts a reviewer", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  const auto& job = made["review_job"];
  CHECK(job["state"] == "running");
  CHECK(job["merge_request_id"] == request);
  CHECK(job["session_id"] == session);
  CHECK(job["reviewer_thread_id"] == made["thread"]["id"]);
  CHECK(job["head_sha"] == head);
  CHECK(job["holds_main_lock"] == true);
  CHECK(shape_of_time(job["deadline"]) == "time");
  CHECK(made["thread"]["role"] == "merge-reviewer");
  CHECK(made["thread"]["status"] == "initializing");
  CHECK(made["tmux"]["status"] == "ready");
  CHECK(made["attach_info"]["read_only"] == true);
  CHECK(made["main_lock"]["state"] == "locked");
  CHECK(made["main_lock"]["holder_session_id"] == session);
  CHECK(panes() == words{made["thread"]["tmux_pane_id"]});
  CHECK(request_status() == "in_review");
  CHECK(lock_for_another() == "conflict");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto tells the reviewer what to review",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin(keeper("typed.txt"));
  auto file = base / "typed.txt";
  auto has = [&](const std::string& text) { return read(file).find(text) != std::string::npos; };
  eventually("all is typed", [&] { return read(file).ends_with("```\n"); });
  CHECK(has("+n 'quoted' $(touch HACKED)\n"));
  CHECK(has(head));
  CHECK(has(tree.string()));
  CHECK(has(fmt::format("review_job_id {}", made["review_job"]["id"].get<int64_t>())));
  CHECK_FALSE(std::filesystem::exists(tree / "HACKED"));
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto holds no lock if it is told so", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin("exec cat -", {{"hold_main_lock", false}});
  CHECK(made["review_job"]["holds_main_lock"] == false);
  CHECK_FALSE(made.contains("main_lock"));
  CHECK(lock_for_another() == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto refuses a second review of a request",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto error = error_of("merge.review.request_auto", wanted("exec cat -"));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["review_job_id"] == made["review_job"]["id"]);
  CHECK(panes().size() == 1);
  CHECK(job_of(made)["state"] == "running");
  CHECK(lock_for_another() == "conflict");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto starts one review whoever asks at once",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto& second = start_another();
  std::vector<std::pair<server*, int64_t>> asked;
  for (auto* one : {&first, &second, &first, &second})
    asked.emplace_back(one, one->request("merge.review.request_auto", wanted("exec cat -")));
  int made = 0;
  for (auto [one, id] : asked)
    made += one->answer_to(id).contains("result") ? 1 : 0;
  CHECK(made == 1);
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto needs the main merge lock to be free",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  other = another_session();
  ask("merge.main.acquire_lock", {{"session_id", other}});
  auto error = error_of("merge.review.request_auto", wanted("exec cat -"));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["holder"]["holder_session_id"] == other);
  CHECK(request_status() == "requested");
  CHECK(panes().empty());
  CHECK(ask("merge.review.thread_status", {{"merge_request_id", request}}) == json::object());
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto leaves a lock that the session had",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  ask("merge.main.acquire_lock", {{"session_id", session}});
  auto made = begin();
  reviewer_of(made).ask("merge.review.submit", verdict(made, "approve"));
  CHECK(lock_for_another() == "conflict");
  CHECK(code_of("merge.main.release_lock", {{"session_id", session}}) == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto needs an open session and a request",
                 "[reviews]") {
  CHECK(code_of("merge.review.request_auto", wanted("exec cat -", {{"session_id", 999}}))
        == "not_found");
  CHECK(code_of("merge.review.request_auto", wanted("exec cat -", {{"merge_request_id", 999}}))
        == "not_found");
  CHECK(lock_for_another() == "ok");
  ask("session.close", {{"session_id", session}});
  CHECK(code_of("merge.review.request_auto", wanted("exec cat -")) == "failed_precondition");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto fails as a whole if no reviewer starts",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto more = GENERATE(
    json{{"launch_command", "/no/such/reviewer"}}, json{{"launch_command", "exit 5"}},
    json{
      {"launch_command", nullptr}, {"provider", "codex"}, {"codex_command", "/no/such/reviewer"}},
    json{{"agent_guide_path", "no/such/guide.md"}});
  auto params = wanted("exec cat -");
  params.merge_patch(more);
  auto error = error_of("merge.review.request_auto", params);
  CHECK(error["code"] == (more.contains("agent_guide_path") ? "invalid_params" : "unavailable"));
  auto job = ask("merge.review.thread_status", {{"merge_request_id", request}})["review_job"];
  CHECK(job["state"] == "failed");
  CHECK(job["holds_main_lock"] == false);
  CHECK(job["error_message"] == error["message"]);
  CHECK(request_status() == "requested");
  CHECK(lock_for_another() == "ok");
  CHECK(panes().empty());
  CHECK(children({{"status", "initializing"}}).empty());
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto fails as a whole without tmux", "[reviews]") {
  auto& bare = start_without_tmux();
  auto error =
    bare.error_of("merge.review.request_auto", wanted("exec cat -", {{"auto_install", false}}));
  CHECK(error["code"] == "unavailable");
  CHECK_FALSE(error["data"]["instructions"].get<std::string>().empty());
  CHECK(request_status() == "requested");
  CHECK(lock_for_another() == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto fails when the reviewer is gone",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto how = GENERATE(as<std::string>{}, "kill-pane", "kill-server", "end");
  auto made = begin(how == "end" ? "read x; exit 0" : "exec cat -");
  if (how != "end")
    tmux(how == "kill-pane"
           ? words{"kill-pane", "-t", made["thread"]["tmux_pane_id"].get<std::string>()}
           : words{"kill-server"});
  auto job = ended_job(made, "failed");
  CHECK_FALSE(job["error_message"].get<std::string>().empty());
  CHECK(shape_of_time(job["completed_at"]) == "time");
  CHECK(job["holds_main_lock"] == false);
  CHECK_FALSE(job.contains("verdict"));
  CHECK(request_status() == "requested");
  CHECK(lock_for_another() == "ok");
  CHECK(begin()["review_job"]["id"] > job["id"]);
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto fails when the reviewer is stopped",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  ask("thread.child.stop", of_thread(made["thread"]));
  ended_job(made, "failed");
  CHECK(request_status() == "requested");
  CHECK(lock_for_another() == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto fails when time is over", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin("exec cat -", {{"timeout_seconds", 1}});
  auto job = ended_job(made, "failed");
  CHECK(job["error_message"].get<std::string>().find("time") != std::string::npos);
  CHECK(request_status() == "requested");
  CHECK(lock_for_another() == "ok");
  // Its reviewer is of no use any more.
  wait_until_dead(made["thread"]["tmux_pane_id"]);
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto is looked after when its server is gone",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  kill_first(SIGKILL);
  auto& next = start_another();
  tmux({"kill-server"});
  eventually("the review has failed", [&] {
    return next.ask("merge.review.thread_status",
                    {{"review_job_id", made["review_job"]["id"]}})["review_job"]["state"]
           == "failed";
  });
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto reminds a reviewer, then gives it up",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  // It ends each turn without a verdict.
  auto made = begin(reporter("told.txt"));
  auto job = ended_job(made, "failed");
  CHECK(job["error_message"].get<std::string>().find("verdict") != std::string::npos);
  CHECK(read(base / "told.txt").find("has no verdict yet") != std::string::npos);
  CHECK(lock_for_another() == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.request_auto under one request_key is done once",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  json key{{"request_key", "k"}};
  auto made = begin("exec cat -", key);
  CHECK(begin("exec cat -", key) == made);
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(reviews, "merge.review.submit ends the review", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto [what, status] =
    GENERATE(table<std::string, std::string>({{"approve", "approved"}, {"block", "rejected"}}));
  auto made = begin();
  json finding{{"path", "new.txt"},
               {"line", 1},
               {"severity", "minor"},
               {"description", "it \"is\" new"},
               {"evidence", "see there"}};
  auto job = reviewer_of(made).ask(
    "merge.review.submit",
    verdict(made, what, {{"findings", {finding}}, {"summary", "fine"}, {"head_sha", head}}));
  CHECK(job["state"] == "completed");
  CHECK(job["verdict"] == what);
  CHECK(job["summary"] == "fine");
  CHECK(job["findings"] == json({finding}));
  CHECK(job["holds_main_lock"] == false);
  CHECK(shape_of_time(job["completed_at"]) == "time");
  CHECK(request_status() == status);
  CHECK(lock_for_another() == "ok");
  auto seen = ask("merge.review.thread_status", {{"merge_request_id", request}});
  CHECK(seen["review_job"] == job);
  // The reviewer is done.
  wait_until_dead(made["thread"]["tmux_pane_id"]);
  eventually("the thread has ended", [&] { return children()[0].contains("completed_at"); });
  CHECK(children()[0]["status"] == "completed");
  CHECK(job_of(made) == job);
}

TEST_CASE_METHOD(reviews, "merge.review.submit takes one verdict", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto& reviewer = reviewer_of(made);
  reviewer.ask("merge.review.submit", verdict(made, "block"));
  auto error = reviewer.error_of("merge.review.submit", verdict(made, "approve"));
  CHECK(error["code"] == "failed_precondition");
  CHECK(error["data"]["state"] == "completed");
  CHECK(request_status() == "rejected");
}

TEST_CASE_METHOD(reviews, "merge.review.submit is too late after the end of the job", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto& reviewer = reviewer_of(made);
  tmux({"kill-server"});
  ended_job(made, "failed");
  CHECK(reviewer.code_of("merge.review.submit", verdict(made, "approve")) == "failed_precondition");
  CHECK(request_status() == "requested");
}

TEST_CASE_METHOD(reviews, "merge.review.submit is not for the author", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto author = spawn("exec cat -");
  CHECK(code_of("merge.review.submit", verdict(made, "approve")) == "permission_denied");
  CHECK(start_as(author["id"]).code_of("merge.review.submit", verdict(made, "approve"))
        == "permission_denied");
  CHECK(start_as(made["thread"]["parent_thread_id"])
          .code_of("merge.review.submit", verdict(made, "approve"))
        == "permission_denied");
  CHECK(job_of(made)["state"] == "running");
  CHECK(request_status() == "in_review");
  CHECK(lock_for_another() == "conflict");
}

TEST_CASE_METHOD(reviews, "merge.review.submit is for the commit that was reviewed", "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto& reviewer = reviewer_of(made);
  auto error = reviewer.error_of("merge.review.submit",
                                 verdict(made, "approve", {{"head_sha", std::string(40, 'a')}}));
  CHECK(error["code"] == "failed_precondition");
  CHECK(error["data"]["field"] == "head_sha");
  auto moved = commit(tree, "new.txt", "n2\n");
  for (const auto& more : {json::object(), json{{"head_sha", head}}, json{{"head_sha", moved}}}) {
    INFO(more);
    CHECK(reviewer.code_of("merge.review.submit", verdict(made, "approve", more))
          == "failed_precondition");
  }
  CHECK(request_status() == "in_review");
  git_in(tree, {"reset", "--quiet", "--hard", head});
  CHECK(reviewer.code_of("merge.review.submit", verdict(made, "approve")) == "ok");
}

TEST_CASE_METHOD(reviews, "merge.review.submit names the finding that is wrong", "[reviews]") {
  json fine{{"path", "a"}, {"severity", "minor"}, {"description", "d"}};
  auto [member, value] = GENERATE(table<std::string, json>(
    {{"line", 0}, {"severity", ""}, {"path", nullptr}, {"description", 1}, {"more", "x"}}));
  auto wrong = fine;
  wrong[member] = value;
  auto error = error_of("merge.review.submit",
                        {{"review_job_id", 1}, {"verdict", "block"}, {"findings", {fine, wrong}}});
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "findings[1]." + member);
}

TEST_CASE_METHOD(reviews, "merge.review.submit needs a job", "[reviews]") {
  CHECK(code_of("merge.review.submit", {{"review_job_id", 999}, {"verdict", "approve"}})
        == "not_found");
}

TEST_CASE_METHOD(reviews, "merge.review.thread_status finds a job by its id or its request",
                 "[reviews]") {
  if (tmux_is_missing())
    return;
  auto made = begin();
  auto by_id = ask("merge.review.thread_status", {{"review_job_id", made["review_job"]["id"]}});
  CHECK(by_id["review_job"] == made["review_job"]);
  CHECK(by_id["thread"]["id"] == made["thread"]["id"]);
  CHECK(by_id["attach_info"] == made["attach_info"]);
  CHECK(ask("merge.review.thread_status", {{"merge_request_id", request}})["review_job"]
        == made["review_job"]);
  tmux({"kill-server"});
  ended_job(made, "failed");
  auto next = begin();
  CHECK(ask("merge.review.thread_status", {{"merge_request_id", request}})["review_job"]["id"]
        == next["review_job"]["id"]);
  CHECK(job_of(made)["state"] == "failed");
}

TEST_CASE_METHOD(reviews, "merge.review.thread_status needs a job or a request", "[reviews]") {
  CHECK(code_of("merge.review.thread_status") == "invalid_params");
  CHECK(code_of("merge.review.thread_status", {{"review_job_id", 999}}) == "not_found");
  CHECK(code_of("merge.review.thread_status", {{"merge_request_id", 999}}) == "not_found");
  CHECK(ask("merge.review.thread_status", {{"merge_request_id", request}}) == json::object());
}
