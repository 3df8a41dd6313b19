#include "storage/mirror.hpp"

#include "messages/merge_queue.hpp"
#include "messages/plans.hpp"
#include "messages/sessions.hpp"
#include "messages/text.hpp"
#include "messages/version.hpp"
#include "storage/schema.hpp"

#include <fmt/format.h>

#include <map>

namespace orch {

namespace {

/// A person reads this; what does not fit is counted instead of shown.
constexpr int64_t most_rows = 500;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string cell(std::string_view text) {
  std::string out;
  for (char c : beginning_of(text, 200)) {
    if (c == '|' || c == '\\' || c == '`' || c == '<' || c == '>')
      out += '\\';
    out += is_control(c) ? ' ' : c;
  }
  return out + (text.size() > 200 ? "…" : "");
}

std::string id_cell(const std::optional<int64_t>& id) {
  return id ? fmt::format("#{}", *id) : std::string{};
}

std::string more_line(tx& t, const std::string& table, const std::string& where) {
  auto all = t.number(fmt::format("SELECT count(*) FROM {} WHERE {}", table, where)).value_or(0);
  return all > most_rows ? fmt::format("\n… and {} more\n", all - most_rows) : std::string{};
}

std::string none_or(const std::string& head, const std::string& rows) {
  return rows.empty() ? "none\n" : head + rows;
}

std::string sessions_section(tx& t) {
  std::string rows;
  for (const auto& x :
       t.select<session>("FROM sessions WHERE status <> 'closed' ORDER BY id LIMIT ?", most_rows))
    rows +=
      fmt::format("| #{} | {} | {} | {} | {} | {} |\n", x.id, x.status, cell(x.agent_role),
                  cell(x.owner), id_cell(x.session_root_worktree_id), to_text(x.last_seen_at));
  return none_or("| session | status | role | owner | worktree | last seen "
                 "|\n|---|---|---|---|---|---|\n",
                 rows)
         + more_line(t, "sessions", "status <> 'closed'");
}

struct tree_line {
  task node;
  int64_t done = 0;
  int64_t total = 0;
};

void print_tree(std::string& out, std::map<int64_t, std::vector<tree_line>>& children,
                int64_t parent, int depth) {
  for (const auto& line : children[parent]) {
    auto progress =
      line.total > 0 ? fmt::format(" ({}/{} cases)", line.done, line.total) : std::string{};
    out += fmt::format("{}- [{}] {} #{} {}: {}{}\n",
                       std::string(static_cast<std::size_t>(depth) * 2, ' '),
                       line.node.status == "done" ? "x" : " ", line.node.level, line.node.id,
                       line.node.status, cell(line.node.title), progress);
    if (depth < static_cast<int>(task_levels.size()))
      print_tree(out, children, line.node.id, depth + 1);
  }
}

/// Cases done and in all below each task, from one pass over the cases instead of one per task.
std::map<int64_t, std::pair<int64_t, int64_t>> progress_of_all(tx& t) {
  auto query = t.db.prepare(
    "WITH RECURSIVE up(id, done) AS (SELECT parent_id, status = 'done' FROM tasks WHERE level = "
    "'case' AND status <> 'cancelled' AND parent_id IS NOT NULL UNION ALL SELECT p.parent_id, "
    "up.done FROM up JOIN tasks p ON p.id = up.id WHERE p.parent_id IS NOT NULL) SELECT id, "
    "sum(done), count(*) FROM up GROUP BY id");
  std::map<int64_t, std::pair<int64_t, int64_t>> progress;
  while (query->executeStep())
    progress[query->getColumn(0).getInt64()] = {query->getColumn(1).getInt64(),
                                                query->getColumn(2).getInt64()};
  return progress;
}

std::string tasks_section(tx& t) {
  auto shown =
    t.select<task>("FROM tasks ORDER BY priority DESC, updated_at, id LIMIT ?", most_rows);
  if (shown.empty())
    return "none\n";
  auto progress = progress_of_all(t);
  std::map<int64_t, bool> present;
  for (const auto& x : shown)
    present[x.id] = true;
  std::map<int64_t, std::vector<tree_line>> children;
  for (auto& x : shown) {
    // A task whose parent did not fit is shown as a root.
    auto parent = x.parent_id && present.contains(*x.parent_id) ? *x.parent_id : 0;
    auto [done, total] = progress[x.id];
    children[parent].push_back({std::move(x), done, total});
  }
  std::string out;
  print_tree(out, children, 0, 0);
  return out + more_line(t, "tasks", "1");
}

std::string mermaid_text(std::string_view text) {
  std::string out;
  for (char c : beginning_of(text, 80))
    out += c == '"' ? '\'' : (is_control(c) || c == '`' ? ' ' : c);
  return out;
}

std::string graph_section(tx& t) {
  auto nodes = t.select<node>("FROM graph_nodes ORDER BY id LIMIT ?", most_rows);
  if (nodes.empty())
    return "none\n";
  std::string out = "```mermaid\ngraph TD\n";
  for (const auto& x : nodes)
    out += fmt::format("  n{}[\"{} {}: {} ({})\"]\n", x.id, mermaid_text(x.node_type), x.id,
                       mermaid_text(x.title), mermaid_text(x.status));
  for (const auto& x : t.select<edge>("FROM graph_edges WHERE from_node_id <= ?1 AND to_node_id <= "
                                      "?1 ORDER BY id LIMIT ?2",
                                      nodes.back().id, 4 * most_rows))
    out +=
      fmt::format("  n{} -->|{}| n{}\n", x.from_node_id, mermaid_text(x.edge_type), x.to_node_id);
  return out + "```\n" + more_line(t, "graph_nodes", "1");
}

std::string locks_section(tx& t) {
  std::string rows;
  for (const auto& x :
       t.select<lock>("FROM locks WHERE state = 'active' ORDER BY id LIMIT ?", most_rows))
    rows += fmt::format("| #{} | {} | {} | {} | {} | {} |\n", x.id, x.scope_type,
                        cell(x.scope_path), x.mode, cell(x.owner_session), to_text(x.lease_until));
  return none_or("| lock | type | path | mode | session | until |\n|---|---|---|---|---|---|\n",
                 rows)
         + more_line(t, "locks", "state = 'active'");
}

std::string worktrees_section(tx& t) {
  std::string rows;
  for (const auto& x : t.select<worktree>(
         "FROM worktrees WHERE status <> 'removed' ORDER BY id LIMIT ?", most_rows))
    rows += fmt::format("| #{} | {} | {} | {} | {} | {} | {} |\n", x.id, x.kind, cell(x.branch),
                        x.status, x.merge_state, id_cell(x.owner_session_id), cell(x.path));
  return none_or("| worktree | kind | branch | status | merge | session | path "
                 "|\n|---|---|---|---|---|---|---|\n",
                 rows)
         + more_line(t, "worktrees", "status <> 'removed'");
}

std::string threads_section(tx& t) {
  std::string rows;
  auto query = t.db.prepare("SELECT id, session_id, role, status, coalesce(title, '') FROM threads "
                            "ORDER BY id LIMIT ?");
  query->bind(1, most_rows);
  while (query->executeStep())
    rows +=
      fmt::format("| #{} | #{} | {} | {} | {} |\n", query->getColumn(0).getInt64(),
                  query->getColumn(1).getInt64(), cell(query->getColumn(2).getString()),
                  cell(query->getColumn(3).getString()), cell(query->getColumn(4).getString()));
  return none_or("| thread | session | role | status | title |\n|---|---|---|---|---|\n", rows);
}

std::string queue_section(tx& t) {
  std::string rows;
  for (const auto& x : t.select<main_merge_request>(
         "FROM merge_main_queue ORDER BY state <> 'queued', priority DESC, id LIMIT ?", most_rows))
    rows += fmt::format("| #{} | {} | #{} | {} | {} | {} |\n", x.id, x.state, x.session_id,
                        cell(x.target_branch), x.priority, cell(x.error_message.value_or("")));
  return none_or(
    "| request | state | session | target | priority | message |\n|---|---|---|---|---|---|\n",
    rows);
}

} // namespace

mirror_state get_mirror_state(tx& t, const mirror_status&) {
  auto query = t.db.prepare("SELECT md_version, md_path, updated_at FROM mirror_meta WHERE id = 1");
  query->executeStep();
  mirror_state state;
  state.db_version = db_version(t);
  state.md_version = query->getColumn(0).getInt64();
  auto path = query->getColumn(1).getString();
  if (!path.empty())
    state.md_path = path;
  state.updated_at.us = query->getColumn(2).getInt64();
  std::error_code ignored; // a mirror that cannot be looked at is as good as none
  state.outdated =
    path.empty() || state.md_version != state.db_version || !std::filesystem::exists(path, ignored);
  return state;
}

workspace_state get_workspace_state(tx& t, const workspace_init&) {
  workspace_state state;
  state.repo_path = t.around.repo_root.string();
  state.db_path = (t.around.state_dir / "state.db").string();
  state.db_version = db_version(t);
  state.schema_version = schema_version;
  state.server_version = program_version;
  return state;
}

rendered_mirror render_mirror(tx& t) {
  rendered_mirror rendered;
  rendered.db_version = db_version(t);
  rendered.markdown =
    fmt::format("# codex-orchestrator: {}\n\nState version {}.\n\n## Sessions\n\n{}\n## "
                "Tasks\n\n{}\n## Plan\n\n{}\n## "
                "Locks\n\n{}\n## Worktrees\n\n{}\n## Threads\n\n{}\n## Merge queue\n\n{}",
                cell(t.around.repo_root.filename().string()), rendered.db_version,
                sessions_section(t), tasks_section(t), graph_section(t), locks_section(t),
                worktrees_section(t), threads_section(t), queue_section(t));
  return rendered;
}

mirror_state note_mirror(tx& t, int64_t version, const std::string& path) {
  // Two refreshes may end in another order than they were rendered; the file rename and this note
  // belong to the same one because refreshes of a repository run one at a time.
  t.run("UPDATE mirror_meta SET md_version = ?, md_path = ?, updated_at = ? WHERE id = 1", version,
        path, t.now);
  return get_mirror_state(t, {});
}

} // namespace orch
