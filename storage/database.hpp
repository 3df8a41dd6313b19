#pragma once

// Only storage/ includes SQLiteCpp.

#include "messages/record.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orch {

/// A prepared statement taken from the cache; given back, reset, when it goes out of scope.
class cached_statement {
public:
  explicit cached_statement(SQLite::Statement& statement) : statement_{&statement} {}
  cached_statement(const cached_statement&) = delete;
  cached_statement& operator=(const cached_statement&) = delete;
  ~cached_statement();

  SQLite::Statement* operator->() { return statement_; }
  SQLite::Statement& operator*() { return *statement_; }

private:
  SQLite::Statement* statement_;
};

/// One connection to a database file, with its prepared statements. For one thread at a time.
class database {
public:
  enum class mode : uint8_t { read, write };

  /// Opens `path`; `write` creates it if missing. WAL and synchronous=FULL are set for writers.
  /// Throws `SQLite::Exception`.
  database(const std::filesystem::path& path, mode how);
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// From now on a COMMIT leaves it to `sync_log` to make it durable. Between the two other
  /// processes may write, and when several of them sync the same log the disk does it once for all.
  void sync_later();

  /// Returns once everything committed so far, by whatever process, is on the disk: the log is one
  /// file, and a commit in it counts only if all before it are there. Throws `std::system_error`.
  void sync_log();

  cached_statement prepare(const std::string& sql);

  /// Runs one or more statements that are not worth keeping prepared.
  void exec(const std::string& sql) { raw_.exec(sql); }

  SQLite::Database& raw() { return raw_; }

private:
  SQLite::Database raw_;
  std::filesystem::path path_;
  int log_ = -1; ///< the write-ahead log
  std::unordered_map<std::string, std::unique_ptr<SQLite::Statement>> prepared_;
};

void bind_value(SQLite::Statement& to, int index, int64_t value);
void bind_value(SQLite::Statement& to, int index, std::string_view value);
void bind_value(SQLite::Statement& to, int index, timestamp value);
void bind_value(SQLite::Statement& to, int index, std::nullopt_t);

template <class T>
void bind_value(SQLite::Statement& to, int index, const std::optional<T>& value) {
  if (value)
    bind_value(to, index, *value);
  else
    bind_value(to, index, std::nullopt);
}

template <class... Args>
void bind_all(SQLite::Statement& to, const Args&... args) {
  int index = 0;
  (bind_value(to, ++index, args), ...);
}

/// "id, level, ...": the columns of a record, ready for a SELECT.
const std::string& columns_of(const record_shape& shape);

/// Reads the current row of a query that selected `columns_of(shape)`.
void read_row(SQLite::Statement& from, const record_shape& shape, void* record);

/// Binds the columns but `id`, in order, from index 1 on; returns the next free index.
int bind_row(SQLite::Statement& to, const record_shape& shape, const void* record);

/// "INSERT INTO table(...) VALUES(...)" and "UPDATE table SET ... WHERE id = ?".
std::string insert_sql(std::string_view table, const record_shape& shape);
std::string update_sql(std::string_view table, const record_shape& shape);

} // namespace orch
