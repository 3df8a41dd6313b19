#include "limits.hpp"

#include "clock.hpp"
#include "round_trip.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <unistd.h>

#include <random>
#include <system_error>

namespace bench {

namespace {

constexpr int rows_to_read = 10'000;

/// Calls `work`, which does `each` things at a time, for so long; things a second.
template <class Work>
double rate_of(double seconds, int each, Work work) {
  auto start = steady::now();
  double passed = 0;
  int64_t count = 0;
  do {
    // The clock costs more than the quickest of the things measured.
    for (int i = 0; i < 4; ++i)
      work();
    count += 4LL * each;
    check_interrupted();
    passed = seconds_since(start);
  } while (passed < seconds);
  return static_cast<double>(count) / passed;
}

double fdatasync_rate(const std::filesystem::path& dir, double seconds) {
  auto file = dir / "appended";
  auto fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  std::string page(4096, 'x');
  auto rate = rate_of(seconds, 1, [&] {
    if (::write(fd, page.data(), page.size()) < 0 || ::fdatasync(fd) != 0)
      throw std::system_error{errno, std::generic_category(), "fdatasync"};
  });
  ::close(fd);
  std::filesystem::remove(file);
  return rate;
}

/// A table like the server's tasks, without its indexes.
SQLite::Database open_database(const std::filesystem::path& file) {
  SQLite::Database db{file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
  db.exec("PRAGMA journal_mode=WAL");
  db.exec("PRAGMA synchronous=FULL");
  // As in a server that has run for a while: a log that need not grow takes half the time to sync.
  db.exec("CREATE TABLE filler(x); INSERT INTO filler VALUES(zeroblob(8000000)); PRAGMA "
          "wal_checkpoint(TRUNCATE); UPDATE filler SET x = zeroblob(8000000); PRAGMA "
          "wal_checkpoint(RESTART)");
  db.exec("CREATE TABLE tasks(id INTEGER PRIMARY KEY, level TEXT, parent_id INTEGER, title TEXT, "
          "status TEXT, priority INTEGER, assignee_session TEXT, input_contract TEXT, fixtures "
          "TEXT, next_action TEXT, created_at INTEGER, updated_at INTEGER)");
  return db;
}

struct inserter {
  explicit inserter(SQLite::Database& db)
    : begin{db, "BEGIN IMMEDIATE"}, commit{db, "COMMIT"}, savepoint{db, "SAVEPOINT request"},
      release{db, "RELEASE request"},
      insert{db, "INSERT INTO tasks(level, title, status, priority, created_at, updated_at) "
                 "VALUES('case', 'a task like any other', 'todo', 0, ?1, ?1)"} {}

  static void run(SQLite::Statement& statement) {
    statement.exec();
    statement.reset();
  }

  void transaction(int inserts) {
    run(begin);
    for (int i = 0; i < inserts; ++i) {
      if (inserts > 1)
        run(savepoint);
      insert.bind(1, static_cast<int64_t>(1'700'000'000'000'000 + i));
      run(insert);
      if (inserts > 1)
        run(release);
    }
    run(commit);
  }

  SQLite::Statement begin, commit, savepoint, release, insert;
};

/// A query through SQLite's own interface, which costs less than any wrapper.
class query {
public:
  query(SQLite::Database& db, const char* sql) {
    if (sqlite3_prepare_v2(db.getHandle(), sql, -1, &statement_, nullptr) != SQLITE_OK)
      throw std::runtime_error{db.getErrorMsg()};
  }
  ~query() { sqlite3_finalize(statement_); }
  query(const query&) = delete;
  query& operator=(const query&) = delete;

  void bind(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }

  void read_all() {
    while (sqlite3_step(statement_) == SQLITE_ROW)
      for (int i = 0; i < sqlite3_column_count(statement_); ++i)
        sqlite3_column_text(statement_, i);
    sqlite3_reset(statement_);
  }

private:
  sqlite3_stmt* statement_ = nullptr;
};

double select_rate(SQLite::Database& db, double seconds, int rows) {
  query rows_from{db, "SELECT * FROM tasks WHERE id >= ? ORDER BY id LIMIT ?"};
  std::minstd_rand random{1};
  rows_from.bind(2, rows);
  return rate_of(seconds, 1, [&] {
    rows_from.bind(1, static_cast<int64_t>(random() % (rows_to_read - 1'000)) + 1);
    rows_from.read_all();
  });
}

double point_select_rate(SQLite::Database& db, double seconds) {
  query row{db, "SELECT * FROM tasks WHERE id = ?"};
  std::minstd_rand random{1};
  return rate_of(seconds, 1, [&] {
    row.bind(1, static_cast<int64_t>(random() % rows_to_read) + 1);
    row.read_all();
  });
}

double parse_rate(double seconds) {
  const std::string line = R"({"id":12345,"method":"task.create","params":{"level":"case","title":)"
                           R"("a task like any other","priority":3,"parent_id":17}})";
  return rate_of(seconds, 1, [&] {
    if (!nlohmann::json::parse(line).is_object())
      throw std::logic_error{"the line is an object"};
  });
}

} // namespace

std::vector<limit> machine_limits::all() const {
  return {fdatasync, commit, grouped,    point_select,    page,
          long_page, parse,  round_trip, near_round_trip, far_round_trip};
}

double commit_rate(const std::filesystem::path& dir, double seconds) {
  auto file = dir / "commits.db";
  double rate = 0;
  {
    auto db = open_database(file);
    inserter writes{db};
    rate = rate_of(seconds, 1, [&] { writes.transaction(1); });
  }
  std::filesystem::remove(file);
  return rate;
}

machine_limits measure_limits(const std::filesystem::path& dir, double seconds) {
  machine_limits is;
  is.fdatasync.per_second = fdatasync_rate(dir, seconds);
  is.commit.per_second = commit_rate(dir, seconds);
  auto db = open_database(dir / "rows.db");
  inserter writes{db};
  is.grouped.per_second = rate_of(seconds, 256, [&] { writes.transaction(256); });
  writes.transaction(rows_to_read);
  is.point_select.per_second = point_select_rate(db, seconds);
  is.page.per_second = select_rate(db, seconds, 50);
  is.long_page.per_second = select_rate(db, seconds, 1'000);
  is.parse.per_second = parse_rate(seconds);
  is.round_trip.per_second = round_trip_rate(placement::anywhere, seconds);
  is.near_round_trip.per_second = round_trip_rate(placement::one_processor, seconds);
  is.far_round_trip.per_second = round_trip_rate(placement::two_processors, seconds);
  return is;
}

} // namespace bench
