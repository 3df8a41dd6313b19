#include "storage/overview.hpp"

#include "storage/locks.hpp"
#include "storage/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// The columns that are read came with this version of the schema.
constexpr int64_t least_version = 2;

/// Readers of a WAL database wait for nobody but a server that is recovering it.
constexpr int patience_ms = 100;

constexpr int most_attempts = 4;

constexpr std::string_view live =
  "('initializing', 'running', 'idle', 'waiting_user_answer', 'interrupted')";
constexpr std::string_view ended = "('completed', 'failed', 'stopped')";

/// Sessions that have not ended; said so that an index has it.
constexpr std::string_view open_session = "s.status <> 'closed' AND s.status <> 'handoff_attached'";

// --- The file ---------------------------------------------------------------------------------

/// A file as far as changes of it show.
struct file_trace {
  bool there = false;
  int64_t size = 0;
  int64_t changed_ns = 0;

  bool operator==(const file_trace&) const = default;
};

/// SQLite opens and reads whatever has one of its names, and would wait at a FIFO for ever.
file_trace trace_of(const std::string& name) {
  struct stat found {};
  if (::stat(name.c_str(), &found) != 0)
    return {};
  if (!S_ISREG(found.st_mode))
    throw std::runtime_error{fmt::format("{} is no regular file", name)};
  return {true, found.st_size, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
}

struct state_trace {
  file_trace main;
  file_trace log;
  file_trace journal;

  /// Everything is in the database file.
  bool at_rest() const { return log.size == 0 && !journal.there; }
  bool operator==(const state_trace&) const = default;
};

state_trace trace_of_state(const fs::path& state) {
  auto name = state.string();
  trace_of(name + "-shm");
  return {trace_of(name), trace_of(name + "-wal"), trace_of(name + "-journal")};
}

std::string in_uri(const std::string& path) {
  std::string out;
  for (unsigned char c : path)
    if (std::isalnum(c) != 0 || c == '/' || c == '-' || c == '_' || c == '.')
      out += static_cast<char>(c);
    else
      out += fmt::format("%{:02X}", c);
  return out;
}

/// SQLite makes the log and its index for a reader too, and leaves them there. Where there is
/// nothing in the log it is told that the file never changes; the caller sees whether that held.
SQLite::Database open_for_reading(const fs::path& state, bool at_rest) {
  auto uri =
    fmt::format("file:{}?mode=ro{}", in_uri(state.string()), at_rest ? "&immutable=1" : "");
  return {uri, SQLite::OPEN_READONLY | SQLite::OPEN_URI | SQLITE_OPEN_NOMUTEX, patience_ms};
}

template <class... Args>
int64_t number(SQLite::Database& db, const std::string& sql, const Args&... args) {
  SQLite::Statement query{db, sql};
  bind_all(query, args...);
  return query.executeStep() ? query.getColumn(0).getInt64() : 0;
}

/// The rows of a query whose columns are called as the fields of `T`.
template <record T, class... Args>
std::vector<T> rows(SQLite::Database& db, const std::string& sql, const Args&... args) {
  SQLite::Statement query{db, fmt::format("SELECT {} FROM ({}) ORDER BY id LIMIT {}",
                                          columns_of(shape_of<T>()), sql, most_overview_rows)};
  bind_all(query, args...);
  std::vector<T> all;
  while (query.executeStep())
    read_row(query, shape_of<T>(), &all.emplace_back());
  return all;
}

void check_version(SQLite::Database& db) {
  auto version = number(db, "PRAGMA user_version");
  if (version > schema_version)
    throw std::runtime_error{fmt::format(
      "its schema version {} is newer than this program's {}; update codex-orchestrator", version,
      schema_version)};
  if (version < least_version)
    throw std::runtime_error{"no server of this version has opened it yet; the next one brings it "
                             "up to date"};
}

// --- The rows ---------------------------------------------------------------------------------

/// A list of ids for SQL's `IN`; the ids of servers are numbers, so nothing needs quotes.
std::string in_list(const std::vector<int64_t>& ids) {
  return fmt::format("({})", fmt::join(ids, ","));
}

std::string lives_sql(const overview_facts& facts, const std::string& column) {
  return facts.servers ? fmt::format("({} IN {})", column, in_list(*facts.servers)) : "1";
}

std::vector<overview_session> read_sessions(SQLite::Database& db, const overview_facts& facts) {
  auto lives = lives_sql(facts, "s.server_id");
  auto sql = fmt::format(
    "SELECT s.id, s.agent_role AS role, s.owner, s.status, w.branch, s.root_thread_id, "
    "t.status AS root_status, s.started_at, s.last_seen_at, "
    "CASE WHEN s.server_id IS NULL THEN 'none' WHEN {0} THEN 'alive' ELSE 'dead' END AS server, "
    "s.status = 'suspended' OR (s.server_id IS NOT NULL AND NOT {0}) OR (s.server_id IS NULL "
    "AND s.last_seen_at + 1000000 * s.heartbeat_timeout_seconds < ?) AS silent, "
    "EXISTS (SELECT 1 FROM current_refs r WHERE r.session_id = s.id AND r.status = 'active') "
    "AS resumable FROM sessions s LEFT JOIN worktrees w ON w.id = s.session_root_worktree_id "
    "LEFT JOIN threads t ON t.id = s.root_thread_id WHERE {1}",
    lives, open_session);
  return rows<overview_session>(db, sql, facts.now);
}

/// A reviewer that failed is no longer worth a word once its merge request is decided or another
/// one is at it.
std::vector<overview_thread> read_threads(SQLite::Database& db) {
  return rows<overview_thread>(
    db,
    fmt::format(
      "SELECT id, session_id, parent_thread_id, role, title, status, provider, tmux_session_name "
      "AS tmux_session, tmux_pane_id AS pane, error_message, updated_at AS since FROM threads "
      "WHERE id IN (SELECT id FROM threads WHERE status IN {} UNION ALL SELECT t.id FROM sessions "
      "s JOIN threads t ON t.session_id = s.id WHERE t.status = 'failed' AND {} AND NOT EXISTS "
      "(SELECT 1 FROM review_jobs j JOIN merge_requests r ON r.id = j.merge_request_id WHERE "
      "j.reviewer_thread_id = t.id AND (r.status NOT IN ('requested', 'in_review') OR j.id < "
      "(SELECT max(id) FROM review_jobs WHERE merge_request_id = r.id))))",
      live, open_session));
}

std::vector<overview_merge> read_merges(SQLite::Database& db) {
  return rows<overview_merge>(
    db, fmt::format(
          "SELECT q.id, q.session_id, q.from_worktree_id, w.branch, q.target_branch, q.priority, "
          "q.state, q.merge_request_id, r.status AS review, q.error_message, q.created_at FROM "
          "merge_main_queue q LEFT JOIN worktrees w ON w.id = q.from_worktree_id LEFT JOIN "
          "merge_requests r ON r.id = q.merge_request_id WHERE q.state IN ('queued', 'merging') "
          "OR (q.state IN ('conflict', 'checks_failed', 'failed') AND EXISTS (SELECT 1 FROM "
          "sessions s WHERE s.id = q.session_id AND {}) AND NOT EXISTS (SELECT 1 FROM "
          "merge_main_queue n WHERE n.from_worktree_id = q.from_worktree_id AND n.id > q.id))",
          open_session));
}

std::vector<overview_review> read_reviews(SQLite::Database& db) {
  return rows<overview_review>(
    db, "SELECT j.id, j.merge_request_id, j.session_id, j.reviewer_thread_id, j.state, r.status "
        "AS request_status, j.deadline, j.error_message, j.created_at, (SELECT count(*) FROM "
        "review_jobs f WHERE f.merge_request_id = r.id AND f.state = 'failed' AND f.id > "
        "coalesce((SELECT max(id) FROM review_jobs c WHERE c.merge_request_id = r.id AND c.state = "
        "'completed'), 0)) AS failures FROM merge_requests r JOIN review_jobs j ON j.id = (SELECT "
        "max(id) FROM review_jobs WHERE merge_request_id = r.id) WHERE r.status IN ('requested', "
        "'in_review') OR j.state = 'running'");
}

std::vector<overview_worktree> read_worktrees(SQLite::Database& db, const overview_facts& facts) {
  auto all = rows<overview_worktree>(
    db, "SELECT id, owner_session_id AS session_id, path, branch, status, kind, merge_state, "
        "created_at FROM worktrees WHERE status NOT IN ('removed', 'planned') AND kind <> 'main'");
  for (auto& tree : all)
    tree.missing = !facts.is_directory(tree.path);
  return all;
}

std::optional<main_merge_lock> read_main_lock(SQLite::Database& db) {
  auto held = rows<main_merge_lock>(db, "SELECT * FROM merge_main_lock WHERE state = 'locked'");
  return held.empty() ? std::nullopt : std::optional{std::move(held.front())};
}

/// Somebody in line whose server lives.
struct standing_in_line {
  std::string owner;
  std::vector<lock_scope> scopes; ///< none: it waits for the main merge lock
};

std::vector<standing_in_line> read_line(SQLite::Database& db, const overview_facts& facts) {
  SQLite::Statement query{
    db, fmt::format("SELECT kind, owner_session, scopes FROM waiters WHERE state = 'waiting' AND "
                    "{} ORDER BY id LIMIT {}",
                    lives_sql(facts, "server_id"), most_overview_rows)};
  std::vector<standing_in_line> line;
  while (query.executeStep()) {
    standing_in_line one{query.getColumn(1).getString(), {}};
    if (query.getColumn(0).getString() == "lock")
      for (const auto& scope : json::parse(query.getColumn(2).getString()))
        one.scopes.push_back(from_json<lock_scope>(scope));
    line.push_back(std::move(one));
  }
  return line;
}

bool waits_for(const standing_in_line& one, const overview_lock& held) {
  lock_scope scope{held.scope, held.path, held.mode};
  return one.owner != held.holder
         && std::any_of(one.scopes.begin(), one.scopes.end(),
                        [&](const auto& wanted) { return scopes_conflict(wanted, scope); });
}

std::vector<overview_lock> read_locks(SQLite::Database& db,
                                      const std::vector<standing_in_line>& line) {
  auto all = rows<overview_lock>(
    db, "SELECT id, scope_path AS path, scope_type AS scope, mode, owner_session AS holder, "
        "lease_until FROM locks WHERE state = 'active'");
  for (auto& held : all)
    for (const auto& one : line)
      if (waits_for(one, held))
        held.waiters.push_back(one.owner);
  return all;
}

overview_counts read_counts(SQLite::Database& db) {
  overview_counts n;
  n.sessions = number(db, fmt::format("SELECT count(*) FROM sessions s WHERE {}", open_session));
  n.agents = number(db, fmt::format("SELECT count(*) FROM threads WHERE status IN {}", live));
  n.locks = number(db, "SELECT count(*) FROM locks WHERE state = 'active'");
  n.merges =
    number(db, "SELECT count(*) FROM merge_main_queue WHERE state IN ('queued', 'merging')");
  n.reviews = number(db, "SELECT count(*) FROM review_jobs WHERE state = 'running'");
  n.worktrees = number(db, "SELECT count(*) FROM worktrees WHERE status NOT IN ('removed', "
                           "'planned') AND kind <> 'main'");
  SQLite::Statement tasks{db, "SELECT status, count(*) FROM tasks GROUP BY status"};
  const std::map<std::string, int64_t overview_counts::*> places{
    {"todo", &overview_counts::tasks_todo},
    {"in_progress", &overview_counts::tasks_in_progress},
    {"blocked", &overview_counts::tasks_blocked},
    {"done", &overview_counts::tasks_done},
  };
  while (tasks.executeStep())
    if (auto place = places.find(tasks.getColumn(0).getString()); place != places.end())
      n.*(place->second) = tasks.getColumn(1).getInt64();
  return n;
}

// --- What they mean ---------------------------------------------------------------------------

/// Gathers problems; each judge looks at one sort of them.
class judges {
public:
  judges(const overview& of, const overview_facts& facts) : of_{of}, facts_{facts} {
    for (const auto& s : of.sessions)
      if (s.silent)
        silent_.insert(std::to_string(s.id));
  }

  void judge_threads() {
    for (const auto& t : of_.threads) {
      auto who = fmt::format("{} #{} of session #{}", t.role, t.id, t.session_id);
      json ids{{"thread_id", t.id}, {"session_id", t.session_id}};
      if (t.status == "waiting_user_answer")
        add({"needs_person", "agent_asks", who + " was last seen asking a person",
             raw_json{ids.dump()}, where_it_asks(t), t.since});
      else if (t.status == "failed")
        add({"stuck", "agent_failed", who + " has failed" + because(t.error_message),
             raw_json{ids.dump()},
             t.parent_thread_id
               ? fmt::format(R"(thread.child.spawn {{"session_id":{}}} starts another one)",
                             t.session_id)
               : fmt::format(R"(thread.root.ensure {{"session_id":{}}} launches it again)",
                             t.session_id),
             t.since});
    }
  }

  void judge_locks() {
    for (const auto& held : of_.locks) {
      auto over = held.lease_until <= facts_.now;
      if (held.waiters.empty() || !(over || silent_.contains(held.holder)))
        continue;
      auto why = over ? "its lease is over and no server has ended it"
                      : fmt::format("session #{} shows no sign of life", held.holder);
      add({"stuck", "lock_blocks",
           fmt::format("{} {} for {} (lock #{}): {}", and_others(held.waiters),
                       held.waiters.size() > 1 ? "wait" : "waits", held.path, held.id, why),
           raw_json{json{{"lock_id", held.id}}.dump()},
           fmt::format(R"(lock.release {{"lock_id":{}}})", held.id),
           over ? std::optional{held.lease_until} : std::nullopt});
    }
  }

  void judge_main_lock(bool waited_for) {
    if (!of_.main_lock || !of_.main_lock->holder_session_id)
      return;
    auto holder = *of_.main_lock->holder_session_id;
    if (!silent_.contains(std::to_string(holder)) || !(waited_for || of_.counts.merges > 0))
      return;
    add({"stuck", "main_lock_blocks",
         fmt::format("the main merge lock is held by session #{}, which shows no sign of life",
                     holder),
         raw_json{json{{"session_id", holder}}.dump()},
         fmt::format(R"(merge.main.release_lock {{"session_id":{}}})", holder),
         of_.main_lock->updated_at});
  }

  void judge_reviews() {
    for (const auto& r : of_.reviews) {
      auto ids = json{{"review_job_id", r.id},
                      {"merge_request_id", r.merge_request_id},
                      {"session_id", r.session_id}};
      if (r.state == "running" && r.deadline && *r.deadline <= facts_.now)
        add({"stuck", "review_late",
             fmt::format("review #{} of merge request #{} is past its deadline", r.id,
                         r.merge_request_id),
             raw_json{ids.dump()},
             fmt::format(R"(merge.review.thread_status {{"review_job_id":{}}}; a server ends it)",
                         r.id),
             r.deadline});
      else if (r.state != "running" && r.failures >= facts_.most_failed_reviews)
        add({"needs_person", "review_fails",
             fmt::format("merge request #{} had {} reviews without a verdict{}", r.merge_request_id,
                         r.failures, because(r.error_message)),
             raw_json{ids.dump()},
             fmt::format(R"(merge.review.request_auto {{"session_id":{},"merge_request_id":{}}})",
                         r.session_id, r.merge_request_id),
             r.created_at});
    }
  }

  void judge_merges() {
    for (const auto& m : of_.merges) {
      auto rejected = m.state == "queued" && m.review == "rejected";
      if (!rejected && (m.state == "queued" || m.state == "merging"))
        continue;
      json ids{{"request_id", m.id}, {"session_id", m.session_id}};
      if (m.merge_request_id)
        ids["merge_request_id"] = *m.merge_request_id;
      auto which = fmt::format("merge #{} of {}", m.id, m.branch.value_or("?"));
      add({"needs_person", rejected ? "merge_rejected" : "merge_failed",
           rejected ? which + " was rejected by its reviewer"
                    : fmt::format("{} ended as {}{}", which, m.state, because(m.error_message)),
           raw_json{ids.dump()},
           rejected ? fmt::format(R"(merge.main.cancel {{"request_id":{}}}, or mend it and )"
                                  R"(merge.review.request_auto)",
                                  m.id)
                    : fmt::format(R"(merge.main.request {{"session_id":{},"from_worktree_id":{}}})",
                                  m.session_id, m.from_worktree_id),
           m.created_at});
    }
  }

  void judge_worktrees() {
    for (const auto& tree : of_.worktrees)
      if (tree.missing)
        add({"stuck",
             "worktree_missing",
             fmt::format("worktree #{} is gone from disk: {}", tree.id, tree.path),
             raw_json{json{{"worktree_id", tree.id}}.dump()},
             R"(worktree.prune {"dry_run":false})",
             {}});
  }

  void judge_sessions() {
    for (const auto& s : of_.sessions)
      if (s.silent && plus_seconds(s.last_seen_at, long_silence_seconds) < facts_.now)
        add({"needs_person", "session_silent",
             fmt::format("session #{} ({}) shows no sign of life", s.id, s.role),
             raw_json{json{{"session_id", s.id}}.dump()},
             s.resumable
               ? fmt::format(R"(resume.candidates.attach {{"target_session_id":{}}} goes on)", s.id)
               : fmt::format(R"(session.cleanup {{"session_id":{}}} ends it)", s.id),
             s.last_seen_at});
  }

  void judge_inboxes(SQLite::Database& db) {
    SQLite::Statement query{
      db, fmt::format("SELECT m.receiver_thread_id, t.session_id, t.role, t.status, count(*), "
                      "min(m.created_at) FROM inbox_messages m JOIN threads t ON t.id = "
                      "m.receiver_thread_id JOIN sessions s ON s.id = t.session_id WHERE m.status "
                      "= 'pending' AND t.status IN {} AND {} GROUP BY m.receiver_thread_id LIMIT "
                      "{}",
                      ended, open_session, most_overview_rows)};
    while (query.executeStep()) {
      auto thread = query.getColumn(0).getInt64();
      auto count = query.getColumn(4).getInt64();
      add({"stuck", "inbox_waits",
           fmt::format("{} for {} #{}, which is {}",
                       count == 1 ? "a message waits" : fmt::format("{} messages wait", count),
                       query.getColumn(2).getString(), thread, query.getColumn(3).getString()),
           raw_json{
             json{{"thread_id", thread}, {"session_id", query.getColumn(1).getInt64()}}.dump()},
           fmt::format(R"(inbox.pending {{"receiver_thread_id":{}}} shows what)", thread),
           timestamp{query.getColumn(5).getInt64()}});
    }
  }

  /// Only the last word counts: what came after one that failed was seen.
  void judge_directives(SQLite::Database& db) {
    SQLite::Statement query{
      db, fmt::format("SELECT t.id, t.session_id, t.role, d.id, d.error_message, d.updated_at FROM "
                      "threads t JOIN directives d ON d.id = (SELECT max(id) FROM directives WHERE "
                      "thread_id = t.id) WHERE t.status IN {} AND d.state = 'failed' LIMIT {}",
                      live, most_overview_rows)};
    while (query.executeStep()) {
      auto thread = query.getColumn(0).getInt64();
      auto error =
        query.getColumn(4).isNull() ? std::nullopt : std::optional{query.getColumn(4).getString()};
      json ids{{"thread_id", thread},
               {"session_id", query.getColumn(1).getInt64()},
               {"directive_id", query.getColumn(3).getInt64()}};
      add({"stuck", "directive_failed",
           fmt::format("{} #{} never took directive #{}{}", query.getColumn(2).getString(), thread,
                       query.getColumn(3).getInt64(), because(error)),
           raw_json{ids.dump()},
           fmt::format(R"(thread.child.status {{"thread_id":{}}}, then thread.child.directive)",
                       thread),
           timestamp{query.getColumn(5).getInt64()}});
    }
  }

  /// What is on its way is brought by servers.
  void judge_servers(SQLite::Database& db) {
    if (!facts_.servers || !facts_.servers->empty())
      return;
    auto waiting = number(db, "SELECT count(*) FROM directives WHERE state IN ('stored', 'typed', "
                              "'submitted')")
                   + of_.counts.reviews;
    if (waiting > 0)
      add({"stuck",
           "no_server",
           "no server runs; directives and reviews are on their way and nobody brings them",
           raw_json{"{}"},
           "codex-orchestrator serve, or start an agent",
           {}});
  }

  std::vector<overview_problem> verdict() {
    std::stable_partition(problems_.begin(), problems_.end(),
                          [](const auto& p) { return p.severity == "needs_person"; });
    return std::move(problems_);
  }

private:
  void add(overview_problem p) { problems_.push_back(std::move(p)); }

  static std::string because(const std::optional<std::string>& error) {
    return error && !error->empty() ? ": " + *error : "";
  }

  /// Owners of leases are sessions, but any word will do.
  static std::string named(const std::string& owner) {
    auto is_id = owner.find_first_not_of("0123456789") == std::string::npos;
    return is_id ? "session #" + owner : owner;
  }

  static std::string and_others(const std::vector<std::string>& sessions) {
    auto rest = sessions.size() - 1;
    auto first = named(sessions.front());
    return rest == 0 ? first : fmt::format("{} and {} more", first, rest);
  }

  std::string where_it_asks(const overview_thread& t) const {
    if (!t.tmux_session)
      return fmt::format(R"(thread.attach_info {{"session_id":{}}})", t.session_id);
    auto pane = t.pane ? fmt::format(", pane {}", *t.pane) : "";
    return facts_.attach_command(*t.tmux_session) + pane;
  }

  const overview& of_;
  const overview_facts& facts_;
  std::set<std::string> silent_;
  std::vector<overview_problem> problems_;
};

overview read_all(SQLite::Database& db, const overview_facts& facts) {
  db.exec("BEGIN");
  check_version(db);
  overview all;
  all.at = facts.now;
  all.db_version = number(db, "SELECT db_version FROM mirror_meta WHERE id = 1");
  if (facts.servers) {
    all.clients = facts.clients;
    all.servers = std::ssize(*facts.servers) - facts.clients;
  }
  auto line = read_line(db, facts);
  all.counts = read_counts(db);
  all.counts.waiters = static_cast<int64_t>(line.size());
  all.sessions = read_sessions(db, facts);
  all.threads = read_threads(db);
  all.locks = read_locks(db, line);
  all.main_lock = read_main_lock(db);
  all.merges = read_merges(db);
  all.reviews = read_reviews(db);
  all.worktrees = read_worktrees(db, facts);
  judges judge{all, facts};
  judge.judge_threads();
  judge.judge_reviews();
  judge.judge_merges();
  judge.judge_sessions();
  judge.judge_locks();
  judge.judge_main_lock(
    std::any_of(line.begin(), line.end(), [](const auto& one) { return one.scopes.empty(); }));
  judge.judge_worktrees();
  judge.judge_inboxes(db);
  judge.judge_directives(db);
  judge.judge_servers(db);
  all.problems = judge.verdict();
  return all;
}

} // namespace

overview read_overview(const fs::path& state, const overview_facts& facts) {
  std::string why = "it changes all the time";
  for (auto attempt = 0; attempt < most_attempts; ++attempt) {
    auto before = trace_of_state(state);
    if (!before.main.there)
      throw std::runtime_error{"it does not exist"};
    try {
      auto db = open_for_reading(state, before.at_rest());
      auto all = read_all(db, facts);
      if (!before.at_rest() || trace_of_state(state) == before)
        return all;
    } catch (const SQLite::Exception& e) {
      why = e.what(); // perhaps only because a server has begun to write
    } catch (const request_error& e) {
      throw std::runtime_error{e.what()};
    } catch (const json::exception& e) {
      throw std::runtime_error{e.what()};
    }
  }
  throw std::runtime_error{why};
}

} // namespace orch
