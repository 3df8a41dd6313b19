#include "agents.hpp"

#include <algorithm>
#include <set>

using namespace orch::test;

namespace {

bool mentions(const json& evidence, const std::string& word) {
  return std::any_of(evidence.begin(), evidence.end(), [&](const json& one) {
    return one.get<std::string>().find(word) != std::string::npos;
  });
}

void works_on_its_case(agents& with) {
  if (!with.ready())
    return;
  auto session = with.open();
  auto id = with.ask("task.create", {{"level", "case"}, {"title", "a case"}})["id"];
  auto begin = agents::orchestrator_call("case_begin", {{"case_id", "{{int user.1}}"}});
  auto check = agents::orchestrator_call(
    "step_check", {{"case_id", "{{int user.1}}"}, {"step_title", "read"}, {"result", "it is so"}});
  auto complete = agents::orchestrator_call("case_complete",
                                            {{"case_id", "{{int user.1}}"}, {"summary", "done"}});
  check["delay"] = 1'500; // long enough to be seen at work
  with.follow_script(
    {agents::rule("Work on case (\\d+)", {begin, check, complete, {{"text", "All done."}}})});
  auto thread = with.spawn(session, fmt::format("Work on case {}", id.get<int64_t>()),
                           {{"scope_case_ids", {id}}});
  CHECK(thread["status"] == "initializing");
  auto seen_at_work = false;
  json state;
  eventually("idle after work", [&] {
    state = with.look(thread["id"]);
    INFO(state);
    CHECK(state["db_status"] != "failed");
    if (state["db_status"] == "running" && state["provider_status"] == "processing"
        && mentions(state["evidence"], "hook "))
      seen_at_work = true;
    return state["provider_status"] == "idle";
  });
  INFO(with.describe(thread["id"]));
  CHECK(seen_at_work);
  CHECK(state["db_status"] == "idle");
  CHECK(state["last_response"] == "All done.");
  auto done = with.ask("task.get", {{"task_id", id}});
  CHECK(done["status"] == "done");
  words steps;
  auto listed = with.ask("checkpoint.list", {{"task_id", id}});
  for (const auto& checkpoint : listed["checkpoints"])
    steps.push_back(checkpoint["step_title"]);
  CHECK(steps == words{"case.complete", "read", "case.begin"});
}

void takes_directives_exactly(agents& with, const std::string& text) {
  if (!with.ready())
    return;
  auto thread = with.idle_child();
  auto told = with.tell(thread, text);
  CHECK(told["result"] == "delivered");
  CHECK(told["delivery"] == "seen");
  with.reach(thread, {"idle"});
  CHECK(with.last_request_with("line one")["user"] == text);
}

void can_be_interrupted(agents& with) {
  if (!with.ready())
    return;
  std::string answer = "one two three\n\n"; // shown by paragraphs
  for (int i = 4; i < 400; ++i)
    answer += fmt::format(" word{}", i);
  with.follow_script({agents::rule("Count slowly", {{{"text", answer}, {"slow", 250}}})});
  auto thread = with.idle_child();
  with.tell(thread, "Count slowly");
  eventually("the answer is on the screen", [&] {
    return with.look(thread, 60).value("screen", "").find("one two three") != std::string::npos;
  });
  auto sent = with.ask("thread.child.interrupt", {{"thread_id", thread}});
  CHECK(sent["result"] == "interrupt_sent");
  with.reach(thread, {"idle"});
  auto state = with.look(thread);
  INFO(state);
  CHECK(state["db_status"] == "interrupted");
  CHECK((mentions(state["evidence"], "nterrupt") || mentions(state["evidence"], "abort")));
  with.tell(thread, "And now something else");
  with.reach(thread, {"idle"});
  CHECK(with.last_request_with("something else")["user"] == "And now something else");
}

/// What was not answered at all may come back to where one types: the next text is not to be glued
/// to it.
void forgets_what_was_interrupted_early(agents& with) {
  if (!with.ready())
    return;
  with.follow_script({agents::rule("Say nothing", {{{"hang", "silent"}}})});
  auto thread = with.idle_child();
  with.tell(thread, "Say nothing of this");
  eventually("the model is asked", [&] { return with.was_asked("Say nothing of this"); });
  with.ask("thread.child.interrupt", {{"thread_id", thread}});
  with.reach(thread, {"idle"});
  with.tell(thread, "Hear this alone");
  with.reach(thread, {"idle"});
  CHECK(with.last_request_with("Hear this alone")["user"] == "Hear this alone");
}

void shows_errors_of_the_model(agents& with) {
  if (!with.ready())
    return;
  json error{{"status", 400}, {"type", "invalid_request_error"}, {"message", "a bad thing"}};
  with.follow_script({agents::rule("Fail now", {{{"error", error}}})});
  auto thread = with.idle_child();
  with.tell(thread, "Fail now");
  with.reach(thread, {"error"});
  auto state = with.look(thread);
  INFO(state);
  CHECK(state["pane_exists"] == true);
  CHECK(state["db_status"] == "interrupted");
  with.tell(thread, "Try something else");
  with.reach(thread, {"idle"});
  CHECK(with.look(thread)["last_response"] == "Heard.");
}

void asks_and_is_told(agents& with, const json& launch) {
  if (!with.ready())
    return;
  auto forbidden = with.base / "made by an agent";
  // What Claude Code asks about anyway, Codex asks about if the model says that it has to.
  json command{{"command", "touch " + quoted(forbidden.string())},
               {"sandbox_permissions", "require_escalated"},
               {"justification", "May it be made?"}};
  with.follow_script(
    {agents::rule("Ask first", json::array({agents::tool_call("shell", command)}))});
  auto thread = with.idle_child(launch);
  with.tell(thread, "Ask first");
  with.reach(thread, {"waiting_user_answer"});
  auto state = with.look(thread);
  INFO(state);
  CHECK(state["db_status"] == "waiting_user_answer");
  with.tell(thread, "Leave it and listen", {{"mode", "interrupt_patch"}});
  with.reach(thread, {"idle"});
  CHECK(with.was_asked("Leave it and listen"));
  CHECK_FALSE(std::filesystem::exists(forbidden));
}

void comes_back_after_a_kill(agents& with) {
  if (!with.ready())
    return;
  with.follow_script({agents::rule("Hang now", {{{"hang", "silent"}}})});
  auto thread = with.spawn(with.open(), "Say hello.");
  int64_t id = thread["id"];
  with.reach(id, {"idle"});
  auto conversation = with.last_request_with("Say hello.")["conversation"];
  with.tell(id, "Hang now");
  eventually("the model is asked", [&] { return with.was_asked("Hang now"); });
  ::kill(with.process_of(thread), SIGKILL);
  with.reach(id, {"exited"});
  auto state = with.look(id);
  INFO(state);
  CHECK(state["db_status"] == "failed");
  CHECK(mentions(state["evidence"], "process: "));
  auto before = with.ask("thread.child.list", {{"session_id", thread["session_id"]}})["threads"][0];
  CHECK(before["agent_session_id"] == conversation);
  auto told = with.tell(id, "Go on after \"that\"", {{"mode", "restart"}});
  with.reach(id, {"idle"});
  auto after = with.ask("thread.child.list", {{"session_id", thread["session_id"]}})["threads"][0];
  INFO(after);
  CHECK(after["status"] == "idle");
  CHECK(after["incarnation"] == 2);
  CHECK(after["agent_session_id"] == before["agent_session_id"]);
  auto request = with.last_request_with("Go on after");
  CHECK(request["conversation"] == conversation);
  CHECK(request["user"] == "Go on after \"that\"");
}

void is_a_root_thread(agents& with) {
  if (!with.ready())
    return;
  auto session = with.open();
  json params{{"session_id", session["session"]["id"]},
              {"provider", with.provider},
              {"initial_prompt", "Say hello."}};
  auto ensured = with.ask("thread.root.ensure", params);
  auto root = ensured["root_thread"];
  with.reach(root["id"], {"idle"});
  CHECK(with.was_asked("Say hello."));
  auto asked = with.requests().size();

  auto attach = ensured["attach_info"];
  INFO(attach);
  CHECK(attach["available"] == true);
  CHECK(attach["read_only"] == false);
  std::string name = attach["tmux_session"];
  {
    program person{{"env", "TERM=xterm", "script", "--quiet", "--command",
                    attach["attach_command"].get<std::string>(), "/dev/null"},
                   with.base / "home",
                   with.base};
    eventually("a person is attached", [&] {
      return with.tmux_says({"display-message", "-p", "-t", name, "#{session_attached}"}) == "1";
    });
    with.tmux_says({"detach-client", "-s", name});
    CHECK(person.finish().code == 0);
  }

  auto again = with.ask("thread.root.ensure", params)["root_thread"];
  CHECK(again["id"] == root["id"]);
  CHECK(again["incarnation"] == 1);
  CHECK(again["tmux_pane_id"] == root["tmux_pane_id"]);
  CHECK(with.tmux_says({"list-panes", "-a", "-F", "#{pane_id}"}) == root["tmux_pane_id"]);
  with.tell(root["id"], "Are you there?");
  with.reach(root["id"], {"idle"});
  CHECK(with.requests().size() == asked + 1);
}

void respects_leases(agents& with) {
  if (!with.ready())
    return;
  auto mine = with.open();
  auto other = with.open()["session"]["id"].get<int64_t>();
  auto lease = with.ask(
    "lock.acquire",
    {{"scope_type", "file"}, {"scope_path", "a.txt"}, {"owner_session", std::to_string(other)}});
  auto worktree = path{mine["session_root_worktree"]["path"].get<std::string>()};
  auto file = worktree / "a.txt";
  // Claude Code changes only what it has read.
  json turns = json::array();
  if (!with.is_codex())
    turns.push_back(agents::tool_call("Read", {{"file_path", file.string()}}));
  turns.push_back(
    agents::tool_call("edit", {{"path", file.string()}, {"old", "a"}, {"new", "changed"}}));
  turns.push_back({{"text", "That was it."}});
  with.follow_script({agents::rule("Change a.txt", turns)});
  auto thread = with.spawn(mine, "Say hello.")["id"].get<int64_t>();
  with.reach(thread, {"idle"});

  with.tell(thread, "Change a.txt");
  with.reach(thread, {"idle"});
  {
    INFO(with.describe(thread));
    auto request = with.last_request_with("Change a.txt");
    INFO(request["results"].dump());
    CHECK(read(file) == "a\n");
    REQUIRE_FALSE(request["results"].empty());
    auto said = request["results"].back().get<std::string>();
    CHECK(said.find(fmt::format("a.txt is leased to session {}", other)) != std::string::npos);
  }

  with.ask("lock.release", {{"lock_id", lease["id"]}});
  with.tell(thread, "Change a.txt once more");
  with.reach(thread, {"idle"});
  INFO(with.describe(thread));
  INFO(with.last_request_with("once more")["results"].dump());
  CHECK(read(file) == "changed\n");
  CHECK(read(with.root / "a.txt") == "a\n");
}

/// What an agent's own server tells of agents is what ours tells.
void sees_other_agents_by_its_tools(agents& with) {
  if (!with.ready())
    return;
  auto session = with.open();
  auto child = with.spawn(session, "", {{"provider", "command"}, {"launch_command", "sleep 600"}});
  auto call = agents::orchestrator_call("thread_child_status", {{"thread_id", child["id"]}});
  with.follow_script({agents::rule("Look around", {call, {{"text", "Seen."}}})});
  auto root =
    with.ask("thread.root.ensure", {{"session_id", session["session"]["id"]},
                                    {"provider", with.provider},
                                    {"initial_prompt", "Look around"}})["root_thread"]["id"];
  with.reach(root, {"idle"});
  INFO(with.describe(root));
  auto results = with.last_request_with("Look around")["results"];
  INFO(results);
  REQUIRE(results.size() == 1);
  CHECK(results[0].get<std::string>().find(R"("pane_exists":true)") != std::string::npos);
  auto state = with.look(child["id"]);
  INFO(state);
  CHECK(state["db_status"] == "initializing");
  CHECK(state["pane_exists"] == true);
}

constexpr auto lines_for_codex = "line one \"quoted\" 'twice'\n"
                                 "line two; rm -rf x; $(touch y) ${HOME}\n"
                                 "\tline three `backticks` and a\ttab\n"
                                 "line four \\ back\\\\slash \\n é ü 漢\n"
                                 "line five % # ! * ? [x] {y} ~ & | < >";
constexpr auto lines_for_claude = "line one \"quoted\" 'twice'\n"
                                  "line two; rm -rf x; $(touch y) ${HOME}\n"
                                  "  line three `backticks`\n"
                                  "line four \\ back\\\\slash \\n é ü 漢\n"
                                  "line five % # ! * ? [x] {y} ~ & | < >";

} // namespace

TEST_CASE_METHOD(codex_agents, "codex: a child works on its case", "[scenario][agents]") {
  works_on_its_case(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: a child works on its case", "[scenario][agents]") {
  works_on_its_case(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: a directive of several lines arrives as it is",
                 "[scenario][agents]") {
  takes_directives_exactly(*this, lines_for_codex);
}

TEST_CASE_METHOD(claude_agents, "claude: a directive of several lines arrives as it is",
                 "[scenario][agents]") {
  takes_directives_exactly(*this, lines_for_claude);
}

TEST_CASE_METHOD(codex_agents, "codex: a slow answer is interrupted", "[scenario][agents]") {
  can_be_interrupted(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: a slow answer is interrupted", "[scenario][agents]") {
  can_be_interrupted(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: an interrupt before the first word leaves nothing behind",
                 "[scenario][agents]") {
  forgets_what_was_interrupted_early(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: an interrupt before the first word leaves nothing behind",
                 "[scenario][agents]") {
  forgets_what_was_interrupted_early(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: an error of the model is an error of the agent",
                 "[scenario][agents]") {
  shows_errors_of_the_model(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: an error of the model is an error of the agent",
                 "[scenario][agents]") {
  shows_errors_of_the_model(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: a directive gets past a question", "[scenario][agents]") {
  asks_and_is_told(*this, {{"codex_command", quoted(installed_agents().codex)
                                               + " --ask-for-approval on-request"
                                                 " --sandbox read-only"}});
}

TEST_CASE_METHOD(claude_agents, "claude: a directive gets past a question", "[scenario][agents]") {
  asks_and_is_told(*this, json::object());
}

TEST_CASE_METHOD(codex_agents, "codex: a killed child goes on with its conversation",
                 "[scenario][agents]") {
  comes_back_after_a_kill(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: a killed child goes on with its conversation",
                 "[scenario][agents]") {
  comes_back_after_a_kill(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: an agent that asks to log in waits for a person",
                 "[scenario][agents]") {
  if (!ready())
    return;
  write(base / "home" / "config.toml", "check_for_update_on_startup = false\n");
  auto thread = spawn(open(), "Say something.");
  reach(thread["id"], {"waiting_user_answer"});
  CHECK(mentions(look(thread["id"])["evidence"], "log in"));
}

TEST_CASE_METHOD(codex_agents, "codex: the root thread is made once and can be watched",
                 "[scenario][agents]") {
  is_a_root_thread(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: the root thread is made once and can be watched",
                 "[scenario][agents]") {
  is_a_root_thread(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: a leased file is not edited", "[scenario][agents]") {
  respects_leases(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: a leased file is not edited", "[scenario][agents]") {
  respects_leases(*this);
}

TEST_CASE_METHOD(codex_agents, "codex: an agent's own server sees the other agents",
                 "[scenario][agents]") {
  sees_other_agents_by_its_tools(*this);
}

TEST_CASE_METHOD(claude_agents, "claude: an agent's own server sees the other agents",
                 "[scenario][agents]") {
  sees_other_agents_by_its_tools(*this);
}
