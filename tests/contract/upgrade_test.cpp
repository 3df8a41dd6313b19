#include "client.hpp"

#include <sqlite3.h>

#include <map>

using namespace orch::test;

namespace {

/// A database file, read with SQLite itself.
struct database_file {
  explicit database_file(const path& file) {
    REQUIRE(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
    sqlite3_busy_timeout(db, 10'000);
  }
  database_file(const database_file&) = delete;
  database_file& operator=(const database_file&) = delete;
  ~database_file() { sqlite3_close(db); }

  std::vector<words> rows(const std::string& sql) const {
    std::vector<words> found;
    auto add = [](void* to, int count, char** values, char**) {
      auto& row = static_cast<std::vector<words>*>(to)->emplace_back();
      for (int i = 0; i < count; ++i)
        row.emplace_back(values[i] ? values[i] : "NULL");
      return 0;
    };
    INFO(sql);
    REQUIRE(sqlite3_exec(db, sql.c_str(), add, &found, nullptr) == SQLITE_OK);
    return found;
  }

  words tables() const {
    words names;
    auto found = rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
                      "'sqlite_%' ORDER BY name");
    for (const auto& row : found)
      names.push_back(row[0]);
    return names;
  }

  std::map<std::string, std::string> counts(const words& tables) const {
    std::map<std::string, std::string> all;
    for (const auto& table : tables)
      all[table] = rows("SELECT count(*) FROM \"" + table + "\"")[0][0];
    return all;
  }

  sqlite3* db = nullptr;
};

struct upgrade : sandbox {
  upgrade() {
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::copy_file(path{ORCH_TEST_DATA} / fixture, file);
    std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
  }

  std::string fixture =
    GENERATE(as<std::string>{}, "state-go-v1.db", "state-go-v2.db", "state-v1.db");
  path file = root / ".codex-orch" / "state.db";
};

} // namespace

TEST_CASE_METHOD(upgrade, "the state of an earlier version keeps every row", "[upgrade]") {
  words tables;
  std::map<std::string, std::string> before;
  std::map<std::string, std::vector<words>> ids;
  {
    database_file old{file};
    tables = old.tables();
    before = old.counts(tables);
    for (const char* table : {"sessions", "tasks", "graph_nodes", "checkpoints", "worktrees"})
      ids[table] = old.rows(std::string{"SELECT id FROM "} + table + " ORDER BY id");
  }
  CHECK(start().finish().code == 0);
  database_file now{file};
  CHECK(now.counts(tables) == before);
  for (const auto& [table, rows] : ids)
    CHECK(now.rows("SELECT id FROM " + table + " ORDER BY id") == rows);
  CHECK(now.rows("PRAGMA integrity_check") == std::vector<words>{{"ok"}});
  CHECK(now.rows("PRAGMA foreign_key_check").empty());
}

TEST_CASE_METHOD(upgrade, "the state before the upgrade is kept beside it", "[upgrade]") {
  start().finish();
  words copies;
  for (const auto& entry : std::filesystem::directory_iterator{file.parent_path()})
    if (entry.path().filename().string().starts_with("state.db.before-v"))
      copies.push_back(entry.path());
  REQUIRE(copies.size() == 1);
  database_file kept{copies.front()};
  database_file original{path{ORCH_TEST_DATA} / fixture};
  CHECK(kept.tables() == original.tables());
  CHECK(kept.counts(kept.tables()) == original.counts(original.tables()));
}

TEST_CASE_METHOD(upgrade, "upgraded rows come out in the new form", "[upgrade]") {
  auto& server = start();
  auto tasks = server.ask("task.list")["tasks"];
  auto sessions = server.ask("session.list", {{"include_closed", true}})["sessions"];
  auto nodes = server.ask("graph.node.list")["nodes"];
  REQUIRE_FALSE(tasks.empty());
  REQUIRE_FALSE(sessions.empty());
  for (const auto& task : tasks) {
    CHECK(shape_of_time(task["created_at"]) == "time");
    CHECK(shape_of_time(task["updated_at"]) == "time");
    if (task.contains("input_contract"))
      CHECK_FALSE(task["input_contract"].is_string());
  }
  for (const auto& entry : sessions) {
    CHECK(shape_of_time(entry["session"]["started_at"]) == "time");
    CHECK(shape_of_time(entry["session"]["last_seen_at"]) == "time");
  }
  for (const auto& node : nodes)
    CHECK(shape_of_time(node["created_at"]) == "time");
}

TEST_CASE_METHOD(upgrade, "an upgraded state takes new work", "[upgrade]") {
  auto work = contract::begin_work_on(start());
  CHECK(work["case"].get<int64_t>() > 0);
}

TEST_CASE_METHOD(upgrade, "many servers may upgrade the state at the same moment", "[upgrade]") {
  words tables;
  std::map<std::string, std::string> before;
  {
    database_file old{file};
    tables = old.tables();
    before = old.counts(tables);
  }
  std::vector<server*> servers;
  for (int i = 0; i < 4; ++i)
    servers.push_back(&start());
  for (auto one : servers)
    CHECK(one->finish().code == 0);
  CHECK(database_file{file}.counts(tables) == before);
}
