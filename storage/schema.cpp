#include "storage/schema.hpp"

#include "storage/schema_steps.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orch {

namespace {

int64_t version_of(database& db) {
  return db.raw().execAndGet("PRAGMA user_version").getInt64();
}

std::vector<std::string> user_objects(database& db, const std::string& type) {
  auto query = db.prepare("SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE "
                          "'sqlite\\_%' ESCAPE '\\' AND sql IS NOT NULL");
  query->bind(1, type);
  std::vector<std::string> names;
  while (query->executeStep())
    names.push_back(query->getColumn(0).getString());
  return names;
}

/// Moves the first implementation's tables out of the way; its indexes would keep their names.
void set_aside_first_implementation(database& db) {
  for (const auto& index : user_objects(db, "index"))
    db.exec(fmt::format("DROP INDEX \"{}\"", index));
  for (const auto& table : user_objects(db, "table"))
    db.exec(fmt::format("ALTER TABLE \"{0}\" RENAME TO \"old_{0}\"", table));
}

void migrate(database& db, bool from_first_implementation) {
  // Renaming must not rewrite what refers to the old names; the old tables go away at the end.
  db.exec("PRAGMA foreign_keys=OFF");
  db.exec("PRAGMA legacy_alter_table=ON");
  db.exec("BEGIN IMMEDIATE");
  try {
    if (from_first_implementation)
      set_aside_first_implementation(db);
    // The import knows the tables of version 1.
    auto from = from_first_implementation ? 0 : version_of(db);
    for (auto version = from; version < schema_version; ++version) {
      db.exec(std::string{schema_steps()[static_cast<std::size_t>(version)]});
      if (version == 0 && from_first_implementation)
        import_first_implementation(db);
    }
    db.exec(std::string{rows_of_a_new_state()});
    db.exec(fmt::format("PRAGMA user_version={}", schema_version));
    db.exec("COMMIT");
  } catch (...) {
    db.exec("ROLLBACK");
    throw;
  }
  db.exec("PRAGMA legacy_alter_table=OFF");
  db.exec("PRAGMA foreign_keys=ON");
}

/// A copy as of now, taken through SQLite so that what is still in its journal is in it.
void keep_copy(const std::filesystem::path& path, int64_t version) {
  auto copy = path;
  copy += fmt::format(".before-v{}", schema_version);
  if (std::filesystem::exists(copy))
    return;
  auto unfinished = copy;
  unfinished += ".part";
  std::filesystem::remove(unfinished);
  SQLite::Database from{path.string(), SQLite::OPEN_READONLY, 60'000};
  SQLite::Statement query{from, "VACUUM INTO ?"};
  query.bind(1, unfinished.string());
  query.exec();
  SQLite::Database{unfinished.string(), SQLite::OPEN_READWRITE}.exec(
    fmt::format("PRAGMA user_version={}", version));
  ::chmod(unfinished.c_str(), 0600);
  std::filesystem::rename(unfinished, copy);
}

/// Looks without changing a byte: journal_mode and the like come only after this.
struct found_state {
  int64_t version = 0;
  bool first_implementation = false;
};

found_state inspect(const std::filesystem::path& path, int how = SQLite::OPEN_READONLY) {
  SQLite::Database db{path.string(), how, 60'000};
  auto version = db.execAndGet("PRAGMA user_version").getInt64();
  auto tables = db.execAndGet("SELECT count(*) FROM sqlite_master").getInt64();
  if (version == 0 && tables > 0 && !db.tableExists("tasks"))
    throw std::runtime_error{"it holds another program's tables"};
  return {version, version == 0 && tables > 0};
}

/// A process that was killed while it made the file leaves a journal that must be rolled back
/// before anybody can read; SQLite does that, but not for those who may not write.
found_state inspect_after_rollback(const std::filesystem::path& path) {
  try {
    return inspect(path);
  } catch (const SQLite::Exception& e) {
    if (e.getErrorCode() != SQLITE_READONLY)
      throw;
    return inspect(path, SQLite::OPEN_READWRITE);
  }
}

/// For its owner only, from the start: it holds what agents were told. SQLite gives its other files
/// the same mode. One that is there is not opened for this: to close it would end all locks that
/// this process has on it by another connection. A file of somebody else stays as it is.
void make_private(const std::filesystem::path& path) {
  auto made = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made >= 0) {
    ::close(made);
    return;
  }
  for (const auto* part : {"", "-wal", "-shm"})
    ::chmod((path.string() + part).c_str(), 0600);
}

} // namespace

std::unique_ptr<database> open_state(const std::filesystem::path& path) {
  try {
    make_private(path);
    found_state found;
    if (std::filesystem::exists(path) && std::filesystem::file_size(path) > 0)
      found = inspect_after_rollback(path);
    if (found.version > schema_version)
      throw std::runtime_error{fmt::format(
        "its schema version {} is newer than this program's {}; update codex-orchestrator",
        found.version, schema_version)};
    if (found.first_implementation || (found.version > 0 && found.version < schema_version))
      keep_copy(path, found.version);
    auto db = std::make_unique<database>(path, database::mode::write);
    if (version_of(*db) < schema_version)
      migrate(*db, found.first_implementation);
    return db;
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("cannot use {}: {}", path.string(), e.what())};
  }
}

} // namespace orch
