#include "storage/threads.hpp"

#include "storage/paging.hpp"
#include "storage/sessions.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch {

namespace {

constexpr std::array<std::string_view, 5> live_statuses{"initializing", "running", "idle",
                                                        "waiting_user_answer", "interrupted"};
constexpr std::string_view live_sql =
  "status IN ('initializing', 'running', 'idle', 'waiting_user_answer', 'interrupted')";

std::optional<std::string> text_at(cached_statement& row, int column) {
  auto value = row->getColumn(column);
  if (value.isNull())
    return {};
  return value.getString();
}

/// The text of a list of ids for its column; nothing for an empty list.
std::optional<raw_json> ids_json(const std::vector<int64_t>& ids) {
  if (ids.empty())
    return {};
  return raw_json{json(ids).dump()};
}

std::string worktree_path_of(tx& t, const thread& of) {
  auto id = of.worktree_id;
  if (!id)
    id = t.number("SELECT session_root_worktree_id FROM sessions WHERE id = ?", of.session_id);
  auto found = id ? t.find<worktree>("worktrees", *id) : std::nullopt;
  return found ? found->path : t.around.repo_root.string();
}

thread_row completed_row(tx& t, thread found) {
  thread_row row;
  row.worktree_path = worktree_path_of(t, found);
  auto query =
    t.db.prepare("SELECT launch_spec, pane_pid, tmux_server_pid, transcript_path, "
                 "child_session_name, server_id, has_first_prompt FROM threads WHERE id = ?");
  bind_all(*query, found.id);
  query->executeStep();
  if (auto spec = text_at(query, 0))
    row.launch = from_json<launch_spec>(json::parse(*spec));
  if (found.tmux_pane_id)
    row.pane = thread_pane{*found.tmux_pane_id, query->getColumn(1).getInt64(),
                           query->getColumn(2).getInt64()};
  row.transcript_path = text_at(query, 3);
  row.child_session_name = text_at(query, 4);
  auto server = query->getColumn(5);
  row.being_launched =
    !server.isNull() && t.around.at_work(server.getInt64(), name_of_launch(found.id));
  row.has_first_prompt = query->getColumn(6).getInt() != 0;
  row.thread = std::move(found);
  return row;
}

void write_spec(tx& t, int64_t thread_id, const launch_spec& spec) {
  t.run("UPDATE threads SET launch_spec = ? WHERE id = ?", to_json_text(spec), thread_id);
}

void note_thread(tx& t, std::string_view kind, const thread& row) {
  t.changed(kind, {{"thread_id", row.id}, {"session_id", row.session_id}});
}

void stamp(tx& t, thread& row, std::string_view kind = "thread.status") {
  row.updated_at = t.now;
  t.update("threads", row);
  note_thread(t, kind, row);
}

thread must_be_of_session(tx& t, int64_t thread_id, int64_t session_id, std::string_view field) {
  auto found = t.get<thread>("threads", thread_id, "thread");
  if (found.session_id != session_id)
    throw request_error{
      errc::permission_denied,
      fmt::format("thread #{} does not belong to session #{}", thread_id, session_id),
      {{"field", field}, {"session_id", found.session_id}}};
  return found;
}

/// Hands the pane of a finished child over if `limit` panes are there; `conflict` if that many
/// agents run.
std::optional<thread_pane> make_room(tx& t, int64_t session_id, int64_t limit) {
  auto children = fmt::format(
    "FROM threads WHERE session_id = ? AND parent_thread_id IS NOT NULL AND {}", live_sql);
  auto running = t.number("SELECT count(*) " + children, session_id).value_or(0);
  if (running >= limit)
    throw request_error{errc::conflict,
                        fmt::format("session #{} has {} agents running, as many as may; stop one, "
                                    "wait for one, or raise max_concurrent_children",
                                    session_id, running),
                        {{"running", running}, {"limit", limit}}};
  auto finished =
    t.select<thread>(fmt::format("FROM threads WHERE session_id = ? AND parent_thread_id IS NOT "
                                 "NULL AND NOT {} AND tmux_pane_id IS NOT NULL ORDER BY id",
                                 live_sql),
                     session_id);
  if (finished.empty() || running + std::ssize(finished) < limit)
    return {};
  auto row = completed_row(t, finished.front());
  t.run("UPDATE threads SET tmux_pane_id = NULL, pane_pid = NULL WHERE id = ?", row.thread.id);
  return row.pane;
}

} // namespace

std::string name_of_launch(int64_t thread_id) {
  return fmt::format("launch of thread {}", thread_id);
}

bool is_live(const std::string& thread_status) {
  return std::find(live_statuses.begin(), live_statuses.end(), thread_status)
         != live_statuses.end();
}

thread_row get_thread(tx& t, int64_t thread_id) {
  return completed_row(t, t.get<thread>("threads", thread_id, "thread"));
}

thread_row ensure_root_thread(tx& t, const thread_root_ensure& request) {
  auto owner = must_be_open(t, request.session_id);
  std::optional<thread> root;
  if (owner.root_thread_id)
    root = t.find<thread>("threads", *owner.root_thread_id);
  if (!root) {
    root.emplace();
    root->session_id = owner.id;
    root->role = request.role;
    root->title = request.title;
    root->objective = request.objective;
    root->agent_guide_path = request.agent_guide_path;
    root->worktree_id = owner.session_root_worktree_id;
    root->provider = request.provider.value_or("codex");
    root->tmux_window_name = request.tmux_window_name;
    root->created_at = root->updated_at = t.now;
    t.insert("threads", *root);
    note_thread(t, "thread.created", *root);
    t.run("UPDATE sessions SET root_thread_id = ? WHERE id = ?", root->id, owner.id);
    write_spec(t, root->id,
               {request.launch_command, request.codex_command, request.launch_codex,
                request.initial_prompt});
    t.run("UPDATE threads SET child_session_name = ? WHERE id = ?", request.child_session_name,
          root->id);
  }
  return completed_row(t, *root);
}

planned_child plan_child(tx& t, const thread_child_spawn& request, int64_t root_thread_id,
                         const std::optional<int64_t>& limit) {
  auto owner = must_be_open(t, request.session_id);
  auto parent = request.parent_thread_id.value_or(root_thread_id);
  must_be_of_session(t, parent, request.session_id, "parent_thread_id");
  if (request.worktree_id)
    get_own_worktree(t, request.session_id, *request.worktree_id, "worktree_id");
  auto pane = limit ? make_room(t, owner.id, *limit) : std::nullopt;
  thread made;
  made.session_id = owner.id;
  made.parent_thread_id = parent;
  made.role = request.role;
  made.title = request.title;
  made.objective = request.objective;
  made.worktree_id = request.worktree_id ? request.worktree_id : owner.session_root_worktree_id;
  made.provider = request.provider;
  made.agent_guide_path = request.agent_guide_path;
  made.agent_override = request.agent_override;
  made.task_spec = request.task_spec;
  made.scope_task_ids = ids_json(request.scope_task_ids);
  made.scope_case_ids = ids_json(request.scope_case_ids);
  made.scope_node_ids = ids_json(request.scope_node_ids);
  made.tmux_window_name = request.tmux_window_name;
  made.created_at = made.updated_at = t.now;
  t.insert("threads", made);
  note_thread(t, "thread.created", made);
  write_spec(
    t, made.id,
    {request.launch_command, request.codex_command, request.launch_codex, request.initial_prompt});
  return {limit ? begin_launch(t, made.id) : completed_row(t, made), pane};
}

thread_row begin_launch(tx& t, int64_t thread_id) {
  auto row = get_thread(t, thread_id);
  if (row.being_launched)
    throw request_error{errc::conflict,
                        fmt::format("thread #{} is being launched right now", thread_id)};
  auto& x = row.thread;
  ++x.incarnation;
  x.status = "initializing";
  x.started_at = t.now;
  x.completed_at.reset();
  x.error_message.reset();
  x.tmux_pane_id.reset();
  x.log_file_path = (t.around.state_dir / "threads" / std::to_string(x.id)
                     / std::to_string(x.incarnation) / "events.jsonl")
                      .string();
  stamp(t, x);
  // Which tmux server it ran in stays known: the sessions there are ours.
  t.run("UPDATE threads SET pane_pid = NULL, server_id = ? WHERE id = ?", t.around.server, x.id);
  return row;
}

thread_row note_launched(tx& t, int64_t thread_id, int64_t incarnation, const thread_pane& pane,
                         const std::string& session_name, const std::string& window_name) {
  auto row = get_thread(t, thread_id);
  if (row.thread.incarnation != incarnation)
    throw request_error{errc::conflict,
                        fmt::format("thread #{} was launched anew meanwhile", thread_id)};
  if (!is_live(row.thread.status))
    throw request_error{errc::conflict, fmt::format("thread #{} was {} while it was launched",
                                                    thread_id, row.thread.status)};
  row.thread.tmux_pane_id = pane.id;
  row.thread.tmux_session_name = session_name;
  row.thread.tmux_window_name = window_name;
  stamp(t, row.thread, "thread.started");
  t.run("UPDATE threads SET pane_pid = ?, tmux_server_pid = ?, server_id = NULL WHERE id = ?",
        pane.pid, pane.tmux_server_pid, thread_id);
  row.pane = pane;
  row.being_launched = false;
  return row;
}

thread_row note_launch_failed(tx& t, int64_t thread_id, int64_t incarnation, const std::string& why,
                              bool try_again) {
  auto row = get_thread(t, thread_id);
  if (row.thread.incarnation != incarnation)
    return row;
  if (incarnation > 0 && !is_live(row.thread.status)) { // stopped meanwhile: that says enough
    t.run("UPDATE threads SET server_id = NULL WHERE id = ?", thread_id);
    return row;
  }
  row.thread.status = try_again ? "planned" : "failed";
  row.thread.error_message = why;
  row.thread.tmux_pane_id.reset();
  if (!try_again)
    row.thread.completed_at = t.now;
  stamp(t, row.thread);
  t.run("UPDATE threads SET server_id = NULL WHERE id = ?", thread_id);
  return row;
}

void note_sighting(tx& t, const thread_sighting& seen) {
  auto found = t.find<thread>("threads", seen.thread_id);
  if (!found || found->incarnation != seen.incarnation || !is_live(found->status))
    return;
  if (seen.transcript_path)
    t.run("UPDATE threads SET transcript_path = ?1 WHERE id = ?2 AND transcript_path IS NOT ?1",
          seen.transcript_path, seen.thread_id);
  auto known = found->status == seen.status
               && (!seen.agent_session_id || found->agent_session_id == seen.agent_session_id);
  if (known)
    return;
  found->status = seen.status;
  if (seen.agent_session_id)
    found->agent_session_id = seen.agent_session_id;
  if (!is_live(seen.status)) {
    found->completed_at = t.now;
    found->error_message = seen.error_message;
  }
  stamp(t, *found);
}

thread_row end_thread(tx& t, int64_t thread_id, const std::string& status, bool pane_gone) {
  auto row = get_thread(t, thread_id);
  auto& x = row.thread;
  if (is_live(x.status) || x.status == "planned") {
    x.status = status;
    x.completed_at = t.now;
    x.error_message.reset();
  }
  if (pane_gone) {
    x.tmux_pane_id.reset();
    row.pane.reset();
  }
  stamp(t, x);
  t.run("UPDATE directives SET state = 'failed', error_message = 'the agent was stopped', "
        "updated_at = ? WHERE thread_id = ? AND state IN ('stored', 'typed', 'submitted')",
        t.now, x.id);
  return row;
}

std::string name_of_ending(int64_t thread_id) {
  return fmt::format("ending of thread {}", thread_id);
}

void note_ending(tx& t, int64_t thread_id) {
  t.run("UPDATE threads SET server_id = ? WHERE id = ?", t.around.server, thread_id);
}

void note_ended(tx& t, int64_t thread_id) {
  t.run("UPDATE threads SET server_id = NULL WHERE id = ? AND server_id = ?", thread_id,
        t.around.server);
}

std::vector<thread_row> half_ended_threads(tx& t) {
  std::vector<thread_row> rows;
  for (auto& x : t.select<thread>(fmt::format("FROM threads WHERE NOT {} AND server_id IS NOT NULL "
                                              "AND tmux_pane_id IS NOT NULL ORDER BY id",
                                              live_sql))) {
    auto server = t.number("SELECT server_id FROM threads WHERE id = ?", x.id).value_or(0);
    if (!t.around.at_work(server, name_of_ending(x.id)))
      rows.push_back(completed_row(t, std::move(x)));
  }
  return rows;
}

thread_page list_children(tx& t, const thread_child_list& request) {
  t.must_exist("sessions", request.session_id, "session");
  auto after = request.cursor ? read_cursor(*request.cursor, 1)[0] : 0;
  std::string where =
    "FROM threads WHERE session_id = ?1 AND parent_thread_id IS NOT NULL AND id > ?2 AND ?4 = ?4 "
    "AND ?5 = ?5 AND ?6 = ?6";
  if (request.parent_thread_id)
    where += " AND parent_thread_id = ?4";
  if (request.status)
    where += " AND status = ?5";
  if (request.role)
    where += " AND role = ?6";
  thread_page page;
  page.threads = t.select<thread>(where + " ORDER BY id LIMIT ?3", request.session_id, after,
                                  request.limit + 1, request.parent_thread_id.value_or(0),
                                  request.status.value_or(""), request.role.value_or(""));
  page.next_cursor =
    close_page(page.threads, request.limit, [](const thread& x) { return std::vector{x.id}; });
  return page;
}

std::vector<thread_row> live_threads_of(tx& t, int64_t session_id) {
  std::vector<thread_row> rows;
  for (auto& x : t.select<thread>(
         fmt::format("FROM threads WHERE session_id = ? AND (status = 'planned' OR {}) ORDER BY "
                     "parent_thread_id IS NULL, id",
                     live_sql),
         session_id))
    rows.push_back(completed_row(t, std::move(x)));
  return rows;
}

std::vector<int64_t> live_threads(tx& t) {
  std::vector<int64_t> ids;
  auto query = t.db.prepare(fmt::format("SELECT id FROM threads WHERE {} ORDER BY id", live_sql));
  while (query->executeStep())
    ids.push_back(query->getColumn(0).getInt64());
  return ids;
}

std::string child_session_of(const thread_row& root) {
  return root.child_session_name.value_or(fmt::format("codex-child-{}", root.thread.id));
}

} // namespace orch
