#include "storage/schema_steps.hpp"

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

// Agents: what is needed to find a pane again and to launch it again; directives on their way into
// a pane; review jobs with their verdict. Those of earlier programs were never followed by anybody,
// and which pane is theirs cannot be told any more: numbers are used again.
constexpr std::string_view version_2 = R"sql(
ALTER TABLE threads ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threads ADD COLUMN error_message TEXT;
ALTER TABLE threads ADD COLUMN pane_pid INTEGER;
ALTER TABLE threads ADD COLUMN tmux_server_pid INTEGER;
ALTER TABLE threads ADD COLUMN transcript_path TEXT;
ALTER TABLE threads ADD COLUMN launch_spec TEXT;
ALTER TABLE threads ADD COLUMN child_session_name TEXT;
ALTER TABLE threads ADD COLUMN server_id INTEGER;
ALTER TABLE threads ADD COLUMN followed_by INTEGER;
ALTER TABLE threads ADD COLUMN has_first_prompt INTEGER NOT NULL DEFAULT 0;
CREATE INDEX threads_live ON threads(id)
  WHERE status IN ('initializing', 'running', 'idle', 'waiting_user_answer', 'interrupted');
CREATE INDEX threads_by_parent ON threads(parent_thread_id, id) WHERE parent_thread_id IS NOT NULL;
CREATE TABLE directives(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  thread_id INTEGER NOT NULL,
  mode TEXT NOT NULL,
  text TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  inbox_message_id INTEGER,
  error_message TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
CREATE INDEX directives_by_thread ON directives(thread_id, id);
CREATE INDEX directives_open ON directives(id) WHERE state IN ('stored', 'typed', 'submitted');
ALTER TABLE review_jobs ADD COLUMN head_sha TEXT;
ALTER TABLE review_jobs ADD COLUMN verdict TEXT;
ALTER TABLE review_jobs ADD COLUMN summary TEXT;
ALTER TABLE review_jobs ADD COLUMN findings TEXT;
ALTER TABLE review_jobs ADD COLUMN holds_main_lock INTEGER NOT NULL DEFAULT 0;
ALTER TABLE review_jobs ADD COLUMN error_message TEXT;
ALTER TABLE review_jobs ADD COLUMN deadline INTEGER;
ALTER TABLE review_jobs ADD COLUMN server_id INTEGER;
ALTER TABLE review_jobs ADD COLUMN reminders INTEGER NOT NULL DEFAULT 0;
UPDATE threads SET status = 'stopped', completed_at = updated_at
  WHERE status IN ('initializing', 'running', 'idle', 'waiting_user_answer', 'interrupted');
UPDATE threads SET tmux_pane_id = NULL;
UPDATE review_jobs SET state = 'failed', error_message = 'it was left behind by an earlier version'
  WHERE state NOT IN ('completed', 'failed');
CREATE INDEX review_jobs_running ON review_jobs(id) WHERE state = 'running';
CREATE INDEX review_jobs_by_reviewer ON review_jobs(reviewer_thread_id);
CREATE INDEX inbox_messages_pending ON inbox_messages(receiver_thread_id, id)
  WHERE status = 'pending';
CREATE INDEX inbox_messages_by_sender ON inbox_messages(sender_thread_id, id);
CREATE INDEX inbox_messages_received ON inbox_messages(receiver_thread_id, id);
ALTER TABLE intents DROP COLUMN request_key;
DELETE FROM waiters;
)sql";

// The row that a request has made before its answer could be kept: a repeat goes on with it.
constexpr std::string_view version_3 = R"sql(
ALTER TABLE request_keys ADD COLUMN begun INTEGER;
)sql";

// Merge requests for which no more reviewers are started: a person was asked. And what changed, in
// the order of the commits: a number is never given twice, so that whoever has read up to one knows
// what is new.
constexpr std::string_view version_4 = R"sql(
ALTER TABLE review_jobs ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
CREATE INDEX merge_requests_unjudged ON merge_requests(id) WHERE status = 'requested';
CREATE TABLE events(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ids TEXT NOT NULL,
  session_id INTEGER,
  thread_id INTEGER,
  server_id INTEGER NOT NULL);
)sql";

// Who answers the clients behind bridges, and what they were refused. Merging into main:
// `merge_runs` are those that are on their way: what they are about to do is written down before it
// is done. A token names one holding of the main merge lock.
constexpr std::string_view version_5 = R"sql(
ALTER TABLE merge_main_queue ADD COLUMN conflict_paths TEXT;
ALTER TABLE merge_main_queue ADD COLUMN conflicts_with_commit TEXT;
ALTER TABLE merge_main_queue ADD COLUMN conflicts_with_request INTEGER;
ALTER TABLE merge_main_queue ADD COLUMN check_log TEXT;
ALTER TABLE merge_main_queue ADD COLUMN flaky INTEGER NOT NULL DEFAULT 0;
ALTER TABLE merge_main_queue ADD COLUMN run_id INTEGER;
CREATE INDEX merge_main_queue_by_run ON merge_main_queue(run_id) WHERE run_id IS NOT NULL;
CREATE INDEX merge_main_queue_by_commit ON merge_main_queue(merge_commit)
  WHERE merge_commit IS NOT NULL;
ALTER TABLE merge_main_lock ADD COLUMN token INTEGER NOT NULL DEFAULT 0;
CREATE TABLE merge_runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target_branch TEXT NOT NULL,
  state TEXT NOT NULL,
  base_commit TEXT,
  to_commit TEXT,
  token INTEGER NOT NULL,
  server_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL);
ALTER TABLE request_keys ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
CREATE TABLE clients(
  server_id INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE passed_trees(
  tree TEXT NOT NULL,
  command TEXT NOT NULL,
  log TEXT,
  passed_at INTEGER NOT NULL,
  PRIMARY KEY(tree, command)) WITHOUT ROWID;
)sql";

// What removing a worktree has kept can be brought back.
constexpr std::string_view version_6 = R"sql(
ALTER TABLE worktrees ADD COLUMN backup_ref TEXT;
)sql";

constexpr std::string_view first_rows = R"sql(
INSERT OR IGNORE INTO mirror_meta VALUES(1, 0, 0, '', 0);
INSERT OR IGNORE INTO merge_main_lock(id, state, updated_at) VALUES(1, 'unlocked', 0);
INSERT OR IGNORE INTO planning_rules
  VALUES(1, 18000, 12, '["context_overflow","scope_change","blocked"]', 'merge-agent-required', 0);
)sql";

} // namespace

const std::vector<std::string_view>& schema_steps() {
  static const std::vector steps{version_1, version_2, version_3, version_4, version_5, version_6};
  return steps;
}

std::string_view rows_of_a_new_state() {
  return first_rows;
}

} // namespace orch
