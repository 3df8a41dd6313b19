#include "client.hpp"

using namespace orch::test;

TEST_CASE_METHOD(contract, "work.current_ref gives what is needed to go on", "[current_ref]") {
  auto context = open();
  auto session = context["session"]["id"];
  auto id = make_case();
  ask("case.begin", {{"case_id", id}, {"session_id", session}, {"steps", {"one", "two"}}});
  ask("step.check",
      {{"case_id", id}, {"session_id", session}, {"step_title", "one"}, {"result", "fine"}});
  auto point = ask("work.current_ref", {{"session_id", session}});
  CHECK(point["source"] == "current_refs");
  CHECK(point["current_ref"]["status"] == "active");
  CHECK(point["current_ref"]["node_id"] == id);
  CHECK(point["current_ref"]["checkpoint_id"] == point["checkpoint"]["id"]);
  CHECK(point["task"]["id"] == id);
  CHECK(point["checkpoint"]["step_title"] == "one");
  CHECK(point["next_step"] == "two");
  CHECK(point["git"]["branch"] == context["session_root_worktree"]["branch"]);
  CHECK(point["git"]["head"] == git({"rev-parse", "main"}));
  CHECK(point["git"]["dirty"] == false);
}

TEST_CASE_METHOD(contract, "work.current_ref sees uncommitted work", "[current_ref]") {
  auto context = open();
  path tree = context["session_root_worktree"]["path"].get<std::string>();
  auto untracked = GENERATE(true, false);
  write(tree / (untracked ? "new.txt" : "a.txt"), "changed\n");
  auto point = ask("work.current_ref", {{"session_id", context["session"]["id"]}});
  CHECK(point["git"]["dirty"] == true);
}

TEST_CASE_METHOD(contract, "work.current_ref makes a reference from the next case",
                 "[current_ref]") {
  auto id = make_case();
  auto session = open_session();
  auto point = ask("work.current_ref", {{"session_id", session}});
  CHECK(point["source"] == "resume.next");
  CHECK(point["task"]["id"] == id);
  CHECK(point["current_ref"]["node_id"] == id);
  CHECK(ask("work.current_ref", {{"session_id", session}})["source"] == "current_refs");
}

TEST_CASE_METHOD(contract, "work.current_ref gives one case to one session", "[current_ref]") {
  make_case();
  ask("work.current_ref", {{"session_id", open_session()}});
  auto second = ask("work.current_ref", {{"session_id", open_session()}});
  CHECK(second["source"] == "none");
}

TEST_CASE_METHOD(contract, "work.current_ref says so when there is nothing", "[current_ref]") {
  auto point = ask("work.current_ref", {{"session_id", open_session()}});
  CHECK(point["source"] == "none");
  CHECK_FALSE(point.contains("current_ref"));
  CHECK_FALSE(point.contains("task"));
}

TEST_CASE_METHOD(contract, "work.current_ref keeps mode and required files", "[current_ref]") {
  auto work = begin_work();
  auto mode = GENERATE(as<std::string>{}, "compact", "resume", "handoff");
  auto point = ask(
    "work.current_ref",
    {{"session_id", work["session"]}, {"mode", mode}, {"required_files", {"a.txt", "src/é.cpp"}}});
  CHECK(point["current_ref"]["mode"] == mode);
  CHECK(point["current_ref"]["required_files"] == json({"a.txt", "src/é.cpp"}));
}

TEST_CASE_METHOD(contract, "work.current_ref stays under 4 KiB whatever was recorded",
                 "[current_ref]") {
  auto text = GENERATE(as<std::string>{}, "x", "\n", "é", "\x01", "\"");
  std::string big;
  while (big.size() < 50'000)
    big += text;
  auto session = open_session();
  auto id = make_case({{"title", "t" + big + "t"}});
  std::vector<std::string> files(500, "t" + big.substr(0, 600) + "t");
  ask("case.begin", {{"case_id", id},
                     {"session_id", session},
                     {"input_contract", {{"all", big}}},
                     {"fixtures", {big, big}},
                     {"required_files", files},
                     {"steps", {"t" + big + "t"}}});
  ask("step.check", {{"case_id", id},
                     {"session_id", session},
                     {"step_title", "s" + big + "s"},
                     {"result", {{"a", big}}},
                     {"artifacts", std::vector<std::string>(10, big)}});
  first.request("work.current_ref", {{"session_id", session}, {"required_files", files}});
  auto line = first.next_line();
  CHECK(line.size() < 4'096);
  CHECK(result_of(json::parse(line))["task"]["id"] == id);
}

TEST_CASE_METHOD(contract, "work.current_ref.ack marks the reference as read", "[current_ref]") {
  auto work = begin_work();
  auto ref = ask("work.current_ref", {{"session_id", work["session"]}})["current_ref"];
  CHECK_FALSE(ref.contains("acked_at"));
  auto acked =
    ask("work.current_ref.ack", {{"session_id", work["session"]}, {"ref_id", ref["id"]}});
  CHECK(acked["id"] == ref["id"]);
  CHECK(shape_of_time(acked["acked_at"]) == "time");
  CHECK(acked["version"] == ref["version"].get<int>() + 1);
}

TEST_CASE_METHOD(contract, "work.current_ref.ack refuses the reference of another session",
                 "[current_ref]") {
  auto work = begin_work();
  auto ref = ask("work.current_ref", {{"session_id", work["session"]}})["current_ref"]["id"];
  auto code = code_of("work.current_ref.ack", {{"session_id", open_session()}, {"ref_id", ref}});
  CHECK((code == "permission_denied" || code == "not_found"));
}

TEST_CASE_METHOD(contract, "a session has one active reference at most", "[current_ref]") {
  auto session = open_session();
  auto one = make_case();
  auto two = make_case();
  ask("case.begin", {{"case_id", one}, {"session_id", session}});
  ask("case.complete", {{"case_id", one}, {"session_id", session}});
  CHECK_FALSE(ask("session.context", {{"session_id", session}}).contains("current_ref"));
  ask("case.begin", {{"case_id", two}, {"session_id", session}});
  auto ref = ask("session.context", {{"session_id", session}})["current_ref"];
  CHECK(ref["node_id"] == two);
  CHECK(ref["status"] == "active");
}
