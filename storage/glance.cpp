#include "storage/glance.hpp"

#include "storage/locks.hpp"
#include "storage/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <stdexcept>

namespace orch {

namespace {

/// Readers of a WAL database wait for nobody but a server that is recovering it.
constexpr int patience_ms = 100;

struct finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

using statement = std::unique_ptr<sqlite3_stmt, finalizer>;

[[noreturn]] void fail(sqlite3* db) {
  throw std::runtime_error{sqlite3_errmsg(db)};
}

statement prepare(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &made, nullptr) != SQLITE_OK)
    fail(db);
  return statement{made};
}

bool next_row(sqlite3* db, const statement& from) {
  auto code = sqlite3_step(from.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE)
    fail(db);
  return code == SQLITE_ROW;
}

std::string text_of(const statement& from, int column) {
  auto text = reinterpret_cast<const char*>(sqlite3_column_text(from.get(), column));
  return text ? text : "";
}

/// SQLite opens and reads whatever has one of its names, and would wait at a FIFO for ever.
void check_files(const std::filesystem::path& state) {
  for (auto suffix : {"", "-wal", "-shm", "-journal"}) {
    struct stat found {};
    auto name = state.string() + suffix;
    if (::stat(name.c_str(), &found) == 0 && !S_ISREG(found.st_mode))
      throw std::runtime_error{fmt::format("{} is no regular file", name)};
  }
}

void check_version(sqlite3* db) {
  auto query = prepare(db, "PRAGMA user_version");
  auto version = next_row(db, query) ? sqlite3_column_int64(query.get(), 0) : 0;
  if (version > schema_version)
    throw std::runtime_error{fmt::format(
      "its schema version {} is newer than this program's {}; update codex-orchestrator", version,
      schema_version)};
  if (version < 1)
    throw std::runtime_error{"no server has made it or brought it up to date yet"};
}

} // namespace

void glance::closer::operator()(sqlite3* db) const {
  sqlite3_close(db);
}

glance::glance(const std::filesystem::path& state) {
  check_files(state);
  sqlite3* opened = nullptr;
  auto code =
    sqlite3_open_v2(state.c_str(), &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  db_.reset(opened);
  if (code != SQLITE_OK)
    throw std::runtime_error{opened ? sqlite3_errmsg(opened) : "out of memory"};
  sqlite3_busy_timeout(opened, patience_ms);
  check_version(opened);
}

std::vector<worktree_place> glance::worktrees() const {
  auto query = prepare(db_.get(), "SELECT id, path, owner_session_id FROM worktrees "
                                  "WHERE status = 'active' AND kind <> 'main'");
  std::vector<worktree_place> all;
  while (next_row(db_.get(), query)) {
    worktree_place place{sqlite3_column_int64(query.get(), 0), text_of(query, 1), {}};
    if (sqlite3_column_type(query.get(), 2) != SQLITE_NULL)
      place.owner_session_id = sqlite3_column_int64(query.get(), 2);
    all.push_back(std::move(place));
  }
  return all;
}

std::vector<lock> glance::leases_on(const std::string& path, timestamp now) const {
  // What nobody has settled yet still says active, hence the look at the time.
  auto query =
    prepare(db_.get(), "SELECT id, scope_type, scope_path, owner_session, mode, lease_until "
                       "FROM locks WHERE state = 'active' AND scope_path = ?1 AND lease_until > ?2 "
                       "ORDER BY id");
  std::vector<lock> all;
  for (const auto& part : chain_of(path)) {
    sqlite3_reset(query.get());
    sqlite3_bind_text(query.get(), 1, part.c_str(), static_cast<int>(part.size()), SQLITE_STATIC);
    sqlite3_bind_int64(query.get(), 2, now.us);
    while (next_row(db_.get(), query)) {
      lock held;
      held.id = sqlite3_column_int64(query.get(), 0);
      held.scope_type = text_of(query, 1);
      held.scope_path = text_of(query, 2);
      held.owner_session = text_of(query, 3);
      held.mode = text_of(query, 4);
      held.lease_until.us = sqlite3_column_int64(query.get(), 5);
      held.state = "active";
      if (scopes_conflict({"file", path, "exclusive"},
                          {held.scope_type, held.scope_path, held.mode}))
        all.push_back(std::move(held));
    }
  }
  return all;
}

} // namespace orch
