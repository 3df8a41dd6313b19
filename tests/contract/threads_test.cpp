#include "agents_fixture.hpp"
#include "scenario/state.hpp"

using namespace orch::test;

namespace {

struct threads : command_agents {
  std::string refused(const std::string& method, const std::string& command, const json& more) {
    return code_of(method, of_child(command, more));
  }
  /// An agent CLI that tells its arguments, by codex_command.
  std::string agent_cli() const {
    auto file = script("agent cli", fmt::format(R"(
for word; do printf '%s\0' "$word"; done > {0}
mv {0} {1}
exec cat -)",
                                                in_quotes((base / "argv.part").string()),
                                                in_quotes((base / "argv").string())));
    return in_quotes(file.string()) + " 'first word' two";
  }
  words words_of_agent() const {
    auto file = base / "argv";
    eventually("the agent has told its arguments", [&] { return std::filesystem::exists(file); });
    words all;
    auto text = read(file);
    for (std::size_t from = 0; from < text.size();) {
      auto to = text.find('\0', from);
      all.push_back(text.substr(from, to - from));
      from = to + 1;
    }
    return all;
  }
  /// A child that runs until it is told anything.
  json steady_child(const json& more = json::object()) { return spawn("exec cat -", more); }
  json stop(const json& thread, bool terminate_pane = false) {
    return ask("thread.child.stop", of_thread(thread, {{"terminate_pane", terminate_pane}}));
  }
  json waiting_for(const json& thread, const std::string& status, int seconds) const {
    return of_thread(thread, {{"target_statuses", {status}}, {"timeout_seconds", seconds}});
  }
};

} // namespace

// ---- thread.root.ensure

TEST_CASE_METHOD(threads, "thread.root.ensure launches the root agent in the session's worktree",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto made = ensure_root("pwd > " + in_quotes((base / "pwd.txt").string()) + "; exec cat -",
                          {{"title", "the \"root\""}, {"objective", "all"}});
  const auto& root = made["root_thread"];
  auto name = fmt::format("codex-root-{}", root["id"].get<int64_t>());
  CHECK(root["role"] == "session-root");
  CHECK(root["title"] == "the \"root\"");
  CHECK(root["objective"] == "all");
  CHECK(root["incarnation"] == 1);
  CHECK(root["worktree_id"] == context["session_root_worktree"]["id"]);
  CHECK(root["tmux_session_name"] == name);
  CHECK(root["tmux_window_name"] == "root");
  CHECK_FALSE(root.contains("parent_thread_id"));
  CHECK(panes() == words{root["tmux_pane_id"]});
  CHECK(tmux_sessions() == words{name});
  CHECK(made["tmux"]["status"] == "ready");
  CHECK(made["session"]["id"] == session);
  CHECK(made["session"]["tmux_session_name"] == name);
  CHECK(made["session"]["root_thread_id"] == root["id"]);
  CHECK(made["child_tmux_session"] == fmt::format("codex-child-{}", root["id"].get<int64_t>()));
  arrives("pwd.txt", tree.string() + "\n");
}

TEST_CASE_METHOD(threads, "thread.root.ensure tells how to attach, and that works", "[threads]") {
  if (tmux_is_missing())
    return;
  auto made = ensure_root("exec cat -");
  const auto& info = made["attach_info"];
  auto name = made["root_thread"]["tmux_session_name"].get<std::string>();
  CHECK(info["available"] == true);
  CHECK(info["read_only"] == false);
  CHECK(info["tmux_session"] == name);
  CHECK(info["tmux_pane_id"] == made["root_thread"]["tmux_pane_id"]);
  CHECK(info["attach_command"] == fmt::format("tmux -L {} attach-session -t {}", socket, name));
  CHECK(info["switch_command"] == fmt::format("tmux -L {} switch-client -t {}", socket, name));
  CHECK(attached_by(info["attach_command"], name) == "0");
  CHECK(made["child_attach_hint"]
        == fmt::format("tmux -L {} attach-session -t {} -r", socket,
                       made["child_tmux_session"].get<std::string>()));
}

TEST_CASE_METHOD(threads, "thread.root.ensure makes the root thread once", "[threads]") {
  if (tmux_is_missing())
    return;
  auto root = ensure_root("exec cat -")["root_thread"];
  auto again = ensure_root("exec sleep 600", {{"title", "new"}})["root_thread"];
  CHECK(again["id"] == root["id"]);
  CHECK(again["incarnation"] == 1);
  CHECK(again["tmux_pane_id"] == root["tmux_pane_id"]);
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(threads, "thread.root.ensure makes one pane whoever calls it at once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto& other = start_another();
  std::vector<std::pair<server*, int64_t>> asked;
  for (auto* one : {&first, &other, &first, &other})
    asked.emplace_back(one, one->request("thread.root.ensure", of_root("exec cat -")));
  int made = 0;
  for (auto [one, id] : asked) {
    auto answer = one->answer_to(id);
    made += answer.contains("result") ? 1 : 0;
    if (answer.contains("error"))
      CHECK(answer["error"]["code"] == "conflict");
  }
  CHECK(made > 0);
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(threads, "thread.root.ensure launches anew if it is told to", "[threads]") {
  if (tmux_is_missing())
    return;
  auto root = ensure_root("exec cat -")["root_thread"];
  auto pid = fact(root["tmux_pane_id"], "#{pane_pid}");
  auto again = ensure_root("exec sleep 600", {{"force_launch", true}})["root_thread"];
  CHECK(again["id"] == root["id"]);
  CHECK(again["incarnation"] == 2);
  CHECK(again["log_file_path"] != root["log_file_path"]);
  CHECK(again["launch_command"].get<std::string>().find("sleep 600") != std::string::npos);
  CHECK(panes() == words{again["tmux_pane_id"]});
  CHECK(fact(again["tmux_pane_id"], "#{pane_pid}") != pid);
  CHECK(has_ended(std::stoi(pid)));
}

TEST_CASE_METHOD(threads, "thread.root.ensure launches anew what has ended", "[threads]") {
  if (tmux_is_missing())
    return;
  auto root = ensure_root("read x; exit 2")["root_thread"];
  auto lost = GENERATE(false, true);
  if (lost)
    tmux({"kill-server"});
  else
    tell(root, "go");
  wait_for(root, "exited");
  auto again = ensure_root("exec cat -")["root_thread"];
  CHECK(again["id"] == root["id"]);
  CHECK(again["incarnation"] == 2);
  CHECK(panes() == words{again["tmux_pane_id"]});
  CHECK(state_of(again)["pane_exists"] == true);
}

TEST_CASE_METHOD(threads, "thread.root.ensure without an agent gives a shell", "[threads]") {
  if (tmux_is_missing())
    return;
  auto root =
    ask("thread.root.ensure",
        {{"session_id", session}, {"provider", "command"}, {"launch_codex", false}})["root_thread"];
  CHECK(root["launch_command"] == "/bin/sh");
  tell(root, "echo \"it is $((40 + 2))\" > " + in_quotes((base / "shell.txt").string()));
  arrives("shell.txt", "it is 42\n");
}

TEST_CASE_METHOD(threads, "thread.root.ensure takes another name if the default one is taken",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  foreign_session("codex-root-1");
  auto made = ensure_root("exec cat -");
  CHECK(made["root_thread"]["id"] == 1);
  CHECK(made["root_thread"]["tmux_session_name"] == "codex-root-1-2");
  CHECK(made["attach_info"]["tmux_session"] == "codex-root-1-2");
  CHECK(tmux_sessions() == words{"codex-root-1", "codex-root-1-2"});
  CHECK(text_lines(tmux({"list-panes", "-s", "-t", "=codex-root-1", "-F", "x"})).size() == 1);
}

TEST_CASE_METHOD(threads, "thread.root.ensure refuses a name that somebody else has", "[threads]") {
  if (tmux_is_missing())
    return;
  foreign_session("mine");
  auto error =
    error_of("thread.root.ensure", of_root("exec cat -", {{"tmux_session_name", "mine"}}));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["field"] == "tmux_session_name");
  CHECK(panes().size() == 1);
  CHECK(
    ensure_root("exec cat -", {{"tmux_session_name", "ours"}})["root_thread"]["tmux_session_name"]
    == "ours");
}

TEST_CASE_METHOD(threads, "thread.root.ensure gives its children the session they are to have",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto made = ensure_root("exec cat -", {{"child_session_name", "kids"}});
  CHECK(made["child_tmux_session"] == "kids");
  CHECK(steady_child()["tmux_session_name"] == "kids");
}

TEST_CASE_METHOD(threads, "thread.root.ensure needs an open session", "[threads]") {
  auto params = of_root("exec cat -");
  params["session_id"] = 999;
  CHECK(code_of("thread.root.ensure", params) == "not_found");
  params["session_id"] = session;
  ask("session.close", {{"session_id", session}});
  CHECK(code_of("thread.root.ensure", params) == "failed_precondition");
  CHECK(tmux_sessions().empty());
}

TEST_CASE_METHOD(threads, "thread.root.ensure says that the agent is missing", "[threads]") {
  if (tmux_is_missing())
    return;
  auto error =
    error_of("thread.root.ensure", {{"session_id", session}, {"codex_command", "/no/such/agent"}});
  CHECK(error["code"] == "unavailable");
  CHECK_FALSE(error["data"]["instructions"].get<std::string>().empty());
  CHECK(panes().empty());
}

TEST_CASE_METHOD(threads, "thread.root.ensure types the first prompt", "[threads]") {
  if (tmux_is_missing())
    return;
  ensure_root(keeper("typed.txt"), {{"initial_prompt", "hello; $(x)"}});
  arrives("typed.txt", "hello; $(x)\n");
}

TEST_CASE_METHOD(threads, "thread.root.ensure done twice under one request_key is done once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto params = of_root("exec cat -", {{"force_launch", true}, {"request_key", "k"}});
  auto made = ask("thread.root.ensure", params);
  CHECK(ask("thread.root.ensure", params) == made);
  CHECK(panes().size() == 1);
}

// ---- thread.child.spawn

TEST_CASE_METHOD(threads, "thread.child.spawn starts a program in the child session", "[threads]") {
  if (tmux_is_missing())
    return;
  auto file = base / "seen.txt";
  auto part = in_quotes(file.string() + ".part");
  auto made =
    ask("thread.child.spawn", of_child(fmt::format("{{ pwd; env; }} > {0}; mv {0} {1}; exec cat -",
                                                   part, in_quotes(file.string())),
                                       {{"title", "t: \"x\""},
                                        {"role", "planner"},
                                        {"task_spec", {{"a", {1, "é"}}}},
                                        {"scope_task_ids", {1, 2}}}));
  const auto& child = made["thread"];
  CHECK(made["tmux"]["status"] == "ready");
  CHECK(child["role"] == "planner");
  CHECK(child["title"] == "t: \"x\"");
  CHECK(child["task_spec"] == json({{"a", {1, "é"}}}));
  CHECK(child["scope_task_ids"] == json({1, 2}));
  CHECK(child["incarnation"] == 1);
  CHECK(child["provider"] == "command");
  CHECK(shape_of_time(child["started_at"]) == "time");
  auto name = fmt::format("codex-child-{}", child["parent_thread_id"].get<int64_t>());
  CHECK(child["tmux_session_name"] == name);
  CHECK(child["tmux_window_name"] == "children");
  CHECK(panes() == words{child["tmux_pane_id"]});
  CHECK(tmux_sessions() == words{name});
  eventually("it runs", [&] { return std::filesystem::exists(file); });
  auto seen = text_lines(read(file));
  auto has = [&](const std::string& line) {
    return std::find(seen.begin(), seen.end(), line) != seen.end();
  };
  CHECK(seen.front() == tree.string());
  CHECK(has(fmt::format("ORCH_THREAD={}", child["id"].get<int64_t>())));
  CHECK(has(fmt::format("ORCH_SESSION={}", session)));
  CHECK(has("ORCH_INCARNATION=1"));
  CHECK(has("ORCH_EVENT_LOG=" + child["log_file_path"].get<std::string>()));
  CHECK(has("ORCH_REPO=" + root.string()));
  const auto& info = made["attach_info"];
  CHECK(info["read_only"] == true);
  CHECK(info["attach_command"] == fmt::format("tmux -L {} attach-session -t {} -r", socket, name));
  CHECK(attached_by(info["attach_command"], name) == "1");
}

TEST_CASE_METHOD(threads, "thread.child.spawn works in the worktree that it is given",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto worktree =
    ask("worktree.spawn", {{"session_id", session},
                           {"parent_worktree_id", context["session_root_worktree"]["id"]},
                           {"slug", "part"},
                           {"create_on_disk", true}});
  auto child = spawn("pwd > " + in_quotes((base / "pwd.txt").string()) + "; exec cat -",
                     {{"worktree_id", worktree["id"]}});
  CHECK(child["worktree_id"] == worktree["id"]);
  arrives("pwd.txt", worktree["path"].get<std::string>() + "\n");
}

TEST_CASE_METHOD(threads, "thread.child.spawn refuses what belongs to others", "[threads]") {
  auto other = contract::open_on(first);
  auto theirs = other["session_root_worktree"]["id"];
  auto error = error_of("thread.child.spawn", of_child("exec cat -", {{"worktree_id", theirs}}));
  CHECK(error["code"] == "permission_denied");
  CHECK(error["data"]["field"] == "worktree_id");
  CHECK(refused("thread.child.spawn", "exec cat -", {{"worktree_id", 999}}) == "not_found");
  CHECK(refused("thread.child.spawn", "exec cat -", {{"parent_thread_id", 999}}) == "not_found");
  CHECK(refused("thread.child.spawn", "exec cat -", {{"session_id", 999}}) == "not_found");
  CHECK(tmux_sessions().empty());
  if (tmux_is_missing())
    return;
  auto parent = spawn("exec cat -", {{"session_id", other["session"]["id"]}})["id"];
  error = error_of("thread.child.spawn", of_child("exec cat -", {{"parent_thread_id", parent}}));
  CHECK(error["code"] == "permission_denied");
  CHECK(error["data"]["field"] == "parent_thread_id");
  CHECK(children().empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn needs an open session and a worktree on disk",
                 "[threads]") {
  auto planned =
    ask("worktree.spawn", {{"session_id", session},
                           {"parent_worktree_id", context["session_root_worktree"]["id"]},
                           {"slug", "later"},
                           {"create_on_disk", false}});
  CHECK(refused("thread.child.spawn", "exec cat -", {{"worktree_id", planned["id"]}})
        == "failed_precondition");
  CHECK(panes().empty());
  ask("session.close", {{"session_id", session}});
  CHECK(refused("thread.child.spawn", "exec cat -", json::object()) == "failed_precondition");
}

TEST_CASE_METHOD(threads, "thread.child.spawn needs a program", "[threads]") {
  auto error = error_of("thread.child.spawn", {{"session_id", session}, {"provider", "command"}});
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "launch_command");
  CHECK(children().empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn has children below children", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto grandchild = steady_child({{"parent_thread_id", child["id"]}});
  CHECK(grandchild["parent_thread_id"] == child["id"]);
  CHECK(grandchild["tmux_session_name"] == child["tmux_session_name"]);
  CHECK(panes().size() == 2);
}

TEST_CASE_METHOD(threads, "thread.child.spawn starts six children and no seventh", "[threads]") {
  if (tmux_is_missing())
    return;
  for (int i = 0; i < 6; ++i)
    steady_child(
      {{"skip_ready_check", true}, {"split_direction", i % 2 == 0 ? "vertical" : "horizontal"}});
  auto error = error_of("thread.child.spawn", of_child("exec cat -"));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["running"] == 6);
  CHECK(error["data"]["limit"] == 6);
  CHECK(panes().size() == 6);
  CHECK(children().size() == 6);
  CHECK(code_of("thread.child.spawn", of_child("exec cat -", {{"max_concurrent_children", 7}}))
        == "ok");
}

TEST_CASE_METHOD(threads, "thread.child.spawn reuses the pane of a finished child at the limit",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  json one{{"max_concurrent_children", 1}};
  auto done = spawn("read x; exit 0", one);
  tell(done, "go");
  wait_for(done, "exited");
  auto next = steady_child(one);
  CHECK(next["tmux_pane_id"] == done["tmux_pane_id"]);
  CHECK(panes().size() == 1);
  auto before = state_of(done);
  CHECK(before["db_status"] == "completed");
  CHECK(before["pane_exists"] == false);
  CHECK(state_of(next)["pane_exists"] == true);
  CHECK(refused("thread.child.spawn", "exec cat -", one) == "conflict");
  stop(done, true);
  CHECK(state_of(next)["provider_status"] == "unknown");
}

TEST_CASE_METHOD(threads, "thread.child.spawn counts only children that still run", "[threads]") {
  if (tmux_is_missing())
    return;
  json one{{"max_concurrent_children", 1}};
  auto done = spawn("read x; exit 0", one);
  tell(done, "go");
  auto lost = GENERATE(false, true);
  if (lost)
    tmux({"kill-pane", "-t", done["tmux_pane_id"]});
  else
    wait_until_dead(done["tmux_pane_id"]);
  // Nobody has asked for its state since.
  CHECK(refused("thread.child.spawn", "exec cat -", one) == "ok");
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(threads, "thread.child.spawn keeps the limit among several servers", "[threads]") {
  if (tmux_is_missing())
    return;
  auto& other = start_another();
  std::vector<std::pair<server*, int64_t>> asked;
  auto params = of_child("exec cat -", {{"max_concurrent_children", 3}});
  for (auto* one : {&first, &other, &first, &other, &first, &other})
    asked.emplace_back(one, one->request("thread.child.spawn", params));
  int made = 0;
  for (auto [one, id] : asked) {
    auto answer = one->answer_to(id);
    made += answer.contains("result") ? 1 : 0;
    if (answer.contains("error"))
      CHECK(answer["error"]["code"] == "conflict");
  }
  CHECK(made == 3);
  CHECK(panes().size() == 3);
  CHECK(tmux_sessions().size() == 1);
}

TEST_CASE_METHOD(threads, "thread.child.spawn says that the agent is missing", "[threads]") {
  if (tmux_is_missing())
    return;
  auto provider = GENERATE(as<std::string>{}, "codex", "claude_code");
  auto error = error_of(
    "thread.child.spawn",
    {{"session_id", session}, {"provider", provider}, {"codex_command", "/no/such/agent --x"}});
  CHECK(error["code"] == "unavailable");
  CHECK(error["message"].get<std::string>().find("/no/such/agent") != std::string::npos);
  CHECK(error["data"]["instructions"].get<std::string>().find("install") != std::string::npos);
  auto rows = children();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["status"] == "failed");
  CHECK(rows[0]["error_message"] == error["message"]);
  CHECK_FALSE(rows[0].contains("tmux_pane_id"));
  CHECK(panes().empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn leaves no pane of a program that ends at once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto [command, what] =
    GENERATE(table<std::string, std::string>({{"echo 'so broken' >&2; exit 3", "so broken"},
                                              {"/no/such/program", "/no/such/program"},
                                              {"exit 3", "3"}}));
  auto error = error_of("thread.child.spawn", of_child(command));
  INFO(error);
  CHECK(error["code"] == "unavailable");
  CHECK(error["message"].get<std::string>().find(what) != std::string::npos);
  auto rows = children();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["status"] == "failed");
  CHECK(rows[0]["error_message"] == error["message"]);
  CHECK_FALSE(rows[0].contains("tmux_pane_id"));
  CHECK(panes().empty());
  CHECK(tmux_sessions().empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn leaves no pane of a program that is killed at once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  CHECK(refused("thread.child.spawn", "kill -9 $$", json::object()) == "unavailable");
  CHECK(children()[0]["status"] == "failed");
  CHECK(panes().empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn looks not at the start if it is told so",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn("exit 3", {{"skip_ready_check", true}});
  wait_for(child, "exited");
  CHECK(state_of(child)["exit_code"] == 3);
}

TEST_CASE_METHOD(threads, "thread.child.spawn takes any name", "[threads]") {
  if (tmux_is_missing())
    return;
  const std::string name{"a:b.c \"d\" 'e' $(f) #{pane_id} ;g\nh\\i é"};
  auto made =
    ask("thread.child.spawn",
        of_child("exec cat -",
                 {{"title", name}, {"tmux_window_name", name}, {"tmux_session_name", name}}));
  const auto& child = made["thread"];
  CHECK(child["title"] == name);
  CHECK(tmux_sessions() == words{child["tmux_session_name"]});
  CHECK(fact(child["tmux_pane_id"], "#{window_name}") == child["tmux_window_name"]);
  CHECK(attached_by(made["attach_info"]["attach_command"], child["tmux_session_name"]) == "1");
  auto beside =
    ask("thread.child.spawn",
        of_child("exec cat -", {{"tmux_window_name", name}, {"tmux_session_name", name}}));
  CHECK(beside["thread"]["tmux_session_name"] == child["tmux_session_name"]);
  CHECK(beside["thread"]["tmux_window_name"] == child["tmux_window_name"]);
  CHECK(panes().size() == 2);
}

TEST_CASE_METHOD(threads, "thread.child.spawn takes another name if the default one is taken",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  foreign_session("codex-child-1");
  CHECK(steady_child()["tmux_session_name"] == "codex-child-1-2");
  CHECK(steady_child()["tmux_session_name"] == "codex-child-1-2");
  CHECK(tmux_sessions() == words{"codex-child-1", "codex-child-1-2"});
  CHECK(refused("thread.child.spawn", "exec cat -", {{"tmux_session_name", "codex-child-1"}})
        == "conflict");
  CHECK(panes().size() == 3);
}

TEST_CASE_METHOD(threads, "thread.child.spawn types a prompt as it is", "[threads]") {
  if (tmux_is_missing())
    return;
  spawn(keeper("typed.txt"), {{"initial_prompt", nasty_text}});
  arrives("typed.txt", nasty_text_typed + "\n");
  CHECK_FALSE(std::filesystem::exists(tree / "HACKED"));
  CHECK_FALSE(std::filesystem::exists(base / "HACKED"));
}

TEST_CASE_METHOD(threads, "thread.child.spawn gives an agent its assignment as one word",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto provider = GENERATE(as<std::string>{}, "codex", "claude_code");
  write(root / "guide.md", "Work 'well'.\n");
  ask("thread.child.spawn", {{"session_id", session},
                             {"provider", provider},
                             {"codex_command", agent_cli()},
                             {"objective", "an; \"objective\""},
                             {"agent_override", "never `rm`"},
                             {"task_spec", {{"a", "b"}}},
                             {"scope_case_ids", {77}},
                             {"agent_guide_path", "guide.md"},
                             {"initial_prompt", nasty_text}});
  auto all = words_of_agent();
  REQUIRE(all.size() > 3);
  CHECK(all[0] == "first word");
  CHECK(all[1] == "two");
  CHECK(all[all.size() - 2] == "--");
  for (const std::string part : {"an; \"objective\"", "never `rm`", "77", R"({"a":"b"})",
                                 "Work 'well'.", nasty_text_typed.c_str()}) {
    INFO(part);
    CHECK(all.back().find(part) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(tree / "HACKED"));
}

TEST_CASE_METHOD(threads, "thread.child.spawn refuses a guide that is not there", "[threads]") {
  if (tmux_is_missing())
    return;
  auto error =
    error_of("thread.child.spawn", of_child("exec cat -", {{"agent_guide_path", "no.md"}}));
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "agent_guide_path");
  CHECK(panes().empty());
  CHECK(children(json{{"status", "initializing"}}).empty());
}

TEST_CASE_METHOD(threads, "thread.child.spawn gives a long assignment as a file", "[threads]") {
  if (tmux_is_missing())
    return;
  auto provider = GENERATE(as<std::string>{}, "codex", "claude_code");
  std::string prompt;
  while (prompt.size() < 100'000)
    prompt += fmt::format("line {} of 'it'; $(touch HACKED)\n", prompt.size());
  ask("thread.child.spawn", {{"session_id", session},
                             {"provider", provider},
                             {"codex_command", agent_cli()},
                             {"initial_prompt", prompt}});
  auto last = words_of_agent().back();
  auto from = last.find('/');
  auto to = last.find("assignment.md");
  REQUIRE(to != std::string::npos);
  auto text = read(last.substr(from, to - from) + "assignment.md");
  CHECK(text.find(prompt) != std::string::npos);
  CHECK(text.size() > prompt.size());
}

TEST_CASE_METHOD(threads, "thread.child.spawn without tmux leaves a plan", "[threads]") {
  auto& bare = start_without_tmux();
  auto made = bare.ask("thread.child.spawn", of_child("exec cat -", {{"auto_install", false}}));
  CHECK(made["thread"]["status"] == "planned");
  CHECK(made["thread"]["incarnation"] == 0);
  CHECK(made["tmux"]["status"] == "manual_required");
  CHECK(made["thread"]["error_message"] == made["tmux"]["manual_instructions"]);
  CHECK_FALSE(made["thread"].contains("tmux_pane_id"));
  CHECK(made["attach_info"]["available"] == false);
  CHECK(bare.ask("thread.child.list", {{"session_id", session}})["threads"][0]["status"]
        == "planned");
}

TEST_CASE_METHOD(threads, "thread.child.spawn stays a plan without a tmux that nobody looked for",
                 "[threads]") {
  auto& bare = start_without_tmux();
  auto error =
    bare.error_of("thread.child.spawn", of_child("exec cat -", {{"ensure_tmux", false}}));
  CHECK(error["code"] == "unavailable");
  auto planned = bare.ask("thread.child.list", {{"session_id", session}})["threads"][0];
  CHECK(planned["status"] == "planned");
  kill_first(SIGKILL); // it has tmux
  bare.ask("thread.child.directive",
           of_thread(planned, {{"directive", "go"}, {"mode", "restart"}, {"wait_seconds", 0}}));
  eventually("the restart has failed", [&] {
    state_file state{root};
    return state.rows("SELECT state FROM directives") == words{"failed"};
  });
  CHECK(bare.ask("thread.child.list", {{"session_id", session}})["threads"][0]["status"]
        == "planned");
}

TEST_CASE_METHOD(threads, "thread.child.spawn done twice under one request_key is done once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto params = of_child("exec cat -", {{"request_key", "k"}});
  auto made = ask("thread.child.spawn", params);
  CHECK(start_another().ask("thread.child.spawn", params) == made);
  CHECK(panes().size() == 1);
}

// ---- thread.child.list, thread.child.status, thread.child.wait_status, thread.attach_info

TEST_CASE_METHOD(threads, "thread.child.list filters by role, parent and live status",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  ensure_root("exec cat -");
  auto a = steady_child({{"role", "planner"}});
  auto b = spawn("read x; exit 4", {{"parent_thread_id", a["id"]}});
  auto ids = [&](const json& more) {
    auto found = json::array();
    for (const auto& x : children(more))
      found.push_back(x["id"]);
    return found;
  };
  CHECK(ids(json::object()) == json({a["id"], b["id"]}));
  CHECK(ids({{"role", " planner "}}) == json({a["id"]}));
  CHECK(ids({{"parent_thread_id", a["id"]}}) == json({b["id"]}));
  CHECK(ids({{"status", "failed"}}) == json::array());
  tell(b, "go");
  wait_until_dead(b["tmux_pane_id"]);
  CHECK(ids({{"status", "failed"}}) == json({b["id"]}));
  auto page = ask("thread.child.list", {{"session_id", session}, {"limit", 1}});
  CHECK(page["threads"].size() == 1);
  page = ask("thread.child.list", {{"session_id", session}, {"cursor", page["next_cursor"]}});
  CHECK(page["threads"][0]["id"] == b["id"]);
  CHECK(code_of("thread.child.list", {{"session_id", 999}}) == "not_found");
}

TEST_CASE_METHOD(threads, "thread.child.status shows the screen of what runs", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn("echo 'so far so good'; exec cat -");
  auto state = state_of(child);
  CHECK(state["thread_id"] == child["id"]);
  CHECK(state["db_status"] == "initializing");
  CHECK(state["pane_exists"] == true);
  CHECK(state["provider_status"] == "unknown");
  CHECK_FALSE(state["evidence"].empty());
  CHECK_FALSE(state.contains("exit_code"));
  CHECK(state["screen"].get<std::string>().find("so far so good") != std::string::npos);
  CHECK_FALSE(
    ask("thread.child.status", of_thread(child, {{"capture_lines", 0}})).contains("screen"));
  CHECK(code_of("thread.child.status", {{"thread_id", 999}}) == "not_found");
}

TEST_CASE_METHOD(threads, "thread.child.status knows how a program ended", "[threads]") {
  if (tmux_is_missing())
    return;
  auto [code, status] = GENERATE(table<int, std::string>({{0, "completed"}, {3, "failed"}}));
  auto child = ended_child(code);
  auto state = state_of(child);
  CHECK(state["db_status"] == status);
  CHECK(state["provider_status"] == "exited");
  CHECK(state["pane_exists"] == true);
  CHECK(state["exit_code"] == code);
  auto row = children()[0];
  CHECK(row["status"] == status);
  CHECK(shape_of_time(row["completed_at"]) == "time");
  CHECK(row.contains("error_message") == (code != 0));
}

TEST_CASE_METHOD(threads, "thread.child.status knows that its pane is gone", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto all = GENERATE(false, true);
  if (all)
    tmux({"kill-server"});
  else
    tmux({"kill-pane", "-t", child["tmux_pane_id"]});
  auto state = state_of(child);
  INFO(state);
  CHECK(state["pane_exists"] == false);
  CHECK(state["provider_status"] == "exited");
  CHECK(state["db_status"] == "failed");
}

TEST_CASE_METHOD(threads, "thread.child.status takes no pane of another tmux server for its own",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  tmux({"kill-server"});
  eventually("a tmux server runs", [&] {
    foreign_session("theirs");
    return !panes().empty();
  });
  REQUIRE(panes() == words{child["tmux_pane_id"]});
  CHECK(state_of(child)["pane_exists"] == false);
  stop(child, true);
  CHECK(code_of("thread.child.interrupt", of_thread(child)) == "failed_precondition");
  CHECK(fact(child["tmux_pane_id"], "#{pane_dead}") == "0");
  CHECK(panes().size() == 1);
}

TEST_CASE_METHOD(threads, "thread.child.status reads what a program reports", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(reporter("told.txt"));
  wait_for(child, "idle");
  CHECK(state_of(child)["db_status"] == "idle");
  tell(child, "first");
  eventually("it tells its answer",
             [&] { return state_of(child).value("last_response", "") == "did first"; });
  CHECK(wait_for(child, "idle")["last_response"] == "did first");
}

TEST_CASE_METHOD(threads, "thread.child.wait_status waits for the end of a program", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn("read x; exit 0");
  auto waiting = first.request("thread.child.wait_status", waiting_for(child, "exited", 60));
  tell(child, "go");
  auto waited = result_of(first.answer_to(waiting));
  CHECK(waited["thread_id"] == child["id"]);
  CHECK(waited["achieved_status"] == "exited");
  CHECK(waited["elapsed_ms"].get<int64_t>() >= 0);
  CHECK(wait_for(child, "completed")["achieved_status"] == "completed");
}

TEST_CASE_METHOD(threads, "thread.child.wait_status gives up when its time is over", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto seconds = GENERATE(0, 1);
  auto error = error_of("thread.child.wait_status", waiting_for(child, "idle", seconds));
  CHECK(error["code"] == "timeout");
  CHECK(error["data"]["provider_status"] == "unknown");
}

TEST_CASE_METHOD(threads, "thread.child.wait_status needs a thread and something to wait for",
                 "[threads]") {
  CHECK(code_of("thread.child.wait_status", {{"thread_id", 999}, {"target_statuses", {"idle"}}})
        == "not_found");
  auto error =
    error_of("thread.child.wait_status", {{"thread_id", 1}, {"target_statuses", json::array()}});
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "target_statuses");
}

TEST_CASE_METHOD(threads, "thread.child.wait_status holds up nobody else", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto waiting = first.request("thread.child.wait_status", waiting_for(child, "exited", 600));
  for (int i = 0; i < 5; ++i) {
    auto other = first.request("task.create", {{"level", "case"}, {"title", "t"}});
    CHECK(first.next()["id"] == other);
  }
  auto looked = first.request("thread.child.status", of_thread(child));
  CHECK(first.next()["id"] == looked);
  stop(child);
  CHECK(result_of(first.answer_to(waiting))["achieved_status"] == "exited");
}

TEST_CASE_METHOD(threads, "thread.child.wait_status ends without an answer when it is cancelled",
                 "[threads][mcp]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  first.send_line(
    json{{"jsonrpc", "2.0"},
         {"id", "w"},
         {"method", "tools/call"},
         {"params",
          {{"name", "thread_child_wait_status"}, {"arguments", waiting_for(child, "exited", 600)}}}}
      .dump());
  CHECK(code_of("workspace.init") == "ok");
  first.send_line(
    R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w"}})");
  CHECK(code_of("workspace.init") == "ok");
  auto end = first.finish();
  CHECK(end.code == 0);
  CHECK(end.out.find("\"w\"") == std::string::npos);
}

TEST_CASE_METHOD(threads, "thread.child.wait_status does not keep a server that is to end",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  first.request("thread.child.wait_status", waiting_for(child, "exited", 600));
  CHECK(code_of("workspace.init") == "ok");
  auto begin = std::chrono::steady_clock::now();
  kill_first(SIGTERM);
  CHECK(first.wait().code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{10});
}

TEST_CASE_METHOD(threads, "thread.attach_info needs a thread of the session", "[threads]") {
  CHECK(code_of("thread.attach_info", {{"session_id", 999}}) == "not_found");
  CHECK(code_of("thread.attach_info", {{"session_id", session}}) == "failed_precondition");
  CHECK(code_of("thread.attach_info", {{"session_id", session}, {"thread_id", 999}})
        == "not_found");
  if (tmux_is_missing())
    return;
  auto theirs = spawn("exec cat -", {{"session_id", another_session()}});
  CHECK(code_of("thread.attach_info", {{"session_id", session}, {"thread_id", theirs["id"]}})
        == "permission_denied");
}

TEST_CASE_METHOD(threads, "thread.attach_info tells of the root thread and of children",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto made = ensure_root("exec cat -");
  auto child = steady_child();
  CHECK(ask("thread.attach_info", {{"session_id", session}}) == made["attach_info"]);
  auto info = ask("thread.attach_info", {{"session_id", session}, {"thread_id", child["id"]}});
  CHECK(info["read_only"] == true);
  CHECK(info["tmux_session"] == child["tmux_session_name"]);
  tmux({"kill-session", "-t", "=" + child["tmux_session_name"].get<std::string>()});
  info = ask("thread.attach_info", {{"session_id", session}, {"thread_id", child["id"]}});
  CHECK(info["available"] == false);
}

// ---- thread.child.directive

TEST_CASE_METHOD(threads, "thread.child.directive types a text as it is", "[threads]") {
  if (tmux_is_missing())
    return;
  auto mode = GENERATE(as<std::string>{}, "interrupt_patch", "queue");
  auto child = spawn(keeper("typed.txt"));
  auto told = tell(child, nasty_text, {{"mode", mode}});
  CHECK(told["result"] == "submitted");
  CHECK(told["delivery"] == "submitted");
  CHECK(told["delivered"] == false);
  CHECK(told["mode"] == mode);
  CHECK(told["thread"]["id"] == child["id"]);
  CHECK(told["directive_id"].get<int64_t>() > 0);
  arrives("typed.txt", nasty_text_typed + "\n");
  CHECK_FALSE(std::filesystem::exists(tree / "HACKED"));
}

TEST_CASE_METHOD(threads, "thread.child.directive gives a program every text as it is",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(keeper("typed.txt"));
  auto text = GENERATE(as<std::string>{}, "/quit", "!ls", "@a", "#x", "?");
  tell(child, text);
  arrives("typed.txt", text + "\n");
}

TEST_CASE_METHOD(threads, "thread.child.directive keeps the order of the requests", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(keeper("typed.txt"));
  std::string expected;
  std::vector<int64_t> asked;
  for (int i = 0; i < 6; ++i) {
    auto text = fmt::format("directive {}", i);
    expected += text + "\n";
    asked.push_back(first.request(
      "thread.child.directive",
      of_thread(child, {{"directive", text}, {"wait_seconds", i % 2 == 0 ? 0 : 30}})));
  }
  for (auto id : asked)
    CHECK(result_of(first.answer_to(id)).contains("directive_id"));
  arrives("typed.txt", expected);
}

TEST_CASE_METHOD(threads, "thread.child.directive reaches a program that reports, again and again",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto mode = GENERATE(as<std::string>{}, "interrupt_patch", "queue");
  auto child = spawn(reporter("told.txt"));
  wait_for(child, "idle");
  std::string expected;
  for (const std::string text : {"one", "two", "three"}) {
    auto told = tell(child, text, {{"mode", mode}, {"wait_seconds", 10}});
    CHECK((told["delivery"] == "submitted" || told["delivery"] == "seen"));
    CHECK(told["delivered"] == (told["delivery"] == "seen"));
    REQUIRE(told["delivery"] != "stored");
    expected += text + "\n";
    arrives("told.txt", expected);
  }
}

TEST_CASE_METHOD(threads, "thread.child.directive refuses a text that is none", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto text = GENERATE(std::string{}, std::string{" \n\t"}, std::string(1'000'001, 'x'));
  auto error = error_of("thread.child.directive", of_thread(child, {{"directive", text}}));
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "directive");
}

TEST_CASE_METHOD(threads, "thread.child.directive needs somebody to be told", "[threads]") {
  CHECK(code_of("thread.child.directive", {{"thread_id", 999}, {"directive", "x"}}) == "not_found");
  if (tmux_is_missing())
    return;
  auto child = ended_child();
  auto mode = GENERATE(as<std::string>{}, "interrupt_patch", "queue");
  CHECK(code_of("thread.child.directive", of_thread(child, {{"directive", "x"}, {"mode", mode}}))
        == "failed_precondition");
  CHECK(code_of("thread.child.directive",
                {{"thread_id", child["parent_thread_id"]}, {"directive", "x"}, {"mode", mode}})
        == "failed_precondition");
}

TEST_CASE_METHOD(threads, "thread.child.directive to a program that has just ended fails",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  tmux({"kill-pane", "-t", child["tmux_pane_id"]});
  auto code = code_of("thread.child.directive", of_thread(child, {{"directive", "x"}}));
  CHECK((code == "unavailable" || code == "failed_precondition"));
}

TEST_CASE_METHOD(threads, "thread.child.directive restarts an agent with it", "[threads]") {
  if (tmux_is_missing())
    return;
  auto ended = GENERATE(false, true);
  auto child = spawn("echo launched >> " + in_quotes((base / "launches.txt").string())
                     + "; exec cat >> " + in_quotes((base / "typed.txt").string()));
  auto pid = fact(child["tmux_pane_id"], "#{pane_pid}");
  if (ended)
    stop(child);
  auto told = tell(child, "begin anew", {{"mode", "restart"}});
  CHECK(told["mode"] == "restart");
  CHECK(told["thread"]["incarnation"] == 2);
  CHECK(told["thread"]["id"] == child["id"]);
  CHECK(told["delivery"] == "submitted");
  CHECK(has_ended(std::stoi(pid)));
  CHECK(panes() == words{told["thread"]["tmux_pane_id"]});
  arrives("launches.txt", "launched\nlaunched\n");
  // The text must not be lost.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (read(base / "typed.txt").empty() && std::chrono::steady_clock::now() < deadline)
    ::poll(nullptr, 0, 10);
  CHECK(read(base / "typed.txt") == "begin anew\n");
}

TEST_CASE_METHOD(threads, "thread.child.directive restarts an agent CLI with its assignment",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = ask("thread.child.spawn", {{"session_id", session},
                                          {"codex_command", agent_cli()},
                                          {"initial_prompt", "do it"}})["thread"];
  auto before = words_of_agent().back();
  std::filesystem::remove(base / "argv");
  tell(child, nasty_text, {{"mode", "restart"}, {"wait_seconds", 0}});
  auto last = words_of_agent().back();
  CHECK(last.find("do it") != std::string::npos);
  CHECK(last.find(nasty_text_typed) != std::string::npos);
  CHECK(before.find(nasty_text_typed) == std::string::npos);
}

TEST_CASE_METHOD(threads, "thread.child.directive done twice under one request_key is done once",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(keeper("typed.txt"));
  json key{{"request_key", "k"}};
  auto id = tell(child, "only once", key)["directive_id"];
  CHECK(tell(child, "only once", key)["directive_id"] == id);
  CHECK(tell(child, "next")["directive_id"] > id);
  arrives("typed.txt", "only once\nnext\n");
}

TEST_CASE_METHOD(threads, "thread.child.directive without waiting is queued", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(keeper("typed.txt"));
  auto told = tell(child, "later", {{"wait_seconds", 0}});
  CHECK(told["result"] == "queued");
  CHECK(told["delivered"] == false);
  arrives("typed.txt", "later\n");
}

TEST_CASE_METHOD(threads, "thread.child.directive outlives the server that was told", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn(keeper("typed.txt"));
  tell(child, "still here", {{"wait_seconds", 0}});
  kill_first(SIGKILL);
  auto& other = start_another();
  CHECK(other.code_of("workspace.init") == "ok");
  arrives("typed.txt", "still here\n");
}

// ---- thread.child.interrupt, thread.child.stop

TEST_CASE_METHOD(threads, "thread.child.interrupt presses the key", "[threads]") {
  if (tmux_is_missing())
    return;
  auto note = in_quotes("echo interrupted > " + in_quotes((base / "seen.txt").string()));
  auto child = spawn(fmt::format("trap {} INT; echo ready; while :; do sleep 0.1; done", note));
  eventually("it runs", [&] {
    return state_of(child).value("screen", "").find("ready") != std::string::npos;
  });
  auto done = ask("thread.child.interrupt", of_thread(child));
  CHECK(done["result"] == "interrupt_sent");
  CHECK(done["thread"]["id"] == child["id"]);
  arrives("seen.txt", "interrupted\n");
}

TEST_CASE_METHOD(threads, "thread.child.interrupt needs a running agent", "[threads]") {
  CHECK(code_of("thread.child.interrupt", {{"thread_id", 999}}) == "not_found");
  if (tmux_is_missing())
    return;
  auto child = ended_child();
  CHECK(code_of("thread.child.interrupt", of_thread(child)) == "failed_precondition");
  CHECK(code_of("thread.child.interrupt", {{"thread_id", child["parent_thread_id"]}})
        == "failed_precondition");
}

TEST_CASE_METHOD(threads, "thread.child.stop ends the program and keeps the pane", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto done = ask("thread.child.stop", of_thread(child));
  CHECK(done["result"] == "stopped");
  CHECK(done["thread"]["status"] == "stopped");
  CHECK(shape_of_time(done["thread"]["completed_at"]) == "time");
  CHECK(fact(child["tmux_pane_id"], "#{pane_dead}") == "1");
  CHECK(state_of(child)["db_status"] == "stopped");
  CHECK(ask("thread.child.stop", of_thread(child))["thread"]["status"] == "stopped");
  stop(child, true);
  CHECK(panes().empty());
}

TEST_CASE_METHOD(threads, "thread.child.stop is no failure to those who look meanwhile",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto& other = start_another();
  for (int i = 0; i < 5; ++i) {
    auto child = steady_child();
    auto stopping = first.request("thread.child.stop", of_thread(child));
    eventually("its program ends", [&] {
      return other.ask("thread.child.status", of_thread(child))["provider_status"] == "exited";
    });
    CHECK(result_of(first.answer_to(stopping))["thread"]["status"] == "stopped");
    CHECK(state_of(child)["db_status"] == "stopped");
  }
}

TEST_CASE_METHOD(threads, "thread.child.stop takes the pane away if it is told to", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto beside = steady_child();
  auto pid = fact(child["tmux_pane_id"], "#{pane_pid}");
  auto done = stop(child, true);
  CHECK(done["thread"]["status"] == "stopped");
  CHECK_FALSE(done["thread"].contains("tmux_pane_id"));
  CHECK(panes() == words{beside["tmux_pane_id"]});
  CHECK(has_ended(std::stoi(pid)));
}

TEST_CASE_METHOD(threads, "thread.child.stop ends a program that will not end", "[threads]") {
  if (tmux_is_missing())
    return;
  auto child = spawn("trap '' HUP INT TERM; echo ready; while :; do sleep 0.1; done");
  eventually("it runs", [&] {
    return state_of(child).value("screen", "").find("ready") != std::string::npos;
  });
  auto pid = fact(child["tmux_pane_id"], "#{pane_pid}");
  CHECK(stop(child)["thread"]["status"] == "stopped");
  CHECK(has_ended(std::stoi(pid)));
}

TEST_CASE_METHOD(threads, "thread.child.stop takes a thread whose pane is gone", "[threads]") {
  CHECK(code_of("thread.child.stop", {{"thread_id", 999}}) == "not_found");
  if (tmux_is_missing())
    return;
  auto child = steady_child();
  auto all = GENERATE(false, true);
  if (all)
    tmux({"kill-server"});
  else
    tmux({"kill-pane", "-t", child["tmux_pane_id"]});
  auto done = stop(child, GENERATE(false, true));
  CHECK(done["result"] == "stopped");
  CHECK(done["thread"]["status"] == "stopped");
  CHECK_FALSE(done["thread"].contains("tmux_pane_id"));
}

TEST_CASE_METHOD(threads, "thread.child.stop takes back what was not delivered", "[threads]") {
  if (tmux_is_missing())
    return;
  // A program of which one waits for a sign that it can be told something.
  auto child =
    ask("thread.child.spawn", {{"session_id", session}, {"codex_command", agent_cli()}})["thread"];
  auto waiting =
    first.request("thread.child.directive", of_thread(child, {{"directive", "never"}}));
  stop(child);
  auto error = orch::test::error_of(first.answer_to(waiting));
  CHECK(error["code"] == "unavailable");
}

TEST_CASE_METHOD(threads, "thread.child.stop ends a planned thread", "[threads]") {
  auto& bare = start_without_tmux();
  auto child =
    bare.ask("thread.child.spawn", of_child("exec cat -", {{"auto_install", false}}))["thread"];
  CHECK(bare.ask("thread.child.stop", of_thread(child))["thread"]["status"] == "stopped");
}

// ---- sessions with agents

TEST_CASE_METHOD(threads, "thread.child.stop ends what the agent has left in the background",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto file = base / "background";
  auto thread = spawn(fmt::format("(trap '' HUP; echo $$ >{}; exec sleep 600) & exec cat -",
                                  in_quotes(file.string())));
  eventually("it has started", [&] { return read(file).ends_with("\n"); });
  auto process = static_cast<pid_t>(std::stol(
    read(fmt::format("/proc/{}/task/{}/children", fact(thread["tmux_pane_id"], "#{pane_pid}"),
                     fact(thread["tmux_pane_id"], "#{pane_pid}")))));
  REQUIRE_FALSE(has_ended(process));
  ask("thread.child.stop", of_thread(thread));
  eventually("it has ended", [&] { return has_ended(process); });
}

TEST_CASE_METHOD(threads, "thread.child.stop is finished by others if its server is killed",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto thread = spawn("trap '' HUP TERM INT; echo up; while :; do sleep 0.1; done");
  eventually("it ignores its end", [&] {
    return state_of(thread)["pane_exists"] == true
           && tmux({"capture-pane", "-p", "-t", thread["tmux_pane_id"]}).find("up")
                != std::string::npos;
  });
  auto& victim = start_another();
  victim.ask("workspace.init");
  victim.request("thread.child.stop", of_thread(thread));
  eventually("it is said to be stopped", [&] {
    return state_file{root}.rows("SELECT status FROM threads WHERE parent_thread_id IS NOT NULL")
           == words{"stopped"};
  });
  victim.kill(SIGKILL);
  wait_until_dead(thread["tmux_pane_id"]);
}

TEST_CASE_METHOD(threads, "thread.child.list tells what is known where tmux is missing",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto thread = spawn("exec cat -");
  auto listed = start_without_tmux().ask("thread.child.list", {{"session_id", session}})["threads"];
  REQUIRE(listed.size() == 1);
  CHECK(listed[0]["id"] == thread["id"]);
  CHECK(listed[0]["status"] == "initializing");
}

TEST_CASE_METHOD(threads, "thread.child.spawn tells a program where its assignment is",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto copy = base / "copy";
  spawn("cat \"$ORCH_ASSIGNMENT\" > " + in_quotes(copy.string()) + "; exec cat -",
        {{"objective", "count the $(stars)"}, {"task_spec", {{"goal", "all"}}}});
  eventually("it has read it", [&] {
    auto text = read(copy);
    return text.find("count the $(stars)") != std::string::npos
           && text.find("\"goal\"") != std::string::npos;
  });
}

TEST_CASE_METHOD(threads, "thread.child.directive waits while a pane takes no input", "[threads]") {
  if (tmux_is_missing())
    return;
  auto thread = spawn(keeper("heard"));
  auto pane = thread["tmux_pane_id"].get<std::string>();
  tmux({"select-pane", "-d", "-t", pane});
  auto told = tell(thread, "first", {{"wait_seconds", 1}});
  CHECK(told["result"] == "queued");
  tmux({"select-pane", "-e", "-t", pane});
  arrives("heard", "first\n");
}

TEST_CASE_METHOD(threads, "thread.child.directive refuses a line that the terminal would cut",
                 "[threads]") {
  if (tmux_is_missing())
    return;
  auto thread = spawn(keeper("heard"));
  auto params = of_thread(thread, {{"directive", "ok\n" + std::string(5'000, 'x')}});
  auto error = error_of("thread.child.directive", params);
  CHECK(error["code"] == "unavailable");
  CHECK(error["message"].get<std::string>().find("5000 bytes") != std::string::npos);
  tell(thread, std::string(4'095, 'y'));
  arrives("heard", std::string(4'095, 'y') + "\n");
}

TEST_CASE_METHOD(threads, "session.cleanup ends the agents and their tmux sessions", "[threads]") {
  if (tmux_is_missing())
    return;
  ensure_root("exec cat -");
  auto child = steady_child();
  auto done = spawn("read x; exit 0");
  tell(done, "go");
  wait_for(done, "exited");
  foreign_session("theirs");
  auto other = spawn("exec cat -", {{"session_id", another_session()}});
  auto pid = fact(child["tmux_pane_id"], "#{pane_pid}");
  auto cleaned = ask("session.cleanup", {{"session_id", session}, {"remove_worktrees", true}});
  CHECK(cleaned["result"] == "cleaned_up");
  CHECK(cleaned["threads_stopped"] == 2);
  CHECK(cleaned["session_killed"] == true);
  CHECK(cleaned["worktrees_removed"] == 1);
  CHECK(has_ended(std::stoi(pid)));
  CHECK(tmux_sessions() == words{other["tmux_session_name"], "theirs"});
  CHECK(children()[0]["status"] == "stopped");
  CHECK(children()[1]["status"] == "completed");
}

TEST_CASE_METHOD(threads, "session.cleanup takes a session whose tmux is gone", "[threads]") {
  if (tmux_is_missing())
    return;
  ensure_root("exec cat -");
  auto child = steady_child();
  tmux({"kill-server"});
  auto cleaned = ask("session.cleanup", {{"session_id", session}});
  CHECK(cleaned["session_killed"] == false);
  CHECK(children()[0]["status"] == "stopped");
}

TEST_CASE_METHOD(threads, "session.cleanup needs no tmux", "[threads]") {
  if (tmux_is_missing())
    return;
  steady_child();
  tmux({"kill-server"});
  auto& bare = start_without_tmux();
  CHECK(bare.code_of("session.cleanup", {{"session_id", session}}) == "ok");
  CHECK(bare.ask("session.list", {{"include_closed", true}})["sessions"][0]["session"]["status"]
        == "closed");
}

TEST_CASE_METHOD(threads, "session.list tells whether the tmux session is there", "[threads]") {
  auto alive = [&](server& on) { return on.ask("session.list")["sessions"][0]["tmux_alive"]; };
  CHECK(alive(first) == false);
  if (tmux_is_missing())
    return;
  ensure_root("exec cat -");
  CHECK(alive(first) == true);
  CHECK(alive(start_without_tmux()) == false);
  tmux({"kill-server"});
  CHECK(alive(first) == false);
}
