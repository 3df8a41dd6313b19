#include "client.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <csignal>
#include <map>

using namespace orch::test;

namespace {

using files_and_times = std::map<std::string, std::filesystem::file_time_type>;

/// A repository whose rows are as a test wants them.
struct shown_state : sandbox {
  json status() const {
    auto end = run({"status", "--repo", root.string(), "--json"});
    INFO(end.err);
    REQUIRE(end.code == 0);
    CHECK(end.err.empty());
    CHECK(std::count(end.out.begin(), end.out.end(), '\n') == 1);
    auto repositories = json::parse(end.out).at("repositories");
    REQUIRE(repositories.size() == 1);
    return repositories[0];
  }

  /// The kinds of problems, in order.
  words problem_kinds() const {
    words kinds;
    auto problems = status().at("problems");
    for (const auto& problem : problems)
      kinds.push_back(problem.at("kind"));
    return kinds;
  }

  json only_problem() const {
    auto problems = status().at("problems");
    REQUIRE(problems.size() == 1);
    return problems[0];
  }

  void sql(const std::string& text) const {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open((root / ".codex-orch" / "state.db").c_str(), &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 10'000);
    auto code = sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr);
    INFO(sqlite3_errmsg(db));
    CHECK(code == SQLITE_OK);
    sqlite3_close(db);
  }

  /// A session that nobody keeps alive but that was just seen, as number 1.
  void add_session(const std::string& status = "active_new", int64_t age_seconds = 0) const {
    REQUIRE(run_once("workspace.init").code == 0);
    sql(fmt::format("INSERT INTO sessions(id, agent_role, owner, repo_path, intent, started_at, "
                    "last_seen_at, status) VALUES(1, 'codex', 'ann', '', 'new_work', 0, "
                    "unixepoch() * 1000000 - {}, '{}')",
                    age_seconds * 1'000'000, status));
  }

  void add_thread(int64_t id, const std::string& status) const {
    sql(fmt::format("INSERT INTO threads(id, session_id, parent_thread_id, role, status, provider, "
                    "tmux_session_name, tmux_pane_id, created_at, updated_at) VALUES({}, 1, 9, "
                    "'worker', '{}', 'codex', 'codex-child-1', '%4', 0, unixepoch() * 1000000)",
                    id, status));
  }

  files_and_times state_files() const {
    files_and_times found;
    for (const auto& entry : std::filesystem::directory_iterator{root / ".codex-orch"})
      if (entry.path().extension() != ".db-shm") // readers note there what they read
        found[entry.path().filename()] = entry.last_write_time();
    return found;
  }
};

} // namespace

TEST_CASE_METHOD(shown_state, "status of a repository without state says so and makes none",
                 "[status]") {
  CHECK(status()["note"].get<std::string>().starts_with("no state"));
  auto end = run({"status", "--repo", root.string()});
  CHECK(end.code == 0);
  CHECK(end.out.find("no state") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(root / ".codex-orch"));
}

TEST_CASE_METHOD(shown_state, "status outside of a repository ends with 1 and one line",
                 "[status]") {
  auto end = run({"status", "--repo", (base / "home").string(), "--json"});
  CHECK(end.code == 1);
  CHECK(end.out.empty());
  CHECK(std::count(end.err.begin(), end.err.end(), '\n') == 1);
}

TEST_CASE_METHOD(shown_state, "status shows what a running server coordinates", "[status]") {
  auto& server = start();
  auto context = contract::open_on(server, {{"user_request", "fix the rounding"}});
  auto session = context["session"]["id"].get<int64_t>();
  server.ask(
    "lock.acquire",
    {{"scope_type", "prefix"}, {"scope_path", "src"}, {"owner_session", std::to_string(session)}});
  auto before = state_files();
  auto shown = status();
  CHECK(state_files() == before);
  CHECK(shown["repository"] == root.string());
  CHECK(shown["name"] == "repo");
  CHECK(shown["db_version"] == server.db_version());
  CHECK(shown["servers"] == 1);
  CHECK(shown["clients"] == 1);
  CHECK(shown["problems"].empty());
  CHECK(shown["sessions"][0]["id"] == session);
  CHECK(shown["sessions"][0]["server"] == "alive");
  CHECK(shown["sessions"][0]["silent"] == false);
  CHECK(shown["sessions"][0]["branch"] == context["session_root_worktree"]["branch"]);
  CHECK(shown["locks"][0]["path"] == "src");
  CHECK(shown["worktrees"].size() == 1);
  CHECK(shown["worktrees"][0]["disk_bytes"] > 0);
  CHECK(shown["worktrees"][0]["missing"] == false);
}

TEST_CASE_METHOD(shown_state, "status touches nothing while no server runs", "[status]") {
  add_session();
  auto before = state_files();
  CHECK(status()["servers"] == 0);
  CHECK(state_files() == before);
}

TEST_CASE_METHOD(shown_state, "status reads what a killed server has left", "[status]") {
  auto server = start_in(root);
  contract::open_on(*server);
  server->kill(SIGKILL);
  server->wait();
  auto shown = status();
  CHECK(shown["servers"] == 0);
  CHECK(shown["sessions"][0]["server"] == "dead");
  CHECK(shown["sessions"][0]["silent"] == true);
}

TEST_CASE_METHOD(shown_state, "status says where an agent asks a person", "[status]") {
  add_session();
  add_thread(2, "waiting_user_answer");
  auto problem = only_problem();
  CHECK(problem["severity"] == "needs_person");
  CHECK(problem["kind"] == "agent_asks");
  CHECK(problem["ids"] == json{{"thread_id", 2}, {"session_id", 1}});
  CHECK(problem["hint"] == "tmux attach-session -t codex-child-1, pane %4");
}

TEST_CASE_METHOD(shown_state, "status tells of failed agents, but not of those of ended sessions",
                 "[status]") {
  add_session();
  add_thread(2, "failed");
  add_thread(3, "stopped");
  CHECK(problem_kinds() == words{"agent_failed"});
  sql("UPDATE sessions SET status = 'closed'");
  CHECK(problem_kinds().empty());
}

TEST_CASE_METHOD(shown_state, "status tells of sessions that are silent for long", "[status]") {
  auto [age, kinds] = GENERATE(table<int64_t, words>({{60, {}}, {100'000, {"session_silent"}}}));
  add_session("suspended", age);
  CHECK(problem_kinds() == kinds);
}

TEST_CASE_METHOD(shown_state, "status tells of a silent session's lock that others wait for",
                 "[status]") {
  add_session("suspended");
  auto& server = start();
  server.ask("lock.acquire",
             {{"scope_type", "prefix"}, {"scope_path", "src"}, {"owner_session", "1"}});
  // The request was a sign of life, which nobody waits for.
  eventually("it is noted", [&] { return status()["sessions"][0]["status"] != "suspended"; });
  sql("UPDATE sessions SET status = 'suspended'");
  CHECK(problem_kinds().empty());
  server.request("lock.acquire", {{"scope_type", "file"},
                                  {"scope_path", "src/a.cpp"},
                                  {"owner_session", "somebody"},
                                  {"wait_seconds", 60}});
  eventually("somebody waits", [&] { return status()["counts"]["waiters"] == 1; });
  CHECK(status()["locks"][0]["waiters"] == json{"somebody"});
  CHECK(only_problem()["kind"] == "lock_blocks");
  CHECK(only_problem()["hint"] == R"(lock.release {"lock_id":1})");
}

TEST_CASE_METHOD(shown_state, "status tells of reviews and merges that do not go on", "[status]") {
  add_session();
  sql("INSERT INTO merge_requests VALUES(5, 1, 'rejected', NULL, NULL, 0, 0);"
      "INSERT INTO merge_requests VALUES(6, 1, 'requested', NULL, NULL, 0, 0);"
      "INSERT INTO merge_requests VALUES(7, 1, 'in_review', NULL, NULL, 0, 0);"
      "INSERT INTO merge_main_queue(session_id, from_worktree_id, target_branch, "
      "merge_request_id, state, created_at, updated_at) VALUES(1, 1, 'main', 5, 'queued', 0, 0);"
      "INSERT INTO review_jobs(merge_request_id, session_id, state, created_at, updated_at, "
      "deadline) VALUES(6, 1, 'failed', 0, 0, 0), (6, 1, 'failed', 0, 0, 0), (6, 1, 'failed', 0, "
      "0, 0), (7, 1, 'running', 0, 0, 1)");
  auto kinds = problem_kinds();
  std::sort(kinds.begin(), kinds.end());
  CHECK(kinds == words{"merge_rejected", "no_server", "review_fails", "review_late"});
}

TEST_CASE_METHOD(shown_state, "status tells of what never reached an agent", "[status]") {
  add_session();
  add_thread(2, "stopped");
  add_thread(3, "running");
  sql("INSERT INTO inbox_messages(sender_thread_id, receiver_thread_id, message, status, "
      "created_at) VALUES(3, 2, 'x', 'pending', 0);"
      "INSERT INTO directives(thread_id, mode, text, state, created_at, updated_at) "
      "VALUES(3, 'queue', 'x', 'failed', 0, 0)");
  CHECK(problem_kinds() == words{"inbox_waits", "directive_failed"});
  sql("INSERT INTO directives(thread_id, mode, text, state, created_at, updated_at) "
      "VALUES(3, 'queue', 'x', 'seen', 0, 0)");
  CHECK(problem_kinds() == words{"inbox_waits"});
}

TEST_CASE_METHOD(shown_state, "status tells of worktrees that are gone from disk", "[status]") {
  auto& server = start();
  auto tree = contract::open_on(server)["session_root_worktree"];
  std::filesystem::remove_all(tree["path"].get<std::string>());
  CHECK(status()["worktrees"][0]["missing"] == true);
  CHECK(only_problem()["kind"] == "worktree_missing");
}

TEST_CASE_METHOD(shown_state, "status says in one line why a state cannot be read", "[status]") {
  auto state = root / ".codex-orch" / "state.db";
  auto damage = GENERATE(0, 1, 2);
  if (damage == 0)
    write(state, "no database at all, but long enough to be taken for one");
  if (damage == 1)
    std::filesystem::create_directories(state);
  if (damage == 2) {
    REQUIRE(run_once("workspace.init").code == 0);
    sql("PRAGMA user_version = 1000000");
  }
  auto end = run({"status", "--repo", root.string()});
  CHECK(end.code == 1);
  CHECK(end.out.empty());
  CHECK(std::count(end.err.begin(), end.err.end(), '\n') == 1);
  CHECK(end.err.find("state.db") != std::string::npos);
}

TEST_CASE_METHOD(shown_state, "status --watch --json prints a line for each change", "[status]") {
  auto& server = start();
  server.ask("workspace.init");
  program watch{
    {ORCH_PROGRAM, "status", "--repo", root.string(), "--json", "--watch"}, base / "home", base};
  auto next = [&] { return json::parse(watch.next_line())["repositories"][0]; };
  CHECK(next()["sessions"].empty());
  auto session = contract::open_session_on(server);
  auto shown = next();
  while (shown["sessions"].empty())
    shown = next();
  CHECK(shown["sessions"][0]["id"] == session);
  watch.kill(SIGTERM);
  CHECK(watch.wait().code == 128 + SIGTERM);
}

TEST_CASE_METHOD(shown_state, "status shows names without what a terminal would obey", "[status]") {
  add_session();
  sql("UPDATE sessions SET agent_role = 'evil' || char(27) || '[2J' || char(155) || char(127)");
  for (const words& options : {words{}, words{"--json"}}) {
    words arguments{"status", "--repo", root.string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    auto end = run(arguments);
    CHECK(end.out.find("evil") != std::string::npos);
    CHECK(end.out.find('\x1b') == std::string::npos);
    CHECK(end.out.find('\x7f') == std::string::npos);
    CHECK(end.out.find("\xc2\x9b") == std::string::npos);
  }
}
