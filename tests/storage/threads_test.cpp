#include "agent_rows.hpp"
#include "storage/directives.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct thread_rows : agent_rows {
  void sight(int64_t thread_id, int64_t incarnation, const std::string& status,
             const std::optional<std::string>& conversation = {},
             const std::optional<std::string>& transcript = {},
             const std::optional<std::string>& error = {}) {
    in_tx([&](tx& t) {
      note_sighting(t, {thread_id, incarnation, status, conversation, transcript, error});
    });
  }

  thread_row launch(int64_t thread_id) {
    return in_tx([&](tx& t) { return begin_launch(t, thread_id); });
  }

  std::vector<int64_t> ids_of(const thread_child_list& request) {
    std::vector<int64_t> ids;
    for (const auto& x : in_tx([&](tx& t) { return list_children(t, request); }).threads)
      ids.push_back(x.id);
    return ids;
  }
};

} // namespace

TEST_CASE_METHOD(thread_rows, "thread rows: a session has one root thread", "[threads]") {
  auto s = add_session();
  thread_root_ensure request;
  request.session_id = s;
  request.title = "first";
  request.provider = "claude_code";
  request.codex_command = "claude --verbose";
  request.child_session_name = "mine";
  auto first = in_tx([&](tx& t) { return ensure_root_thread(t, request); });
  CHECK(first.thread.status == "planned");
  CHECK(first.thread.role == "session-root");
  CHECK(first.thread.provider == "claude_code");
  CHECK_FALSE(first.thread.parent_thread_id);
  CHECK(first.thread.incarnation == 0);
  CHECK(first.launch.codex_command == "claude --verbose");
  CHECK(child_session_of(first) == "mine");
  CHECK_THAT(first.worktree_path, Catch::EndsWith("/root"));
  auto before = changes;
  request.title = "second";
  auto second = in_tx([&](tx& t) { return ensure_root_thread(t, request); });
  CHECK(second.thread.id == first.thread.id);
  CHECK(second.thread.title == "first");
  CHECK(changes == before);
  CHECK(root_of(add_session()) != first.thread.id);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a root thread is named after itself", "[threads]") {
  auto id = root_of(add_session());
  CHECK(row(id).thread.provider == "codex");
  CHECK(child_session_of(row(id)) == "codex-child-" + std::to_string(id));
}

TEST_CASE_METHOD(thread_rows, "thread rows: only an open session gets threads", "[threads]") {
  auto s = add_session();
  auto root = root_of(s);
  in_tx([&](tx& t) { t.run("UPDATE sessions SET status = 'closed' WHERE id = ?", s); });
  thread_root_ensure ensure;
  ensure.session_id = s;
  CHECK(refused([&](tx& t) { ensure_root_thread(t, ensure); }).code == errc::failed_precondition);
  thread_child_spawn request;
  request.session_id = s;
  CHECK(refused([&](tx& t) { plan_child(t, request, root, 6); }).code == errc::failed_precondition);
  ensure.session_id = 99;
  CHECK(refused([&](tx& t) { ensure_root_thread(t, ensure); }).code == errc::not_found);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a child that may run begins at once", "[threads]") {
  auto s = add_session();
  auto made = spawn(s, 1);
  const auto& x = made.row.thread;
  CHECK(x.status == "initializing");
  CHECK(x.incarnation == 1);
  CHECK(x.parent_thread_id == root_of(s));
  CHECK(x.started_at == now);
  CHECK(x.log_file_path
        == (directory.path / "threads" / std::to_string(x.id) / "1/events.jsonl").string());
  CHECK_FALSE(made.reused);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a child without a limit stays planned", "[threads]") {
  auto s = add_session();
  auto made = spawn(s, std::nullopt);
  CHECK(made.row.thread.status == "planned");
  CHECK(made.row.thread.incarnation == 0);
  CHECK_FALSE(made.row.thread.started_at);
  CHECK_FALSE(made.reused);
  spawn(s, 1); // what is only planned takes no place
}

TEST_CASE_METHOD(thread_rows, "thread rows: what a child is to do is kept", "[threads]") {
  auto s = add_session();
  auto root = root_of(s);
  auto own = in_tx([&](tx& t) { return add_worktree(t, s, "part"); });
  thread_child_spawn request;
  request.session_id = s;
  request.worktree_id = own.id;
  request.role = "planner";
  request.title = "plan";
  request.objective = "plan it";
  request.initial_prompt = "begin";
  request.launch_command = "sh -c 'x y'";
  request.launch_codex = false;
  request.provider = "command";
  request.task_spec = raw_json{R"({"a":1})"};
  request.scope_task_ids = {3, 4};
  auto made = in_tx([&](tx& t) { return plan_child(t, request, root, std::nullopt); });
  auto found = row(made.row.thread.id);
  CHECK(found.thread.role == "planner");
  CHECK(found.thread.objective == "plan it");
  CHECK(found.thread.worktree_id == own.id);
  CHECK(found.worktree_path == own.path);
  CHECK(found.launch.initial_prompt == "begin");
  CHECK(found.launch.launch_command == "sh -c 'x y'");
  CHECK_FALSE(found.launch.launch_codex);
  CHECK(found.thread.task_spec->text == R"({"a":1})");
  CHECK(found.thread.scope_task_ids->text == "[3,4]");
  CHECK_FALSE(found.thread.scope_case_ids);
}

TEST_CASE_METHOD(thread_rows, "thread rows: parents and worktrees of others are refused",
                 "[threads]") {
  auto mine = add_session();
  auto other = add_session();
  auto root = root_of(mine);
  thread_child_spawn request;
  request.session_id = mine;
  request.parent_thread_id = root_of(other);
  auto spawn_it = [&](tx& t) { plan_child(t, request, root, 6); };
  CHECK(refused(spawn_it).code == errc::permission_denied);
  request.parent_thread_id = 99;
  CHECK(refused(spawn_it).code == errc::not_found);
  request.parent_thread_id = root;
  request.worktree_id = in_tx([&](tx& t) { return add_worktree(t, other, "part").id; });
  auto error = refused(spawn_it);
  CHECK(error.code == errc::permission_denied);
  CHECK(error.data["field"] == "worktree_id");
}

TEST_CASE_METHOD(thread_rows, "thread rows: so many children run and no more", "[threads]") {
  auto s = add_session();
  auto root = root_of(s);
  auto first = running_child(s).thread.id;
  running_child(s);
  thread_child_spawn request;
  request.session_id = s;
  auto error = refused([&](tx& t) { plan_child(t, request, root, 2); });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["running"] == 2);
  CHECK(error.data["limit"] == 2);
  running_child(add_session()); // those of others don't count
  end(first, "stopped", true);
  CHECK_FALSE(spawn(s, 2).reused);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a root thread takes no place of a child", "[threads]") {
  auto s = add_session();
  launch(root_of(s));
  CHECK(spawn(s, 1).row.thread.status == "initializing");
}

TEST_CASE_METHOD(thread_rows, "thread rows: a finished child hands its pane over", "[threads]") {
  auto s = add_session();
  auto first = running_child(s);
  auto second = running_child(s);
  running_child(s);
  end(second.thread.id, "completed");
  end(first.thread.id, "completed");
  CHECK_FALSE(spawn(s, 4).reused); // there is room
  auto made = spawn(s, 4);
  REQUIRE(made.reused);
  CHECK(made.reused->id == first.pane->id);
  CHECK(made.reused->pid == first.pane->pid);
  CHECK(made.reused->tmux_server_pid == first.pane->tmux_server_pid);
  CHECK_FALSE(row(first.thread.id).pane);
  CHECK_FALSE(row(first.thread.id).thread.tmux_pane_id);
  CHECK(row(second.thread.id).pane);
}

TEST_CASE_METHOD(thread_rows, "thread rows: each launch is an incarnation", "[threads]") {
  auto id = running_child(add_session()).thread.id;
  sight(id, 1, "failed", "conversation", "/transcript", "it broke");
  REQUIRE(row(id).thread.error_message == "it broke");
  pass_seconds(5);
  launch(id);
  auto found = row(id);
  CHECK(found.thread.incarnation == 2);
  CHECK(found.thread.status == "initializing");
  CHECK(found.thread.started_at == now);
  CHECK_FALSE(found.thread.completed_at);
  CHECK_FALSE(found.thread.error_message);
  CHECK_FALSE(found.pane);
  CHECK_THAT(*found.thread.log_file_path, Catch::EndsWith("/2/events.jsonl"));
  CHECK(found.thread.agent_session_id == "conversation"); // it may be resumed
}

TEST_CASE_METHOD(thread_rows, "thread rows: nobody launches what is being launched", "[threads]") {
  auto id = spawn(add_session(), std::nullopt).row.thread.id;
  auto held = in_tx([&](tx& t) { return t.take_in_hand(name_of_launch(id)); });
  launch(id);
  CHECK(row(id).being_launched);
  CHECK(refused([&](tx& t) { begin_launch(t, id); }).code == errc::conflict);
  CHECK(row(id).thread.incarnation == 1);
  held.reset(); // lost when the actors were restarted
  CHECK_FALSE(row(id).being_launched);
  CHECK(launch(id).thread.incarnation == 2);
}

TEST_CASE_METHOD(thread_rows, "thread rows: nobody launches what another server launches",
                 "[threads]") {
  auto id = spawn(add_session(), std::nullopt).row.thread.id;
  around->server = 7;
  launch(id);
  around->server = 1;
  CHECK(row(id).being_launched);
  CHECK(refused([&](tx& t) { begin_launch(t, id); }).code == errc::conflict);
  dead_servers.insert(7);
  CHECK_FALSE(row(id).being_launched);
  CHECK(launch(id).thread.incarnation == 2);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a launch that ended well has a pane", "[threads]") {
  auto id = spawn(add_session()).row.thread.id;
  auto held = in_tx([&](tx& t) { return t.take_in_hand(name_of_launch(id)); });
  REQUIRE(row(id).being_launched);
  in_tx([&](tx& t) { note_launched(t, id, 1, {"%5", 50, 99}, "session", "window"); });
  auto found = row(id);
  CHECK_FALSE(found.being_launched);
  REQUIRE(found.pane);
  CHECK(found.pane->id == "%5");
  CHECK(found.pane->pid == 50);
  CHECK(found.pane->tmux_server_pid == 99);
  CHECK(found.thread.tmux_session_name == "session");
  CHECK(found.thread.tmux_window_name == "window");
  CHECK(refused([&](tx& t) {
          note_launched(t, id, 2, {"%6", 60, 99}, "s", "w");
        }).code
        == errc::conflict);
  CHECK(row(id).pane->id == "%5");
}

TEST_CASE_METHOD(thread_rows, "thread rows: a launch that failed says why", "[threads]") {
  auto id = spawn(add_session()).row.thread.id;
  auto fail = [&](int64_t incarnation, bool try_again) {
    in_tx([&](tx& t) { note_launch_failed(t, id, incarnation, "no tmux", try_again); });
  };
  fail(9, false); // another launch's
  CHECK(row(id).thread.status == "initializing");
  fail(1, true);
  CHECK(row(id).thread.status == "planned");
  CHECK(row(id).thread.error_message == "no tmux");
  CHECK_FALSE(row(id).thread.completed_at);
  launch(id);
  fail(2, false);
  CHECK(row(id).thread.status == "failed");
  CHECK(row(id).thread.completed_at == now);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a sighting brings the row up to date", "[threads]") {
  auto id = running_child(add_session()).thread.id;
  pass_seconds(1);
  sight(id, 1, "idle", "conversation", "/transcript");
  auto found = row(id);
  CHECK(found.thread.status == "idle");
  CHECK(found.thread.agent_session_id == "conversation");
  CHECK(found.thread.updated_at == now);
  CHECK(found.transcript_path == "/transcript");
  CHECK_FALSE(found.thread.completed_at);
  sight(id, 1, "failed", {}, {}, "status 3");
  found = row(id);
  CHECK(found.thread.status == "failed");
  CHECK(found.thread.completed_at == now);
  CHECK(found.thread.error_message == "status 3");
  CHECK(found.thread.agent_session_id == "conversation");
}

TEST_CASE_METHOD(thread_rows, "thread rows: seeing what is known is no change of state",
                 "[threads]") {
  auto id = running_child(add_session()).thread.id;
  sight(id, 1, "idle", "conversation", "/transcript");
  auto before = changes;
  auto updated_at = row(id).thread.updated_at;
  pass_seconds(1);
  sight(id, 1, "idle");
  sight(id, 1, "idle", "conversation", "/transcript");
  sight(id, 1, "idle", {}, "/transcript");
  CHECK(changes == before);
  CHECK(row(id).thread.updated_at == updated_at);
  sight(id, 1, "running");
  CHECK(changes == before + 1);
}

TEST_CASE_METHOD(thread_rows, "thread rows: an earlier incarnation is seen in vain", "[threads]") {
  auto id = running_child(add_session()).thread.id;
  launch(id);
  auto before = changes;
  sight(id, 1, "failed", "old", "/old", "it died");
  sight(99, 1, "idle");
  auto found = row(id);
  CHECK(found.thread.status == "initializing");
  CHECK_FALSE(found.thread.agent_session_id);
  CHECK_FALSE(found.transcript_path);
  CHECK(changes == before);
}

TEST_CASE_METHOD(thread_rows, "thread rows: a thread that has ended is not seen alive again",
                 "[threads]") {
  auto status = GENERATE(as<std::string>{}, "stopped", "completed", "failed");
  auto id = running_child(add_session()).thread.id;
  end(id, status);
  auto before = changes;
  sight(id, 1, "idle", "conversation");
  sight(id, 1, "failed", {}, {}, "late");
  CHECK(row(id).thread.status == status);
  CHECK_FALSE(row(id).thread.error_message);
  CHECK(changes == before);
}

TEST_CASE_METHOD(thread_rows, "thread rows: what was on its way to an agent that ends is given up",
                 "[threads]") {
  auto s = add_session();
  auto id = running_child(s).thread.id;
  auto other = running_child(s).thread.id;
  auto tell = [&](int64_t to, const std::string& state) {
    return in_tx([&](tx& t) {
      auto made = add_directive(t, to, "queue", "go on").id;
      if (state == "typed")
        begin_typing(t, made);
      else if (state != "stored")
        note_delivery(t, made, state);
      return made;
    });
  };
  auto look = [&](int64_t directive_id) {
    return in_tx([&](tx& t) { return get_directive(t, directive_id); });
  };
  auto seen = tell(id, "seen");
  auto stored = tell(id, "stored");
  auto typed = tell(id, "typed");
  auto submitted = tell(id, "submitted");
  auto elsewhere = tell(other, "stored");
  pass_seconds(1);
  end(id, "stopped");
  for (auto directive_id : {stored, typed, submitted}) {
    CHECK(look(directive_id).state == "failed");
    CHECK(look(directive_id).error_message);
    CHECK(look(directive_id).updated_at == now);
  }
  CHECK(look(seen).state == "seen");
  CHECK(look(elsewhere).state == "stored");
}

TEST_CASE_METHOD(thread_rows, "thread rows: how a thread ended is said once", "[threads]") {
  auto id = running_child(add_session()).thread.id;
  end(id, "completed");
  auto at = row(id).thread.completed_at;
  CHECK(at == now);
  CHECK(row(id).pane);
  pass_seconds(5);
  end(id, "stopped", true);
  CHECK(row(id).thread.status == "completed");
  CHECK(row(id).thread.completed_at == at);
  CHECK_FALSE(row(id).pane);
  auto planned = spawn(add_session(), std::nullopt).row.thread.id;
  end(planned, "stopped");
  CHECK(row(planned).thread.status == "stopped");
}

TEST_CASE_METHOD(thread_rows, "thread rows: children come in pages, oldest first", "[threads]") {
  auto s = add_session();
  auto a = running_child(s).thread.id;
  auto b = running_child(s).thread.id;
  auto c = spawn(s, std::nullopt).row.thread.id;
  running_child(add_session());
  thread_child_list request;
  request.session_id = s;
  CHECK(ids_of(request) == std::vector{a, b, c});
  request.status = "running";
  CHECK(ids_of(request) == std::vector{a, b});
  request.role = "planner";
  CHECK(ids_of(request).empty());
  request = {};
  request.session_id = s;
  request.parent_thread_id = a;
  CHECK(ids_of(request).empty());
  request.parent_thread_id.reset();
  request.limit = 2;
  auto page = in_tx([&](tx& t) { return list_children(t, request); });
  CHECK(page.threads.size() == 2);
  REQUIRE(page.next_cursor);
  request.cursor = page.next_cursor;
  page = in_tx([&](tx& t) { return list_children(t, request); });
  REQUIRE(page.threads.size() == 1);
  CHECK(page.threads.front().id == c);
  CHECK_FALSE(page.next_cursor);
  request.session_id = 99;
  CHECK(refused([&](tx& t) { list_children(t, request); }).code == errc::not_found);
}

TEST_CASE_METHOD(thread_rows, "thread rows: of a session those that run, children first",
                 "[threads]") {
  auto s = add_session();
  auto root = root_of(s);
  auto a = running_child(s).thread.id;
  auto over = running_child(s).thread.id;
  auto planned = spawn(s, std::nullopt).row.thread.id;
  end(over, "stopped");
  std::vector<int64_t> ids;
  for (const auto& x : in_tx([&](tx& t) { return live_threads_of(t, s); }))
    ids.push_back(x.thread.id);
  CHECK(ids == std::vector{a, planned, root});
}
