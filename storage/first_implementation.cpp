#include "storage/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <set>
#include <string_view>

namespace orch {

namespace {

/// How a column of ours is filled from the old table: `source` is SQL over the old columns.
struct column_rule {
  std::string_view name;
  std::string_view source; ///< empty: the old column of the same name
  std::string_view needs;  ///< the old column it takes; missing there: `otherwise`
  std::string_view otherwise = "NULL";
};

struct table_rule {
  std::string_view name;
  std::vector<column_rule> columns;
};

// `t(x)` reads a time text, `j(x)` makes sure of valid JSON, `l(x)` of a list of texts; see
// `add_functions`.
constexpr std::string_view now = "t('now')";

column_rule same(std::string_view name, std::string_view otherwise = "NULL") {
  return {name, name, name, otherwise};
}

std::vector<table_rule> rules() {
  return {
    {"tasks",
     {same("id"),
      same("level"),
      same("parent_id"),
      same("title"),
      same("status"),
      same("priority"),
      same("assignee_session"),
      {"input_contract", "j(input_contract)", "input_contract"},
      {"fixtures", "j(fixtures)", "fixtures"},
      same("next_action"),
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"steps",
     {same("id"),
      same("task_id"),
      same("title"),
      same("status"),
      {"evidence", "j(evidence_json)", "evidence_json"},
      same("order_no", "0"),
      {"recorded_at", "t(created_at)", "created_at", now}}},
    {"checkpoints",
     {same("id"),
      same("task_id"),
      same("step_title"),
      {"snapshot", "j(snapshot_json)", "snapshot_json", "'null'"},
      {"recorded_at", "t(created_at)", "created_at", now}}},
    {"sessions",
     {same("id"),
      same("agent_role"),
      same("owner"),
      {"repo_path", "coalesce(repo_path, '')", "repo_path", "''"},
      same("terminal_fingerprint"),
      {"intent", "coalesce(intent, 'new_work')", "intent", "'new_work'"},
      same("main_worktree_id"),
      same("session_root_worktree_id"),
      same("root_thread_id"),
      same("tmux_session_name"),
      same("runtime_state"),
      {"started_at", "t(started_at)", "started_at", now},
      {"last_seen_at", "t(last_seen_at)", "last_seen_at", now},
      same("status"),
      {"earlier",
       "json_object('delegation_state', delegation_state, 'delegation_root_thread_id', "
       "delegation_root_thread_id, 'delegation_issued_at', delegation_issued_at, "
       "'delegation_acked_at', delegation_acked_at)",
       "delegation_state"}}},
    {"current_refs",
     {same("id"),
      same("session_id"),
      same("node_type"),
      same("node_id"),
      same("checkpoint_id"),
      same("mode"),
      // The newest active one of a session stays active: there is at most one now.
      {"status",
       "CASE WHEN status = 'active' AND id < (SELECT max(id) FROM old_current_refs o WHERE "
       "o.session_id = old_current_refs.session_id AND o.status = 'active') THEN 'superseded' "
       "ELSE status END",
       "status"},
      same("next_action"),
      same("summary"),
      {"required_files", "l(required_files_json)", "required_files_json"},
      {"acked_at", "t(acked_at)", "acked_at"},
      same("version", "1"),
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"session_handoffs",
     {same("id"),
      same("from_session_id"),
      same("to_session_id"),
      same("state"),
      {"created_at", "t(created_at)", "created_at", now},
      {"completed_at", "t(completed_at)", "completed_at"}}},
    {"worktrees",
     {same("id"),
      {"task_id", "nullif(task_id, 0)", "task_id"},
      same("path"),
      same("branch"),
      same("status"),
      {"kind", "coalesce(kind, 'task_branch')", "kind", "'task_branch'"},
      same("parent_worktree_id"),
      same("owner_session_id"),
      {"merge_state", "coalesce(merge_state, 'active')", "merge_state", "'active'"},
      {"created_at", "t(created_at)", "created_at", now},
      {"merged_at", "t(merged_at)", "merged_at"}}},
    {"locks",
     {same("id"),
      same("scope_type"),
      same("scope_path"),
      same("owner_session"),
      {"mode", "'exclusive'", "id"},
      {"lease_until", "t(lease_until)", "lease_until", now},
      {"heartbeat_at", "t(heartbeat_at)", "heartbeat_at", now},
      same("state")}},
    {"graph_nodes",
     {same("id"),
      same("node_type"),
      same("facet"),
      same("title"),
      same("status"),
      same("priority"),
      same("parent_id"),
      same("worktree_id"),
      same("owner_session_id"),
      same("summary"),
      same("risk_level"),
      same("token_estimate"),
      {"affected_files", "l(affected_files_json)", "affected_files_json"},
      same("approval_state", "'none'"),
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"graph_edges",
     {same("id"),
      same("from_node_id"),
      same("to_node_id"),
      same("edge_type"),
      {"created_at", "t(created_at)", "created_at", now}}},
    {"node_checklists",
     {same("id"),
      same("node_id"),
      same("item_text"),
      same("status"),
      same("order_no", "1"),
      same("facet", "'planning'"),
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"node_snapshots",
     {same("id"),
      same("node_id"),
      same("snapshot_type"),
      same("summary"),
      {"affected_files", "l(affected_files_json)", "affected_files_json"},
      same("next_action"),
      {"created_at", "t(created_at)", "created_at", now}}},
    {"planning_rules",
     {same("id"),
      same("max_token_per_slice"),
      same("max_files_per_slice"),
      {"replan_triggers", "j(replan_triggers_json)", "replan_triggers_json", "'[]'"},
      same("approval_policy", "''"),
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"merge_requests",
     {same("id"),
      same("feature_task_id"),
      same("status"),
      same("reviewer_session"),
      {"notes", "j(notes_json)", "notes_json"},
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"merge_main_queue",
     {same("id"),
      same("session_id"),
      same("from_worktree_id"),
      same("target_branch"),
      same("state"),
      same("error_message"),
      {"started_at", "t(started_at)", "started_at"},
      {"completed_at", "t(completed_at)", "completed_at"},
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"merge_main_lock",
     {same("id"),
      same("holder_session_id"),
      {"lease_until", "t(lease_until)", "lease_until"},
      same("state"),
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"threads",
     {same("id"),
      same("session_id"),
      same("parent_thread_id"),
      same("role"),
      same("status"),
      same("title"),
      same("objective"),
      same("worktree_id"),
      {"provider", "coalesce(provider_type, 'codex')", "provider_type", "'codex'"},
      same("agent_guide_path"),
      same("agent_override"),
      {"task_spec", "j(task_spec_json)", "task_spec_json"},
      {"scope_task_ids", "j(scope_task_ids_json)", "scope_task_ids_json"},
      {"scope_case_ids", "j(scope_case_ids_json)", "scope_case_ids_json"},
      {"scope_node_ids", "j(scope_node_ids_json)", "scope_node_ids_json"},
      same("tmux_session_name"),
      same("tmux_window_name"),
      same("tmux_pane_id"),
      same("launch_command"),
      same("log_file_path"),
      {"created_at", "t(created_at)", "created_at", now},
      {"started_at", "t(started_at)", "started_at"},
      {"completed_at", "t(completed_at)", "completed_at"},
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"review_jobs",
     {same("id"),
      same("merge_request_id"),
      same("session_id"),
      same("reviewer_thread_id"),
      same("state"),
      {"notes", "j(notes_json)", "notes_json"},
      {"created_at", "t(created_at)", "created_at", now},
      {"updated_at", "t(updated_at)", "updated_at", now},
      {"completed_at", "t(completed_at)", "completed_at"}}},
    {"runtime_prereq_events",
     {same("id"),
      same("session_id"),
      same("requirement"),
      same("status"),
      same("detail"),
      {"created_at", "t(created_at)", "created_at", now}}},
    {"mirror_meta",
     {same("id"),
      same("db_version", "0"),
      same("md_version", "0"),
      same("md_path", "''"),
      {"updated_at", "t(updated_at)", "updated_at", now}}},
    {"inbox_messages",
     {same("id"),
      same("sender_thread_id"),
      same("receiver_thread_id"),
      same("message"),
      same("status", "'pending'"),
      {"created_at", "t(created_at)", "created_at", now},
      {"delivered_at", "t(delivered_at)", "delivered_at"}}},
  };
}

std::string text_of(sqlite3_value* value) {
  auto text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text ? std::string{text, static_cast<std::size_t>(sqlite3_value_bytes(value))}
              : std::string{};
}

void give_text(sqlite3_context* to, const std::string& text) {
  sqlite3_result_text(to, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

void time_function(sqlite3_context* to, int, sqlite3_value** args) {
  auto text = text_of(args[0]);
  if (auto at = parse_timestamp(text)) {
    sqlite3_result_int64(to, at->us);
  } else if (!text.empty()) {
    // No time that we can read, in a column that must have one: now is the only honest guess.
    auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    sqlite3_result_int64(to,
                         std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count());
  }
}

void json_function(sqlite3_context* to, int, sqlite3_value** args) {
  auto text = text_of(args[0]);
  if (!text.empty())
    give_text(to, json_or_text(std::move(text)).text);
}

void list_function(sqlite3_context* to, int, sqlite3_value** args) {
  auto text = text_of(args[0]);
  if (text.empty())
    return;
  auto value = json::parse(text, nullptr, false);
  auto list = json::array();
  if (value.is_array()) {
    for (const auto& item : value)
      list.push_back(item.is_string() ? item : json(item.dump()));
  } else if (!value.is_null()) {
    list.push_back(text);
  }
  give_text(to, list.dump(-1, ' ', false, json::error_handler_t::replace));
}

using sql_function = void (*)(sqlite3_context*, int, sqlite3_value**);

constexpr std::array<std::pair<const char*, sql_function>, 3> functions{
  {{"t", time_function}, {"j", json_function}, {"l", list_function}}};

void add_functions(database& db) {
  for (auto [name, body] : functions)
    sqlite3_create_function(db.raw().getHandle(), name, 1, SQLITE_UTF8, nullptr, body, nullptr,
                            nullptr);
}

void remove_functions(database& db) {
  for (auto [name, body] : functions)
    sqlite3_create_function(db.raw().getHandle(), name, 1, SQLITE_UTF8, nullptr, nullptr, nullptr,
                            nullptr);
}

std::set<std::string, std::less<>> columns_in(database& db, const std::string& table) {
  SQLite::Statement query{db.raw(), fmt::format("PRAGMA table_info(\"{}\")", table)};
  std::set<std::string, std::less<>> names;
  while (query.executeStep())
    names.insert(query.getColumn(1).getString());
  return names;
}

void copy_table(database& db, const table_rule& rule) {
  auto old_name = fmt::format("old_{}", rule.name);
  auto old_columns = columns_in(db, old_name);
  if (old_columns.empty())
    return;
  std::string names;
  std::string sources;
  for (const auto& column : rule.columns) {
    auto there = old_columns.contains(column.needs);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", column.name);
    sources +=
      fmt::format("{}{}", sources.empty() ? "" : ", ", there ? column.source : column.otherwise);
  }
  db.exec(fmt::format("INSERT INTO {}({}) SELECT {} FROM {}", rule.name, names, sources, old_name));
}

} // namespace

void import_first_implementation(database& db) {
  add_functions(db);
  const auto known = rules();
  for (const auto& rule : known)
    copy_table(db, rule);
  // Ids that were given out and deleted again must not come back.
  if (!columns_in(db, "sqlite_sequence").empty()) {
    db.exec("INSERT INTO sqlite_sequence(name, seq) SELECT substr(o.name, 5), o.seq FROM "
            "sqlite_sequence o WHERE o.name LIKE 'old\\_%' ESCAPE '\\' AND NOT EXISTS (SELECT 1 "
            "FROM sqlite_sequence n WHERE n.name = substr(o.name, 5))");
    db.exec("UPDATE sqlite_sequence AS n SET seq = max(seq, coalesce((SELECT o.seq FROM "
            "sqlite_sequence o WHERE o.name = 'old_' || n.name), 0))");
  }
  SQLite::Statement tables{db.raw(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name "
                                     "LIKE 'old\\_%' ESCAPE '\\'"};
  std::vector<std::string> done;
  while (tables.executeStep())
    done.push_back(tables.getColumn(0).getString());
  tables.reset();
  // A table that we know nothing of may matter to somebody: it gets its name back.
  std::set<std::string_view> copied;
  for (const auto& rule : known)
    copied.insert(rule.name);
  for (const auto& table : done) {
    auto name = table.substr(4);
    db.exec(copied.contains(name)
              ? fmt::format("DROP TABLE \"{}\"", table)
              : fmt::format("ALTER TABLE \"{}\" RENAME TO \"{}\"", table, name));
  }
  remove_functions(db);
}

} // namespace orch
