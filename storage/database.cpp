#include "storage/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <mutex>
#include <system_error>

namespace orch {

namespace {

/// Callers queue at the turnstile before they write, so only foreign programs (a backup, the
/// sqlite3 shell) make us wait here, and they deserve more patience than the default of none.
constexpr int busy_timeout_ms = 60'000;

int open_flags(database::mode how) {
  // Each connection is used by one actor, thus by one thread at a time.
  return SQLITE_OPEN_NOMUTEX
         | (how == database::mode::read ? SQLite::OPEN_READONLY
                                        : SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
}

void read_value(const SQLite::Column& column, const value_type& type, void* at) {
  switch (type.what) {
  case kind::boolean:
    *static_cast<bool*>(at) = column.getInt() != 0;
    return;
  case kind::integer:
    *static_cast<int64_t*>(at) = column.getInt64();
    return;
  case kind::time:
    static_cast<timestamp*>(at)->us = column.getInt64();
    return;
  case kind::text:
    *static_cast<std::string*>(at) = column.getString();
    return;
  case kind::any:
    static_cast<raw_json*>(at)->text = column.getString();
    return;
  case kind::list:
    // Lists in columns are lists of texts, written by bind_field below or checked on upgrade.
    for (const auto& item : json::parse(column.getString()))
      *static_cast<std::string*>(type.push(at)) = item.get<std::string>();
    return;
  case kind::object:
    throw std::logic_error{"an object has no column"};
  }
}

std::string list_text(const value_type& type, const void* at) {
  std::string out = "[";
  auto count = type.size(at);
  for (std::size_t i = 0; i < count; ++i) {
    out += i > 0 ? "," : "";
    encode_text(out, *static_cast<const std::string*>(type.at(at, i)));
  }
  return out + "]";
}

void bind_field(SQLite::Statement& to, int index, const value_type& type, const void* at) {
  if (type.optional && !(at = type.peek(at))) {
    to.bind(index);
    return;
  }
  switch (type.what) {
  case kind::boolean:
    to.bind(index, *static_cast<const bool*>(at) ? 1 : 0);
    return;
  case kind::integer:
    to.bind(index, *static_cast<const int64_t*>(at));
    return;
  case kind::time:
    to.bind(index, static_cast<const timestamp*>(at)->us);
    return;
  case kind::text:
    to.bindNoCopy(index, *static_cast<const std::string*>(at));
    return;
  case kind::any:
    to.bindNoCopy(index, static_cast<const raw_json*>(at)->text);
    return;
  case kind::list:
    to.bind(index, list_text(type, at));
    return;
  case kind::object:
    throw std::logic_error{"an object has no column"};
  }
}

bool is_stored(const field& f) {
  return f.is_column && f.name != "id";
}

} // namespace

cached_statement::~cached_statement() {
  statement_->tryReset();
}

database::database(const std::filesystem::path& path, mode how)
  : raw_{path.string(), open_flags(how), busy_timeout_ms}, path_{path} {
  if (how == mode::read) {
    raw_.exec("PRAGMA query_only=ON");
    return;
  }
  raw_.exec("PRAGMA journal_mode=WAL");
  raw_.exec("PRAGMA synchronous=FULL");
  raw_.exec("PRAGMA wal_autocheckpoint=4000"); // pages: fewer pauses than the default of 1,000
  raw_.exec("PRAGMA foreign_keys=ON");
}

database::~database() {
  if (log_ >= 0)
    ::close(log_);
}

void database::sync_later() {
  // SQLite still syncs the log before it copies it into the database file, so that a power cut can
  // cost nothing but commits that `sync_log` has not confirmed.
  raw_.exec("PRAGMA synchronous=NORMAL");
}

void database::sync_log() {
  if (log_ < 0) {
    // SQLite deletes the log only when the last connection ends, so the name stays this file's.
    log_ = ::open((path_.string() + "-wal").c_str(), O_RDWR | O_CLOEXEC);
    if (log_ < 0)
      throw std::system_error{errno, std::generic_category(), "cannot open the write-ahead log"};
  }
  if (::fdatasync(log_) != 0)
    throw std::system_error{errno, std::generic_category(), "cannot sync the write-ahead log"};
}

cached_statement database::prepare(const std::string& sql) {
  auto& slot = prepared_[sql];
  if (!slot)
    slot = std::make_unique<SQLite::Statement>(raw_, sql);
  return cached_statement{*slot};
}

void bind_value(SQLite::Statement& to, int index, int64_t value) {
  to.bind(index, value);
}

void bind_value(SQLite::Statement& to, int index, std::string_view value) {
  to.bind(index, std::string{value});
}

void bind_value(SQLite::Statement& to, int index, timestamp value) {
  to.bind(index, value.us);
}

void bind_value(SQLite::Statement& to, int index, std::nullopt_t) {
  to.bind(index);
}

const std::string& columns_of(const record_shape& shape) {
  // A function-local cache, shared by all connections; shapes live for ever.
  static std::mutex guard;
  static std::unordered_map<const record_shape*, std::string> known;
  std::lock_guard lock{guard};
  auto& names = known[&shape];
  if (names.empty())
    for (const auto& f : shape.fields)
      if (f.is_column)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", f.name);
  return names;
}

void read_row(SQLite::Statement& from, const record_shape& shape, void* record) {
  int index = 0;
  for (const auto& f : shape.fields) {
    if (!f.is_column)
      continue;
    auto column = from.getColumn(index++);
    if (column.isNull())
      continue;
    auto at = member(record, f);
    read_value(column, *f.type, f.type->optional ? f.type->make(at) : at);
  }
}

int bind_row(SQLite::Statement& to, const record_shape& shape, const void* record) {
  int index = 0;
  for (const auto& f : shape.fields)
    if (is_stored(f))
      bind_field(to, ++index, *f.type, member(record, f));
  return index + 1;
}

std::string insert_sql(std::string_view table, const record_shape& shape) {
  std::string names;
  std::string marks;
  for (const auto& f : shape.fields) {
    if (!is_stored(f))
      continue;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", f.name);
    marks += marks.empty() ? "?" : ", ?";
  }
  return fmt::format("INSERT INTO {}({}) VALUES({})", table, names, marks);
}

std::string update_sql(std::string_view table, const record_shape& shape) {
  std::string changes;
  for (const auto& f : shape.fields)
    if (is_stored(f))
      changes += fmt::format("{}{} = ?", changes.empty() ? "" : ", ", f.name);
  return fmt::format("UPDATE {} SET {} WHERE id = ?", table, changes);
}

} // namespace orch
