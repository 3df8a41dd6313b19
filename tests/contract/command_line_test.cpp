#include "client.hpp"

#include <sqlite3.h>

using namespace orch::test;

namespace {

/// Runs SQL on a database file.
void run_sql(const path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

void check_refused(const ended& end) {
  INFO(end.err);
  CHECK(end.code == 2);
  CHECK(end.out.empty());
  CHECK(std::count(end.err.begin(), end.err.end(), '\n') == 1);
}

} // namespace

TEST_CASE_METHOD(sandbox, "once prints a result and ends with 0", "[command line]") {
  auto end = run_once("task.create", R"({"level":"epic","title":"x"})");
  CHECK(end.code == 0);
  CHECK(end.err.empty());
  CHECK(json::parse(end.out).dump().find("\"title\":\"x\"") != std::string::npos);
  CHECK(std::count(end.out.begin(), end.out.end(), '\n') > 3);
}

TEST_CASE_METHOD(sandbox, "once prints an error and ends with 1", "[command line]") {
  auto [method, params, code] = GENERATE(
    table<std::string, std::string, std::string>({{"task.get", R"({"task_id":9})", "not_found"},
                                                  {"nope", "{}", "method_not_found"},
                                                  {"task.get", "{}", "invalid_params"},
                                                  {"task.get", "{", "parse_error"},
                                                  {"task.get", "[]", "invalid_request"}}));
  auto end = run_once(method, params);
  CHECK(end.code == 1);
  CHECK(end.out.find(code) != std::string::npos);
}

TEST_CASE_METHOD(sandbox, "the older options of serve and once still work", "[command line]") {
  auto end = run({"--mode", "once", "--repo", root.string(), "--method", "workspace.init"});
  CHECK(end.code == 0);
  end = run({"--mode", "serve", "--repo", root.string()}, R"({"id":1,"method":"workspace.init"})");
  CHECK(end.code == 0);
  CHECK(json::parse(end.out)["id"] == 1);
}

TEST_CASE_METHOD(sandbox, "the state is shared by all worktrees and directories",
                 "[command line]") {
  write(root / "deep" / "er" / "x", "x");
  git({"worktree", "add", "--quiet", (base / "linked").string(), "-b", "side"});
  for (const auto& directory : {root / "deep" / "er", base / "linked"}) {
    auto other = start_in(directory);
    CHECK(other->ask("workspace.init")["repo_path"] == root.string());
    CHECK(other->ask("workspace.init")["db_path"] == (root / ".codex-orch/state.db").string());
  }
  CHECK_FALSE(std::filesystem::exists(base / "linked" / ".codex-orch"));
}

TEST_CASE_METHOD(sandbox, "a directory that is no repository is refused", "[command line]") {
  std::filesystem::create_directories(base / "plain");
  auto mode = GENERATE(as<std::string>{}, "serve", "once");
  check_refused(run({mode, "--repo", (base / "plain").string(), "--method", "workspace.init"}));
  CHECK(std::filesystem::is_empty(base / "plain"));
}

TEST_CASE_METHOD(sandbox, "a directory that does not exist is refused and not made",
                 "[command line]") {
  check_refused(run({"serve", "--repo", (base / "missing").string()}));
  CHECK_FALSE(std::filesystem::exists(base / "missing"));
}

TEST_CASE_METHOD(sandbox, "a database of a newer version is refused and left alone",
                 "[command line]") {
  run_once("workspace.init");
  auto file = root / ".codex-orch" / "state.db";
  run_sql(file, "PRAGMA user_version = 999; PRAGMA journal_mode = DELETE");
  auto before = read(file);
  check_refused(run({"serve", "--repo", root.string()}));
  CHECK(read(file) == before);
}

TEST_CASE_METHOD(sandbox, "a corrupt database is refused and left alone", "[command line]") {
  auto file = root / ".codex-orch" / "state.db";
  auto content =
    GENERATE(as<std::string>{}, "this is no database, whatever its name is\n", "SQLite format 3");
  content.resize(8'192, 'z');
  write(file, content);
  check_refused(run({"serve", "--repo", root.string()}));
  CHECK(read(file) == content);
}

TEST_CASE_METHOD(sandbox, "wrong options are refused", "[command line]") {
  auto option = GENERATE(as<std::string>{}, "--no-such-option", "--tools=nobody", "--window=0",
                         "--log-level=loud");
  auto end = run({"serve", "--repo", root.string(), option});
  CHECK(end.code != 0);
  CHECK(end.out.empty());
  CHECK_FALSE(end.err.empty());
}

TEST_CASE_METHOD(sandbox, "methods lists every method with what it takes", "[command line]") {
  auto end = run({"methods"});
  CHECK(end.code == 0);
  for (const auto& method : method_table()) {
    CHECK_THAT(end.out, Catch::Contains(method["name"].get<std::string>()));
    for (const char* member : {"params", "result", "owner", "description"})
      CHECK(method.contains(member));
  }
}

TEST_CASE_METHOD(sandbox, "help explains each method", "[command line]") {
  for (const auto& method : method_table()) {
    auto end = run({"help", method["name"]});
    CHECK(end.code == 0);
    auto properties = method["params"].value("properties", json::object());
    for (const auto& [name, schema] : properties.items())
      CHECK_THAT(end.out, Catch::Contains(name));
  }
}

TEST_CASE_METHOD(sandbox, "serve --optional-repo says that there is no repository",
                 "[command line]") {
  auto elsewhere = root.parent_path() / "elsewhere";
  std::filesystem::create_directories(elsewhere);
  auto lonely = start_in(elsewhere, {"--optional-repo"});
  CHECK(result_of(lonely->rpc("ping")) == json::object());
  CHECK(result_of(lonely->rpc("tools/list"))["tools"].size() > 10);
  auto refused = lonely->tool("task_list");
  CHECK(refused["isError"] == true);
  CHECK(refused["structuredContent"]["error"]["code"] == "failed_precondition");
  CHECK(lonely->finish().code == 0);
  CHECK_FALSE(std::filesystem::exists(elsewhere / ".codex-orch"));
}

TEST_CASE_METHOD(sandbox, "help names the members of what is nested", "[command line]") {
  CHECK_THAT(run({"help", "lock.acquire_many"}).out,
             Catch::Contains("list of {scope_type, scope_path, mode?}"));
}

TEST_CASE_METHOD(sandbox, "the options --version and --help answer with 0", "[command line]") {
  auto option = GENERATE(as<std::string>{}, "--version", "--help", "help");
  auto end = run({option});
  CHECK(end.code == 0);
  CHECK_FALSE(end.out.empty());
}

TEST_CASE_METHOD(sandbox, "the version comes with the commit", "[command line]") {
  auto said = run({"--version"}).out;
  INFO(said);
  auto end = said.find_first_not_of("0123456789.");
  CHECK(std::count(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(end), '.') == 2);
  CHECK((said.substr(end) == "\n" || said.substr(end, 2) == " ("));
}

TEST_CASE_METHOD(sandbox, "all files of the state are for their owner only", "[command line]") {
  auto state = root / ".codex-orch";
  {
    auto on = start_in(root);
    on->ask("workspace.init");
    on->ask("task.create", {{"level", "feature"}, {"title", "f"}});
    for (const auto& entry : std::filesystem::recursive_directory_iterator{state})
      if (entry.is_regular_file()) {
        INFO(entry.path());
        CHECK((entry.status().permissions() & std::filesystem::perms(077))
              == std::filesystem::perms::none);
      }
  }
  // As an earlier version has left it.
  std::filesystem::permissions(state / "state.db", std::filesystem::perms(0644));
  start_in(root)->ask("workspace.init");
  CHECK(std::filesystem::status(state / "state.db").permissions() == std::filesystem::perms(0600));
}

TEST_CASE_METHOD(sandbox, "the option --log-file names a file for the log", "[command line]") {
  auto log = base / "log.txt";
  run({"serve", "--repo", root.string(), "--log-level", "debug", "--log-file", log.string()},
      R"({"id":1,"method":"session.open"})");
  CHECK(std::filesystem::exists(log));
}
