#pragma once

#include "config/config.hpp"
#include "messages/method.hpp"
#include "storage/database.hpp"
#include "storage/in_hand.hpp"

#include <functional>
#include <initializer_list>
#include <utility>

namespace orch {

/// What an event is about: {"task_id", 5}. An id of 0 is none and is left out.
using named_id = std::pair<std::string_view, int64_t>;

/// `{"task_id":5}`
std::string ids_text(std::initializer_list<named_id> ids);

/// A change of state on its way into the table `events`.
struct noted_change {
  timestamp at;
  std::string_view kind; ///< a literal
  std::string ids;       ///< a JSON object
  std::optional<int64_t> session_id;
  std::optional<int64_t> thread_id;
};

/// What storage functions may know of the world around the database.
struct surroundings {
  std::filesystem::path repo_root; ///< the main work tree, absolute
  std::filesystem::path state_dir; ///< REPO/.codex-orch
  int64_t server = 0;              ///< this server's id among the servers of the repository
  int64_t own_thread = 0;          ///< the agent thread that has started this server; 0: none
  std::function<bool(int64_t)> alive = [](int64_t) { return true; }; ///< does that server live?
  /// Waits, not for ever, until the programs of a dead server have ended; false if they have not.
  std::function<bool(int64_t)> children_ended = [](int64_t) { return true; };
  in_hand doing;                  ///< what this server works on: "intent 7", "key abc", "waiter 9"
  std::function<timestamp()> now; ///< wall time
  std::function<void()> wake = [] {};        ///< tells waiters in all processes to look again
  std::function<void()> wake_events = [] {}; ///< the same for those who follow events
  int64_t keep_events_hours = 168;
  int64_t most_tokens_per_slice = 18'000; ///< planning rules (contract, section 5)
  int64_t most_files_per_slice = 12;
  int64_t own_worktree_from_score = 12; ///< scheduler.decide_worktree (contract, section 6)
  std::string main_branch;              ///< as configured; empty: found out each time
  merging_config merging;

  /// Is the server that has begun something, known by that name, still at it?
  bool at_work(int64_t server_id, const std::string& name) const {
    return server_id == server ? doing.has(name) : alive(server_id);
  }
};

class tx;

/// Is the caller still there and answered by this process? A client behind a bridge may have ended,
/// or be answered by another process by now.
bool is_answered_here(tx& t, const caller& from);

/// Throws unavailable if it is not: whoever was stopped meanwhile must not do for it what has been
/// done already.
void must_be_answered_here(tx& t, const caller& from);

/// What a storage function works with: rows, the time, and marks of what it did.
/// One request is one transaction; throwing undoes all of it.
class tx {
public:
  /// `earlier_changes`: of requests before this one in the same SQLite transaction.
  tx(database& db, const surroundings& around, int64_t earlier_changes = 0)
    : db{db}, around{around}, now{around.now()}, earlier_changes_{earlier_changes} {}

  database& db;
  const surroundings& around;
  const timestamp now;

  /// Whose request it is; events say so. Throws unavailable if the caller is not answered here any
  /// more.
  void asked_by(const caller& from) {
    must_be_answered_here(*this, from);
    done_for(from);
  }

  /// Whose request this belongs to, wherever that is answered by now.
  void done_for(const caller& from) {
    session_id_ = from.session_id;
    thread_id_ = from.thread_id;
  }

  /// Notes one change of state: raises db_version by one and makes one event, once for each call.
  /// `kind` is a literal: what changed and how, as in "task.created" (docs/events.md).
  void changed(std::string_view kind, std::initializer_list<named_id> ids = {}) {
    noted_.push_back({now, kind, ids_text(ids), session_id_, thread_id_});
  }
  int64_t changes() const { return std::ssize(noted_); }

  /// The changes, for whoever commits the transaction to write them down (`write_events`).
  std::vector<noted_change>& noted() { return noted_; }

  /// Changes of this transaction that db_version in the database does not show yet.
  int64_t unwritten_changes() const { return earlier_changes_ + changes(); }

  /// Notes that this server works on it; see `surroundings::at_work`.
  in_hand::token take_in_hand(const std::string& name) const { return around.doing.take(name); }

  /// After the commit, waiters in all processes look again.
  void wake_waiters() { wakes_ = true; }
  bool wakes() const { return wakes_; }

  /// Runs a statement; returns how many rows it changed.
  template <class... Args>
  int run(const std::string& sql, const Args&... args) {
    auto statement = db.prepare(sql);
    bind_all(*statement, args...);
    return statement->exec();
  }

  /// The first column of the first row as an integer, if there is a row and it is not NULL.
  template <class... Args>
  std::optional<int64_t> number(const std::string& sql, const Args&... args) {
    auto statement = db.prepare(sql);
    bind_all(*statement, args...);
    if (!statement->executeStep() || statement->getColumn(0).isNull())
      return {};
    return statement->getColumn(0).getInt64();
  }

  /// The first column of all rows, as with `RETURNING id`.
  template <class... Args>
  std::vector<int64_t> numbers(const std::string& sql, const Args&... args) {
    auto statement = db.prepare(sql);
    bind_all(*statement, args...);
    std::vector<int64_t> all;
    while (statement->executeStep())
      all.push_back(statement->getColumn(0).getInt64());
    return all;
  }

  /// Rows of `SELECT columns <tail>`; the tail starts with FROM.
  template <record T, class... Args>
  std::vector<T> select(std::string_view tail, const Args&... args) {
    const auto& shape = shape_of<T>();
    auto statement = db.prepare(select_head<T>() + std::string{tail});
    bind_all(*statement, args...);
    std::vector<T> rows;
    while (statement->executeStep())
      read_row(*statement, shape, &rows.emplace_back());
    return rows;
  }

  template <record T, class... Args>
  std::optional<T> first(std::string_view tail, const Args&... args) {
    const auto& shape = shape_of<T>();
    auto statement = db.prepare(select_head<T>() + std::string{tail});
    bind_all(*statement, args...);
    if (!statement->executeStep())
      return {};
    T row{};
    read_row(*statement, shape, &row);
    return row;
  }

  /// The row of that id; `what` names it in the error (not_found) when there is none.
  template <record T>
  T get(std::string_view table, int64_t id, std::string_view what) {
    auto row = find<T>(table, id);
    if (!row)
      throw no_such(what, id);
    return std::move(*row);
  }

  template <record T>
  std::optional<T> find(std::string_view table, int64_t id) {
    return first<T>("FROM " + std::string{table} + " WHERE id = ?", id);
  }

  bool exists(std::string_view table, int64_t id) {
    return number("SELECT 1 FROM " + std::string{table} + " WHERE id = ?", id).has_value();
  }

  /// Throws not_found unless there is such a row.
  void must_exist(std::string_view table, int64_t id, std::string_view what) {
    if (!exists(table, id))
      throw no_such(what, id);
  }

  /// Inserts all columns but the id, and fills in the id. A record type has one table.
  template <record T>
  void insert(std::string_view table, T& row) {
    const auto& shape = shape_of<T>();
    static const auto sql = insert_sql(table, shape);
    auto statement = db.prepare(sql);
    bind_row(*statement, shape, &row);
    statement->exec();
    row.id = db.raw().getLastInsertRowid();
  }

  /// Writes all columns of the row with that id. A record type has one table.
  template <record T>
  void update(std::string_view table, const T& row) {
    const auto& shape = shape_of<T>();
    static const auto sql = update_sql(table, shape);
    auto statement = db.prepare(sql);
    auto index = bind_row(*statement, shape, &row);
    statement->bind(index, row.id);
    statement->exec();
  }

private:
  template <record T>
  static const std::string& select_head() {
    static const auto head = "SELECT " + columns_of(shape_of<T>()) + " ";
    return head;
  }

  int64_t earlier_changes_ = 0;
  std::vector<noted_change> noted_;
  std::optional<int64_t> session_id_;
  std::optional<int64_t> thread_id_;
  bool wakes_ = false;
};

/// db_version as the transaction sees it, its own changes included.
int64_t db_version(tx& t);

} // namespace orch
