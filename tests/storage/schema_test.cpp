#include "state_fixture.hpp"
#include "storage/schema.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace orch;

namespace {

/// Dies in the middle of a transaction that has reached the file already.
void die_while_writing(const std::filesystem::path& file) {
  auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    sqlite3* db = nullptr;
    sqlite3_open(file.c_str(), &db);
    sqlite3_exec(db,
                 "PRAGMA cache_size = 5; BEGIN IMMEDIATE; CREATE TABLE half(x); WITH RECURSIVE "
                 "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO half "
                 "SELECT randomblob(500) FROM n",
                 nullptr, nullptr, nullptr);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

} // namespace

TEST_CASE_METHOD(state_fixture, "a state whose maker was killed in the middle is made anew",
                 "[schema]") {
  auto file = directory.path / "killed.db";
  die_while_writing(file);
  REQUIRE(std::filesystem::file_size(file) > 0);
  REQUIRE(std::filesystem::exists(file.string() + "-journal"));
  auto db = open_state(file);
  CHECK(db->raw().execAndGet("PRAGMA user_version").getInt64() == schema_version);
  CHECK_FALSE(db->raw().tableExists("half"));
}
