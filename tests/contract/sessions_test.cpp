#include "client.hpp"

#include <csignal>

using namespace orch::test;

TEST_CASE_METHOD(contract, "workspace.init says where the state is", "[sessions]") {
  auto state = ask("workspace.init");
  CHECK(state["repo_path"] == root.string());
  CHECK(state["db_path"] == (root / ".codex-orch" / "state.db").string());
  CHECK(state["db_version"].is_number_integer());
  CHECK(state["schema_version"].is_number_integer());
  CHECK(state["server_version"].is_string());
  CHECK(std::filesystem::exists(root / ".codex-orch" / "state.db"));
}

TEST_CASE_METHOD(contract, "workspace.init leaves git status clean", "[sessions]") {
  ask("workspace.init");
  open_session();
  CHECK(git({"status", "--porcelain"}).empty());
  CHECK_THAT(read(root / ".git" / "info" / "exclude"), Catch::Contains(".codex-orch/"));
}

TEST_CASE_METHOD(contract, "session.open makes branch and worktree of its own", "[sessions]") {
  auto opened = ask("session.open", {{"agent_role", "claude"}, {"owner", "ann"}});
  auto context = opened["session_context"];
  auto session = context["session"];
  auto tree = context["session_root_worktree"];
  auto id = std::to_string(session["id"].get<int64_t>());
  CHECK(session["agent_role"] == "claude");
  CHECK(session["owner"] == "ann");
  CHECK(session["status"] == "active_new");
  CHECK(session["repo_path"] == root.string());
  CHECK(session["session_root_worktree_id"] == tree["id"]);
  CHECK(tree["kind"] == "session_root");
  CHECK(tree["branch"] == "session/" + id);
  CHECK(tree["path"] == (root / ".codex-orch" / "worktrees" / ("session-" + id)).string());
  CHECK(context["main_worktree"]["kind"] == "main");
  CHECK(context["main_worktree"]["path"] == root.string());
  CHECK(git_in(tree["path"].get<std::string>(), {"branch", "--show-current"}) == tree["branch"]);
  CHECK(read(path{tree["path"].get<std::string>()} / "a.txt") == "a\n");
}

TEST_CASE_METHOD(contract, "session.open fills in defaults and leaves out what is absent",
                 "[sessions]") {
  auto session = open()["session"];
  CHECK(session["agent_role"] == "codex");
  CHECK(session["owner"] == "unknown");
  CHECK(session["intent"] == "new_work");
  CHECK_FALSE(session.contains("terminal_fingerprint"));
  CHECK_FALSE(session.contains("root_thread_id"));
  for (const auto& [name, value] : session.items())
    CHECK_FALSE(value.is_null());
  CHECK(shape_of_time(session["started_at"]) == "time");
  CHECK(shape_of_time(session["last_seen_at"]) == "time");
}

TEST_CASE_METHOD(contract, "session.open takes one or two words into its names", "[sessions]") {
  using row = std::tuple<std::string, std::string, std::string>;
  auto [parameter, text, slug] = GENERATE(table<std::string, std::string, std::string>(
    {row{"worktree_name", "login-fix", "login-fix"}, row{"worktree_name", "Login", "login"},
     row{"user_request", "Please fix the login page of the shop", ""}}));
  auto opened = ask("session.open", {{parameter, text}});
  auto words = opened["worktree_slug"].get<std::string>();
  if (!slug.empty())
    CHECK(words == slug);
  CHECK(std::count(words.begin(), words.end(), '-') <= 1);
  CHECK_THAT(opened["session_context"]["session_root_worktree"]["branch"].get<std::string>(),
             Catch::EndsWith(words));
  CHECK_THAT(opened["session_context"]["session_root_worktree"]["path"].get<std::string>(),
             Catch::EndsWith(words));
}

TEST_CASE_METHOD(contract, "session.open drops stop words from the request", "[sessions]") {
  auto slug = ask("session.open", {{"user_request", "please fix the login of a shop"}})
                .value("worktree_slug", "");
  for (const char* stop : {"the", "of", "a", "please"})
    CHECK_THAT("-" + slug + "-", !Catch::Contains("-" + std::string{stop} + "-"));
}

TEST_CASE_METHOD(contract, "session.open finds another name when one is taken", "[sessions]") {
  std::vector<json> branches;
  std::vector<json> paths;
  for (int i = 0; i < 3; ++i) {
    auto tree = open({{"worktree_name", "login-fix"}})["session_root_worktree"];
    branches.push_back(tree["branch"]);
    paths.push_back(tree["path"]);
  }
  CHECK(branches[0] != branches[1]);
  CHECK(branches[1] != branches[2]);
  CHECK(paths[1] != paths[2]);
}

TEST_CASE_METHOD(contract, "session.open starts from the main branch of the moment", "[sessions]") {
  open();
  auto newer = commit(root, "later.txt", "later\n");
  auto tree = open()["session_root_worktree"];
  CHECK(git({"rev-parse", tree["branch"]}) == newer);
}

TEST_CASE_METHOD(contract, "session.open starts from the main branch, not from a side branch",
                 "[sessions]") {
  git({"checkout", "--quiet", "-b", "side"});
  commit(root, "side.txt", "side\n");
  auto context = open();
  CHECK(git({"rev-parse", context["session_root_worktree"]["branch"]})
        == git({"rev-parse", "main"}));
  CHECK(context["main_worktree"]["branch"] == "side");
}

TEST_CASE_METHOD(contract, "session.open works while the HEAD is detached", "[sessions]") {
  auto main_commit = git({"rev-parse", "main"});
  git({"checkout", "--quiet", "--detach"});
  auto context = open();
  CHECK(git({"rev-parse", context["session_root_worktree"]["branch"]}) == main_commit);
  CHECK(context["main_worktree"]["branch"] != "HEAD");
  CHECK(git({"for-each-ref", "refs/heads/HEAD"}).empty());
}

TEST_CASE_METHOD(contract, "session.open goes on when the first day's branch is gone",
                 "[sessions]") {
  open();
  git({"branch", "--quiet", "-m", "main", "trunk"});
  CHECK(code_of("session.open") == "ok");
}

TEST_CASE_METHOD(contract, "session.open leaves nothing behind when git refuses", "[sessions]") {
  // A file where the directory of all worktrees has to be.
  ask("workspace.init");
  std::filesystem::remove_all(root / ".codex-orch" / "worktrees");
  write(root / ".codex-orch" / "worktrees", "in the way");
  auto before = git({"branch", "--list"});
  auto version = first.db_version();
  CHECK(code_of("session.open") != "ok");
  CHECK(git({"branch", "--list"}) == before);
  CHECK(ask("session.list", {{"include_closed", true}})["count"] == 0);
  CHECK(ask("worktree.list")["worktrees"].empty());
  CHECK(first.db_version() == version);
}

TEST_CASE_METHOD(contract, "session.open to resume makes no worktree", "[sessions]") {
  auto opened = ask("session.open", {{"intent", "resume_work"}});
  CHECK(opened["session"]["status"] == "awaiting_resume");
  CHECK(opened["action_required"] == "select_resume_candidate");
  CHECK(opened["resume_candidates"] == json::array());
  CHECK(opened["main_worktree"]["kind"] == "main");
  CHECK_FALSE(opened.contains("session_context"));
  CHECK(git({"branch", "--list", "session/*"}).empty());
}

TEST_CASE_METHOD(contract, "session.heartbeat answers with the session", "[sessions]") {
  auto id = open_session();
  auto session = ask("session.heartbeat", {{"session_id", id}});
  CHECK(session["id"] == id);
  CHECK(session["status"] == "active_new");
}

TEST_CASE_METHOD(contract, "session.heartbeat of a closed session is refused", "[sessions]") {
  auto id = open_session();
  ask("session.close", {{"session_id", id}});
  CHECK(code_of("session.heartbeat", {{"session_id", id}}) == "failed_precondition");
}

TEST_CASE_METHOD(contract, "session.context gives session, worktrees and reference", "[sessions]") {
  auto work = begin_work();
  auto context = ask("session.context", {{"session_id", work["session"]}});
  CHECK(context["session"]["id"] == work["session"]);
  CHECK(context["main_worktree"]["kind"] == "main");
  CHECK(context["session_root_worktree"]["owner_session_id"] == work["session"]);
  CHECK(context["current_ref"]["node_id"] == work["case"]);
}

TEST_CASE_METHOD(contract, "session.list leaves out closed sessions unless asked", "[sessions]") {
  auto open_one = open_session();
  auto closed = open_session();
  ask("session.close", {{"session_id", closed}});
  auto listed = ask("session.list");
  REQUIRE(listed["count"] == 1);
  CHECK(listed["sessions"][0]["session"]["id"] == open_one);
  CHECK(listed["sessions"][0]["connected"] == true);
  CHECK(listed["sessions"][0]["tmux_alive"] == false);
  CHECK(ask("session.list", {{"include_closed", true}})["count"] == 2);
}

TEST_CASE_METHOD(contract, "session.list filters by status", "[sessions]") {
  open_session();
  ask("session.open", {{"intent", "resume_work"}});
  CHECK(ask("session.list", {{"status", "awaiting_resume"}})["count"] == 1);
  CHECK(ask("session.list", {{"status", "suspended"}})["count"] == 0);
}

TEST_CASE_METHOD(contract, "session.close releases locks and the main merge lock", "[sessions]") {
  auto id = open_session();
  auto owner = std::to_string(id);
  ask("lock.acquire", {{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", owner}});
  ask("merge.main.acquire_lock", {{"session_id", id}});
  CHECK(ask("session.close", {{"session_id", id}})["status"] == "closed");
  CHECK(ask("lock.list")["locks"].empty());
  CHECK(code_of("merge.main.acquire_lock", {{"session_id", open_session()}}) == "ok");
}

TEST_CASE_METHOD(contract, "session.close keeps the locks when told to", "[sessions]") {
  auto id = open_session();
  ask("lock.acquire",
      {{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", std::to_string(id)}});
  ask("session.close", {{"session_id", id}, {"release_locks", false}});
  CHECK(ask("lock.list")["locks"].size() == 1);
}

TEST_CASE_METHOD(contract, "session.close wakes who waits for its lock", "[sessions]") {
  auto id = open_session();
  json wanted{{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", std::to_string(id)}};
  ask("lock.acquire", wanted);
  wanted["owner_session"] = std::to_string(open_session());
  wanted["wait_seconds"] = 600;
  auto waiting = first.request("lock.acquire", wanted);
  ask("session.close", {{"session_id", id}});
  CHECK(result_of(first.answer_to(waiting))["state"] == "active");
}

TEST_CASE_METHOD(contract, "session.cleanup closes and keeps the worktrees unless asked",
                 "[sessions]") {
  auto context = open();
  auto cleaned = ask("session.cleanup", {{"session_id", context["session"]["id"]}});
  CHECK(cleaned["result"] == "cleaned_up");
  CHECK(cleaned["threads_stopped"] == 0);
  CHECK(cleaned["session_killed"] == false);
  CHECK(cleaned["worktrees_removed"] == 0);
  CHECK(std::filesystem::exists(context["session_root_worktree"]["path"].get<std::string>()));
  CHECK(ask("session.context", {{"session_id", context["session"]["id"]}})["session"]["status"]
        == "closed");
}

TEST_CASE_METHOD(contract, "session.cleanup removes worktrees without work of their own",
                 "[sessions]") {
  auto context = open();
  auto cleaned =
    ask("session.cleanup", {{"session_id", context["session"]["id"]}, {"remove_worktrees", true}});
  CHECK(cleaned["worktrees_removed"] == 1);
  CHECK(cleaned["kept"].empty());
  CHECK_FALSE(std::filesystem::exists(context["session_root_worktree"]["path"].get<std::string>()));
}

TEST_CASE_METHOD(contract, "session.cleanup keeps work that exists nowhere else", "[sessions]") {
  auto uncommitted = GENERATE(true, false);
  auto context = open();
  path tree = context["session_root_worktree"]["path"].get<std::string>();
  if (uncommitted)
    write(tree / "new.txt", "precious\n");
  else
    commit(tree, "new.txt", "precious\n");
  auto cleaned =
    ask("session.cleanup", {{"session_id", context["session"]["id"]}, {"remove_worktrees", true}});
  CHECK(cleaned["worktrees_removed"] == 0);
  REQUIRE(cleaned["kept"].size() == 1);
  CHECK(cleaned["kept"][0]["path"] == tree.string());
  CHECK_FALSE(cleaned["kept"][0]["reason"].get<std::string>().empty());
  CHECK(read(tree / "new.txt") == "precious\n");
}

TEST_CASE_METHOD(contract, "session.cleanup with force removes what is left, backed up",
                 "[sessions]") {
  auto context = open();
  path tree = context["session_root_worktree"]["path"].get<std::string>();
  write(tree / "new.txt", "precious\n");
  ask("session.cleanup",
      {{"session_id", context["session"]["id"]}, {"remove_worktrees", true}, {"force", true}});
  CHECK_FALSE(std::filesystem::exists(tree));
  auto backup = git({"for-each-ref", "--format=%(refname)", "refs/codex-orch/backup"});
  REQUIRE_FALSE(backup.empty());
  CHECK(git({"show", backup + ":new.txt"}) == "precious");
}
