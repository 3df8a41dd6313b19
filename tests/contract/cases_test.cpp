#include "client.hpp"

using namespace orch::test;

TEST_CASE_METHOD(contract, "case.begin puts the case in progress with a checkpoint", "[cases]") {
  auto session = open_session();
  auto id = make_case();
  auto begun = ask("case.begin", {{"case_id", id},
                                  {"session_id", session},
                                  {"input_contract", {{"in", 1}}},
                                  {"fixtures", {1, "two"}},
                                  {"required_files", {"a.txt"}},
                                  {"steps", {"one", "two"}}});
  CHECK(begun["status"] == "in_progress");
  CHECK(begun["input_contract"] == json({{"in", 1}}));
  CHECK(begun["fixtures"] == json({1, "two"}));
  auto checkpoints = ask("checkpoint.list", {{"task_id", id}})["checkpoints"];
  REQUIRE(checkpoints.size() == 1);
  CHECK(checkpoints[0]["step_title"] == "case.begin");
  auto ref = ask("session.context", {{"session_id", session}})["current_ref"];
  CHECK(ref["node_id"] == id);
  CHECK(ref["required_files"] == json({"a.txt"}));
}

TEST_CASE_METHOD(contract, "case.begin takes cases only", "[cases]") {
  auto level = GENERATE(as<std::string>{}, "epic", "feature", "test_group", "step");
  auto code = code_of("case.begin", {{"case_id", make_task(level)}});
  CHECK((code == "failed_precondition" || code == "invalid_params"));
}

TEST_CASE_METHOD(contract, "case.begin refuses a case that another live session has", "[cases]") {
  auto work = begin_work();
  auto error = error_of("case.begin", {{"case_id", work["case"]}, {"session_id", open_session()}});
  CHECK(error["code"] == "conflict");
  CHECK(error["data"].dump().find(work["session"].dump()) != std::string::npos);
}

TEST_CASE_METHOD(contract, "case.begin again by the same session goes on", "[cases]") {
  auto work = begin_work();
  CHECK(ask("case.begin", {{"case_id", work["case"]}, {"session_id", work["session"]}})["status"]
        == "in_progress");
}

TEST_CASE_METHOD(contract, "case.begin refuses a second case of one session", "[cases]") {
  auto work = begin_work();
  auto code = code_of("case.begin", {{"case_id", make_case()}, {"session_id", work["session"]}});
  CHECK((code == "conflict" || code == "failed_precondition"));
}

TEST_CASE_METHOD(contract, "case.begin takes over from a session that is closed", "[cases]") {
  auto work = begin_work();
  ask("session.close", {{"session_id", work["session"]}});
  CHECK(code_of("case.begin", {{"case_id", work["case"]}, {"session_id", open_session()}}) == "ok");
}

TEST_CASE_METHOD(contract, "case.begin refuses a case that is done", "[cases]") {
  auto id = make_case();
  ask("case.begin", {{"case_id", id}});
  ask("case.complete", {{"case_id", id}});
  CHECK(code_of("case.begin", {{"case_id", id}}) == "failed_precondition");
}

TEST_CASE_METHOD(contract, "case.begin for a session that is closed is refused", "[cases]") {
  auto session = open_session();
  ask("session.close", {{"session_id", session}});
  CHECK(code_of("case.begin", {{"case_id", make_case()}, {"session_id", session}})
        == "failed_precondition");
}

TEST_CASE_METHOD(contract, "step.check records evidence and a checkpoint", "[cases]") {
  auto work = begin_work();
  auto step = ask("step.check", {{"case_id", work["case"]},
                                 {"step_title", "build"},
                                 {"result", {{"warnings", 0}}},
                                 {"artifacts", {"log.txt"}},
                                 {"session_id", work["session"]}});
  CHECK(step["task_id"] == work["case"]);
  CHECK(step["title"] == "build");
  CHECK(step["status"] == "passed");
  CHECK(step["evidence"] == json({{"result", {{"warnings", 0}}}, {"artifacts", {"log.txt"}}}));
  CHECK(step["order_no"] == 1);
  CHECK(shape_of_time(step["recorded_at"]) == "time");
  auto newest = ask("checkpoint.list", {{"task_id", work["case"]}})["checkpoints"][0];
  CHECK(newest["step_title"] == "build");
  auto ref = ask("session.context", {{"session_id", work["session"]}})["current_ref"];
  CHECK(ref["checkpoint_id"] == newest["id"]);
}

TEST_CASE_METHOD(contract, "step.check fills planned steps and appends others", "[cases]") {
  auto id = make_case();
  ask("case.begin", {{"case_id", id}, {"steps", {"one", "two"}}});
  auto check = [&](const char* title, const char* status) {
    return ask("step.check",
               {{"case_id", id}, {"step_title", title}, {"result", "x"}, {"status", status}});
  };
  auto two = check("two", "failed");
  CHECK(two["order_no"] == 2);
  CHECK(two["status"] == "failed");
  CHECK(check("three", "skipped")["order_no"] == 3);
  CHECK(check("one", "passed")["order_no"] == 1);
}

TEST_CASE_METHOD(contract, "step.check needs a case in progress", "[cases]") {
  auto id = make_case();
  json params{{"case_id", id}, {"step_title", "x"}, {"result", "y"}};
  CHECK(code_of("step.check", params) == "failed_precondition");
  ask("case.begin", {{"case_id", id}});
  CHECK(code_of("step.check", params) == "ok");
  ask("case.complete", {{"case_id", id}});
  CHECK(code_of("step.check", params) == "failed_precondition");
  params["case_id"] = make_task("epic");
  CHECK(code_of("step.check", params) != "ok");
}

TEST_CASE_METHOD(contract, "step.check refuses the case of another live session", "[cases]") {
  auto work = begin_work();
  auto code = code_of("step.check", {{"case_id", work["case"]},
                                     {"step_title", "x"},
                                     {"result", "y"},
                                     {"session_id", open_session()}});
  CHECK((code == "permission_denied" || code == "conflict" || code == "failed_precondition"));
}

TEST_CASE_METHOD(contract, "case.complete ends case and reference", "[cases]") {
  auto work = begin_work();
  auto done = ask("case.complete", {{"case_id", work["case"]},
                                    {"session_id", work["session"]},
                                    {"summary", "all green"},
                                    {"next_action", "merge"}});
  CHECK(done["status"] == "done");
  CHECK(done["next_action"] == "merge");
  auto newest = ask("checkpoint.list", {{"task_id", work["case"]}})["checkpoints"][0];
  CHECK(newest["step_title"] == "case.complete");
  CHECK(newest["snapshot"]["summary"] == "all green");
  CHECK_FALSE(ask("session.context", {{"session_id", work["session"]}}).contains("current_ref"));
}

TEST_CASE_METHOD(contract, "case.complete needs a case in progress", "[cases]") {
  auto id = make_case();
  CHECK(code_of("case.complete", {{"case_id", id}}) == "failed_precondition");
  ask("case.begin", {{"case_id", id}});
  CHECK(code_of("case.complete", {{"case_id", id}}) == "ok");
  CHECK(code_of("case.complete", {{"case_id", id}}) == "failed_precondition");
}

TEST_CASE_METHOD(contract, "checkpoint.list gives the newest first, in pages", "[cases]") {
  auto work = begin_work();
  for (const char* title : {"one", "two", "three"})
    ask("step.check", {{"case_id", work["case"]}, {"step_title", title}, {"result", title}});
  auto page = ask("checkpoint.list", {{"task_id", work["case"]}, {"limit", 3}});
  std::vector<std::string> titles;
  for (const auto& checkpoint : page["checkpoints"])
    titles.push_back(checkpoint["step_title"]);
  CHECK(titles == words{"three", "two", "one"});
  auto rest = ask("checkpoint.list", {{"task_id", work["case"]}, {"cursor", page["next_cursor"]}});
  CHECK(rest["checkpoints"].size() == 1);
  CHECK_FALSE(rest.contains("next_cursor"));
}

TEST_CASE_METHOD(contract, "case.begin gives one case to one of many racers", "[cases]") {
  auto id = make_case();
  std::vector<server*> servers{&first, &start(), &start()};
  std::vector<int64_t> sessions;
  for (auto one : servers)
    sessions.push_back(open_session_on(*one));
  std::vector<int64_t> asked;
  for (std::size_t i = 0; i < servers.size(); ++i)
    asked.push_back(
      servers[i]->request("case.begin", {{"case_id", id}, {"session_id", sessions[i]}}));
  int won = 0;
  for (std::size_t i = 0; i < servers.size(); ++i)
    won += servers[i]->answer_to(asked[i]).contains("result") ? 1 : 0;
  CHECK(won == 1);
}
