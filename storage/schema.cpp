#include "storage/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <string_view>

namespace orch {

namespace {

// Times are microseconds since 1970 UTC. Ids are never reused (AUTOINCREMENT): a lock's id is its
// fencing token, and old answers name rows by id. Each index serves a list or a check; lists are
// read by `key > cursor` in index order.
constexpr std::string_view version_1 = R"sql(
CREATE TABLE tasks(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  level TEXT NOT NULL,
  parent_id INTEGER,
  title TEXT NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL,
  assignee_session TEXT,
  input_contract TEXT,
  fixtures TEXT,
  next_action TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX tasks_by_urgency ON tasks(priority DESC, updated_at, id);
CREATE INDEX tasks_by_state ON tasks(level, status, priority DESC, updated_at, id);
CREATE INDEX tasks_by_parent ON tasks(parent_id, priority DESC, updated_at, id)
  WHERE parent_id IS NOT NULL;

CREATE TABLE steps(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER NOT NULL,
  title TEXT NOT NULL,
  status TEXT NOT NULL,
  evidence TEXT,
  order_no INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL);
CREATE INDEX steps_by_order ON steps(task_id, order_no);
CREATE INDEX steps_planned ON steps(task_id, title, order_no) WHERE status = 'planned';

CREATE TABLE checkpoints(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER NOT NULL,
  step_title TEXT NOT NULL,
  snapshot TEXT NOT NULL,
  recorded_at INTEGER NOT NULL);
CREATE INDEX checkpoints_by_task ON checkpoints(task_id, id);

CREATE TABLE sessions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  agent_role TEXT NOT NULL,
  owner TEXT NOT NULL,
  repo_path TEXT NOT NULL,
  terminal_fingerprint TEXT,
  intent TEXT NOT NULL,
  main_worktree_id INTEGER,
  session_root_worktree_id INTEGER,
  root_thread_id INTEGER,
  tmux_session_name TEXT,
  runtime_state TEXT,
  started_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  status TEXT NOT NULL,
  heartbeat_timeout_seconds INTEGER NOT NULL DEFAULT 60,
  server_id INTEGER,            -- the server whose connection keeps it alive
  suspended_from TEXT,          -- the status that a sign of life brings back
  client TEXT,                  -- what the client said of itself
  earlier TEXT);                -- columns of the first implementation that have no place here
CREATE INDEX sessions_by_server ON sessions(server_id) WHERE server_id IS NOT NULL;
CREATE INDEX sessions_open ON sessions(id) WHERE status <> 'closed';
CREATE INDEX sessions_by_status ON sessions(status, id);

CREATE TABLE current_refs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id INTEGER NOT NULL,
  node_type TEXT NOT NULL,
  node_id INTEGER NOT NULL,
  checkpoint_id INTEGER,
  mode TEXT NOT NULL,
  status TEXT NOT NULL,
  next_action TEXT,
  summary TEXT,
  required_files TEXT,
  acked_at INTEGER,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE UNIQUE INDEX current_refs_active ON current_refs(session_id) WHERE status = 'active';
CREATE INDEX current_refs_by_node ON current_refs(node_type, node_id) WHERE status = 'active';

CREATE TABLE session_handoffs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  from_session_id INTEGER NOT NULL,
  to_session_id INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  completed_at INTEGER);
CREATE INDEX session_handoffs_by_source ON session_handoffs(from_session_id);

CREATE TABLE worktrees(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER,
  path TEXT NOT NULL,
  branch TEXT NOT NULL,
  status TEXT NOT NULL,
  kind TEXT NOT NULL,
  parent_worktree_id INTEGER,
  owner_session_id INTEGER,
  merge_state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  merged_at INTEGER,
  base_commit TEXT,
  slug TEXT);
CREATE INDEX worktrees_by_slug ON worktrees(slug) WHERE slug IS NOT NULL;
CREATE INDEX worktrees_by_status ON worktrees(status, id);
CREATE INDEX worktrees_by_owner ON worktrees(owner_session_id, id);
CREATE INDEX worktrees_by_parent ON worktrees(parent_worktree_id)
  WHERE parent_worktree_id IS NOT NULL;
CREATE INDEX worktrees_by_path ON worktrees(path) WHERE status <> 'removed';
CREATE INDEX worktrees_by_branch ON worktrees(branch) WHERE status <> 'removed';

-- What is being done outside the database. A row whose server is dead is undone by the next one.
CREATE TABLE intents(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  server_id INTEGER NOT NULL,
  path TEXT NOT NULL,
  branch TEXT NOT NULL,
  base_commit TEXT NOT NULL,
  request_key TEXT,
  created_at INTEGER NOT NULL);

CREATE TABLE locks(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  scope_type TEXT NOT NULL,
  scope_path TEXT NOT NULL,
  owner_session TEXT NOT NULL,
  mode TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  ttl_seconds INTEGER NOT NULL DEFAULT 600);
CREATE INDEX locks_by_path ON locks(scope_path, id) WHERE state = 'active';
CREATE INDEX locks_by_owner ON locks(owner_session, id) WHERE state = 'active';
CREATE INDEX locks_by_lease ON locks(lease_until) WHERE state = 'active';
CREATE INDEX locks_active ON locks(id) WHERE state = 'active';

-- Who waits for locks (kind lock) or for the main merge lock (kind main); the id is the order.
CREATE TABLE waiters(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  owner_session TEXT NOT NULL,
  scopes TEXT NOT NULL,
  ttl_seconds INTEGER NOT NULL,
  server_id INTEGER NOT NULL,
  state TEXT NOT NULL,
  lock_ids TEXT,
  created_at INTEGER NOT NULL);

CREATE TABLE graph_nodes(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node_type TEXT NOT NULL,
  facet TEXT NOT NULL,
  title TEXT NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL,
  parent_id INTEGER,
  worktree_id INTEGER,
  owner_session_id INTEGER,
  summary TEXT,
  risk_level INTEGER,
  token_estimate INTEGER,
  affected_files TEXT,
  approval_state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX graph_nodes_by_urgency ON graph_nodes(priority DESC, updated_at, id);
CREATE INDEX graph_nodes_by_status ON graph_nodes(status, priority DESC, updated_at, id);
CREATE INDEX graph_nodes_by_type ON graph_nodes(node_type, priority DESC, updated_at, id);
CREATE INDEX graph_nodes_by_facet ON graph_nodes(facet, priority DESC, updated_at, id);
CREATE INDEX graph_nodes_by_parent ON graph_nodes(parent_id, priority DESC, updated_at, id)
  WHERE parent_id IS NOT NULL;

CREATE TABLE graph_edges(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  from_node_id INTEGER NOT NULL,
  to_node_id INTEGER NOT NULL,
  edge_type TEXT NOT NULL,
  created_at INTEGER NOT NULL);
CREATE INDEX graph_edges_from ON graph_edges(from_node_id, edge_type, to_node_id);
CREATE INDEX graph_edges_to ON graph_edges(to_node_id, edge_type, from_node_id);

CREATE TABLE node_checklists(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node_id INTEGER NOT NULL,
  item_text TEXT NOT NULL,
  status TEXT NOT NULL,
  order_no INTEGER NOT NULL,
  facet TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX node_checklists_by_place ON node_checklists(node_id, facet, order_no);

CREATE TABLE node_snapshots(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node_id INTEGER NOT NULL,
  snapshot_type TEXT NOT NULL,
  summary TEXT,
  affected_files TEXT,
  next_action TEXT,
  created_at INTEGER NOT NULL);
CREATE INDEX node_snapshots_by_node ON node_snapshots(node_id, id);

CREATE TABLE planning_rules(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  max_token_per_slice INTEGER NOT NULL,
  max_files_per_slice INTEGER NOT NULL,
  replan_triggers TEXT NOT NULL,
  approval_policy TEXT NOT NULL,
  updated_at INTEGER NOT NULL);

CREATE TABLE merge_requests(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  feature_task_id INTEGER NOT NULL,
  status TEXT NOT NULL,
  reviewer_session TEXT,
  notes TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX merge_requests_by_feature ON merge_requests(feature_task_id, id);

CREATE TABLE merge_main_queue(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id INTEGER NOT NULL,
  from_worktree_id INTEGER NOT NULL,
  target_branch TEXT NOT NULL,
  merge_request_id INTEGER,
  priority INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  head_sha TEXT,
  merge_commit TEXT,
  error_message TEXT,
  started_at INTEGER,
  completed_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX merge_main_queue_by_state ON merge_main_queue(state, priority DESC, id);
CREATE INDEX merge_main_queue_by_request ON merge_main_queue(merge_request_id, id)
  WHERE merge_request_id IS NOT NULL;

CREATE TABLE merge_main_lock(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  holder_session_id INTEGER,
  lease_until INTEGER,
  state TEXT NOT NULL,
  updated_at INTEGER NOT NULL);

CREATE TABLE threads(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id INTEGER NOT NULL,
  parent_thread_id INTEGER,
  role TEXT NOT NULL,
  status TEXT NOT NULL,
  title TEXT,
  objective TEXT,
  worktree_id INTEGER,
  provider TEXT NOT NULL,
  agent_guide_path TEXT,
  agent_override TEXT,
  task_spec TEXT,
  scope_task_ids TEXT,
  scope_case_ids TEXT,
  scope_node_ids TEXT,
  tmux_session_name TEXT,
  tmux_window_name TEXT,
  tmux_pane_id TEXT,
  launch_command TEXT,
  log_file_path TEXT,
  agent_session_id TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  updated_at INTEGER NOT NULL);
CREATE INDEX threads_by_session ON threads(session_id, id);

CREATE TABLE review_jobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  merge_request_id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  reviewer_thread_id INTEGER,
  state TEXT NOT NULL,
  notes TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  completed_at INTEGER);
CREATE INDEX review_jobs_by_request ON review_jobs(merge_request_id, id);

CREATE TABLE inbox_messages(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sender_thread_id INTEGER NOT NULL,
  receiver_thread_id INTEGER NOT NULL,
  message TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  delivered_at INTEGER);
CREATE INDEX inbox_messages_by_receiver ON inbox_messages(receiver_thread_id, status, id);

CREATE TABLE runtime_prereq_events(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id INTEGER,
  requirement TEXT NOT NULL,
  status TEXT NOT NULL,
  detail TEXT,
  created_at INTEGER NOT NULL);

CREATE TABLE mirror_meta(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  db_version INTEGER NOT NULL,
  md_version INTEGER NOT NULL,
  md_path TEXT NOT NULL,
  updated_at INTEGER NOT NULL);

-- First answers, for requests that are sent again.
CREATE TABLE request_keys(
  request_key TEXT PRIMARY KEY,
  method TEXT NOT NULL,
  params TEXT NOT NULL,
  answer TEXT,                  -- NULL while it is being done
  server_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX request_keys_by_age ON request_keys(created_at);
)sql";

constexpr std::string_view first_rows = R"sql(
INSERT OR IGNORE INTO mirror_meta VALUES(1, 0, 0, '', 0);
INSERT OR IGNORE INTO merge_main_lock VALUES(1, NULL, NULL, 'unlocked', 0);
INSERT OR IGNORE INTO planning_rules
  VALUES(1, 18000, 12, '["context_overflow","scope_change","blocked"]', 'merge-agent-required', 0);
)sql";

int64_t version_of(database& db) {
  return db.raw().execAndGet("PRAGMA user_version").getInt64();
}

bool has_table(database& db, const std::string& name) {
  auto query = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  query->bind(1, name);
  return query->executeStep();
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
    db.exec(std::string{version_1});
    if (from_first_implementation)
      import_first_implementation(db);
    db.exec(std::string{first_rows});
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
  std::filesystem::rename(unfinished, copy);
}

/// Looks without changing a byte: journal_mode and the like come only after this.
struct found_state {
  int64_t version = 0;
  bool first_implementation = false;
};

found_state inspect(const std::filesystem::path& path) {
  SQLite::Database db{path.string(), SQLite::OPEN_READONLY, 60'000};
  auto version = db.execAndGet("PRAGMA user_version").getInt64();
  auto tables = db.execAndGet("SELECT count(*) FROM sqlite_master").getInt64();
  if (version == 0 && tables > 0 && !db.tableExists("tasks"))
    throw std::runtime_error{"it holds another program's tables"};
  return {version, version == 0 && tables > 0};
}

} // namespace

std::unique_ptr<database> open_state(const std::filesystem::path& path) {
  try {
    found_state found;
    if (std::filesystem::exists(path) && std::filesystem::file_size(path) > 0)
      found = inspect(path);
    if (found.version > schema_version)
      throw std::runtime_error{fmt::format(
        "its schema version {} is newer than this program's {}; update codex-orchestrator",
        found.version, schema_version)};
    if (found.first_implementation)
      keep_copy(path, found.version);
    auto db = std::make_unique<database>(path, database::mode::write);
    if (version_of(*db) < schema_version)
      migrate(*db, has_table(*db, "tasks"));
    return db;
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("cannot use {}: {}", path.string(), e.what())};
  }
}

} // namespace orch
