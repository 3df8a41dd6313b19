#include "storage/sessions.hpp"

#include "storage/current_refs.hpp"
#include "storage/locks.hpp"
#include "storage/merge_queue.hpp"
#include "storage/paging.hpp"
#include "storage/tasks.hpp"
#include "storage/waiters.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// Signs of life are written at most this often (contract, section 2).
constexpr int64_t heartbeat_interval_us = 5'000'000;

bool has_ended(const session& s) {
  return s.status == "closed" || s.status == "handoff_attached";
}

struct keeper {
  std::optional<int64_t> server_id;
  std::optional<std::string> suspended_from;
};

keeper keeper_of(tx& t, int64_t session_id) {
  auto query = t.db.prepare("SELECT server_id, suspended_from FROM sessions WHERE id = ?");
  query->bind(1, session_id);
  keeper found;
  if (query->executeStep()) {
    if (!query->getColumn(0).isNull())
      found.server_id = query->getColumn(0).getInt64();
    if (!query->getColumn(1).isNull())
      found.suspended_from = query->getColumn(1).getString();
  }
  return found;
}

void suspend(tx& t, const std::string& where, int64_t server) {
  auto suspended = t.numbers("UPDATE sessions SET suspended_from = status, status = 'suspended', "
                             "server_id = NULL WHERE status IN ('opened', 'active_new', "
                             "'awaiting_resume', 'active_resume') AND "
                               + where + " RETURNING id",
                             server);
  t.run("UPDATE sessions SET server_id = NULL WHERE " + where, server);
  for (auto id : suspended)
    t.changed("session.suspended", {{"session_id", id}});
}

bool is_connected(tx& t, const keeper& k) {
  return k.server_id && (*k.server_id == t.around.server || t.around.alive(*k.server_id));
}

void hand_over_rows(tx& t, const session& from, const session& to) {
  t.run("UPDATE worktrees SET owner_session_id = ? WHERE owner_session_id = ?", to.id, from.id);
  t.run("UPDATE threads SET session_id = ?, updated_at = ? WHERE session_id = ?", to.id, t.now,
        from.id);
  t.run("UPDATE sessions SET root_thread_id = (SELECT root_thread_id FROM sessions WHERE id = ?1), "
        "tmux_session_name = (SELECT tmux_session_name FROM sessions WHERE id = ?1) WHERE id = ?2 "
        "AND root_thread_id IS NULL",
        from.id, to.id);
  t.run("UPDATE review_jobs SET session_id = ? WHERE session_id = ? AND state = 'running'", to.id,
        from.id);
  t.run("UPDATE locks SET owner_session = ? WHERE owner_session = ? AND state = 'active'",
        std::to_string(to.id), std::to_string(from.id));
  t.run("UPDATE merge_main_lock SET holder_session_id = ?, updated_at = ? WHERE holder_session_id "
        "= ?",
        to.id, t.now, from.id);
  t.run("UPDATE merge_main_queue SET session_id = ?, updated_at = ? WHERE session_id = ? AND state "
        "IN ('queued', 'merging')",
        to.id, t.now, from.id);
  // The requester's own reference, if any, gives way to the one it takes over.
  t.run("UPDATE current_refs SET status = 'superseded', updated_at = ? WHERE session_id = ? AND "
        "status = 'active'",
        t.now, to.id);
  t.run("UPDATE current_refs SET session_id = ?, mode = 'resume', acked_at = NULL, version = "
        "version + 1, updated_at = ? WHERE session_id = ? AND status = 'active'",
        to.id, t.now, from.id);
  t.run("UPDATE tasks SET assignee_session = ? WHERE status = 'in_progress' AND assignee_session = "
        "? AND id IN (SELECT node_id FROM current_refs WHERE session_id = ? AND status = 'active')",
        std::to_string(to.id), std::to_string(from.id), to.id);
  t.run("INSERT INTO session_handoffs(from_session_id, to_session_id, state, created_at, "
        "completed_at) VALUES(?, ?, 'completed', ?, ?)",
        from.id, to.id, t.now, t.now);
}

/// The target of an attach as it must be, or the error that says why it cannot be taken over.
session attachable(tx& t, const resume_candidates_attach& request) {
  if (request.target_session_id == request.requester_session_id)
    throw request_error{errc::failed_precondition,
                        "a session cannot take over itself",
                        {{"field", "target_session_id"}}};
  auto target = t.get<session>("sessions", request.target_session_id, "session");
  if (target.status == "handoff_attached")
    throw request_error{
      errc::conflict,
      fmt::format("session #{} has been taken over already", target.id),
      {{"attached_to", t.number("SELECT to_session_id FROM session_handoffs WHERE "
                                "from_session_id = ? ORDER BY id DESC LIMIT 1",
                                target.id)
                         .value_or(0)}}};
  if (target.status == "closed")
    throw request_error{errc::failed_precondition, fmt::format("session #{} is closed", target.id)};
  if (t.number("SELECT 1 FROM sessions s WHERE s.id = ?1 AND " + live_session_sql("s", "?2"),
               target.id, t.now))
    throw request_error{errc::failed_precondition,
                        fmt::format("session #{} is still alive, last seen {}", target.id,
                                    to_text(target.last_seen_at)),
                        {{"last_seen_at", to_text(target.last_seen_at)}}};
  return target;
}

/// Cases to go on with, in order; those that another live session is at are passed over.
std::optional<task> pick_case(tx& t, const std::optional<int64_t>& session_id) {
  if (session_id)
    if (auto own = case_in_progress_of(t, *session_id))
      return t.find<task>("tasks", *own);
  // Somebody who only looks sees the most urgent case, whoever is at it.
  auto free = session_id
                ? " AND NOT EXISTS (SELECT 1 FROM current_refs r JOIN sessions s ON s.id = "
                  "r.session_id WHERE r.node_type = 'case' AND r.node_id = tasks.id AND "
                  "r.status = 'active' AND s.id <> ?2 AND "
                    + live_session_sql("s", "?3") + ")"
                : std::string{" AND ?2 = 0 AND ?3 > 0"};
  for (std::string status : {"in_progress", "blocked", "todo"}) {
    auto found = t.first<task>("FROM tasks WHERE level = 'case' AND status = ?1" + free
                                 + " ORDER BY priority DESC, updated_at, id LIMIT 1",
                               status, session_id.value_or(0), t.now);
    if (found)
      return found;
  }
  return {};
}

resume_point point_at(tx& t, const task& next) {
  resume_point point;
  point.task = next;
  point.checkpoint = newest_checkpoint(t, next.id);
  point.next_step = next_planned_step(t, next.id);
  if (!point.next_step)
    point.next_step = next.next_action;
  return point;
}

} // namespace

session heartbeat_session(tx& t, const session_heartbeat& request, const caller& from) {
  must_be_open(t, request.session_id);
  note_sign_of_life(t, request.session_id, from);
  return t.get<session>("sessions", request.session_id, "session");
}

session_context get_session_context(tx& t, const session_context_get& request) {
  return context_of(t, t.get<session>("sessions", request.session_id, "session"));
}

session_page list_sessions(tx& t, const session_list& request) {
  suspend_sessions_of_dead_servers(t);
  auto before =
    request.cursor ? read_cursor(*request.cursor, 1)[0] : std::numeric_limits<int64_t>::max();
  std::string where = "FROM sessions WHERE id < ?1 AND ?3 = ?3";
  if (request.status)
    where = "FROM sessions WHERE id < ?1 AND status = ?3";
  else if (!request.include_closed)
    where += " AND status <> 'closed'";
  auto rows = t.select<session>(where + " ORDER BY id DESC LIMIT ?2", before, request.limit + 1,
                                request.status.value_or(""));
  session_page page;
  page.next_cursor =
    close_page(rows, request.limit, [](const session& x) { return std::vector{x.id}; });
  for (auto& row : rows) {
    auto connected = is_connected(t, keeper_of(t, row.id));
    page.sessions.push_back({std::move(row), false, connected});
  }
  page.count = static_cast<int64_t>(page.sessions.size());
  return page;
}

session close_session(tx& t, const session_close& request) {
  auto closing = t.get<session>("sessions", request.session_id, "session");
  if (has_ended(closing))
    throw request_error{errc::failed_precondition,
                        fmt::format("session #{} is {}", closing.id, closing.status),
                        {{"status", closing.status}}};
  t.run("UPDATE sessions SET status = 'closed', server_id = NULL, last_seen_at = ? WHERE id = ?",
        t.now, closing.id);
  t.run("UPDATE current_refs SET status = 'suspended', updated_at = ? WHERE session_id = ? AND "
        "status = 'active'",
        t.now, closing.id);
  if (request.release_locks)
    release_locks_of(t, std::to_string(closing.id));
  forget_waiters_of(t, std::to_string(closing.id));
  release_main_lock_of(t, closing.id);
  t.changed("session.closed", {{"session_id", closing.id}});
  return t.get<session>("sessions", closing.id, "session");
}

resume_point next_to_resume(tx& t, const resume_next& request) {
  if (request.claim && !request.session_id)
    throw bad_param("session_id", "session_id is required with claim: who begins the case?");
  if (request.session_id)
    must_be_open(t, *request.session_id);
  suspend_sessions_of_dead_servers(t);
  auto next = pick_case(t, request.session_id);
  if (!next)
    return {};
  if (request.claim) {
    auto point = point_at(t, *next);
    case_begin begin;
    begin.case_id = next->id;
    begin.session_id = request.session_id;
    point.task = begin_case(t, begin);
    // The checkpoint to go on from is the one before the claim, if the case had any.
    if (!point.checkpoint)
      point.checkpoint = newest_checkpoint(t, next->id);
    return point;
  }
  return point_at(t, *next);
}

resume_candidate_list list_resume_candidates(tx& t, const resume_candidates_list& request) {
  must_be_open(t, request.requester_session_id);
  suspend_sessions_of_dead_servers(t);
  return {candidates_for(t, request.requester_session_id, request.heartbeat_timeout_seconds)};
}

session_context attach_resume_candidate(tx& t, const resume_candidates_attach& request,
                                        const caller& from) {
  auto requester = must_be_open(t, request.requester_session_id);
  suspend_sessions_of_dead_servers(t);
  note_sign_of_life(t, requester.id, from);
  auto target = attachable(t, request);
  hand_over_rows(t, target, requester);
  t.run("UPDATE sessions SET status = 'handoff_attached', server_id = NULL WHERE id = ?",
        target.id);
  // What the target had goes over; a root of the requester's own stays only if it got none.
  t.run("UPDATE sessions SET status = 'active_resume', suspended_from = NULL, main_worktree_id = "
        "coalesce(?, main_worktree_id), session_root_worktree_id = coalesce(?, "
        "session_root_worktree_id), root_thread_id = coalesce(?, root_thread_id), "
        "tmux_session_name = coalesce(?, tmux_session_name), runtime_state = coalesce(?, "
        "runtime_state) WHERE id = ?",
        target.main_worktree_id, target.session_root_worktree_id, target.root_thread_id,
        target.tmux_session_name, target.runtime_state, requester.id);
  t.changed("session.attached", {{"session_id", requester.id}, {"from_session_id", target.id}});
  give_waiters_their_turn(t); // it may have waited for what it has now
  t.wake_waiters();
  return context_of(t, t.get<session>("sessions", requester.id, "session"));
}

current_ref ack_current_ref(tx& t, const work_current_ref_ack& request) {
  must_be_open(t, request.session_id);
  auto ref = t.get<current_ref>("current_refs", request.ref_id, "current_ref");
  if (ref.session_id != request.session_id)
    throw request_error{
      errc::permission_denied,
      fmt::format("current_ref #{} belongs to session #{}", ref.id, ref.session_id)};
  ref.acked_at = t.now;
  ref.updated_at = t.now;
  ++ref.version;
  t.update("current_refs", ref);
  t.changed("ref.acked", {{"ref_id", ref.id}, {"session_id", ref.session_id}});
  return ref;
}

work_point get_work_point(tx& t, const work_current_ref& request) {
  must_be_open(t, request.session_id);
  suspend_sessions_of_dead_servers(t);
  work_point point;
  auto ref = active_ref(t, request.session_id);
  point.source = ref ? "current_refs" : "resume.next";
  if (!ref) {
    auto next = pick_case(t, request.session_id);
    if (!next) {
      point.source = "none";
      return point;
    }
    auto newest = newest_checkpoint(t, next->id);
    ref = point_session_at(t, request.session_id,
                           {.case_id = next->id,
                            .checkpoint_id = newest ? std::optional{newest->id} : std::nullopt,
                            .next_action = point_at(t, *next).next_step,
                            .summary = next->title,
                            .required_files = request.required_files,
                            .mode = request.mode});
    t.changed("ref.updated", {{"ref_id", ref->id}, {"session_id", ref->session_id}});
  } else if ((request.mode && *request.mode != ref->mode)
             || (request.required_files && request.required_files != ref->required_files)) {
    ref->mode = request.mode.value_or(ref->mode);
    if (request.required_files)
      ref->required_files = request.required_files;
    ref->updated_at = t.now;
    ++ref->version;
    t.update("current_refs", *ref);
    t.changed("ref.updated", {{"ref_id", ref->id}, {"session_id", ref->session_id}});
  }
  if (ref->node_type == "case")
    if (auto current = t.find<task>("tasks", ref->node_id)) {
      auto at = point_at(t, *current);
      point.task = at.task;
      point.checkpoint = at.checkpoint;
      point.next_step = at.next_step;
    }
  point.current_ref = ref;
  return point;
}

void note_sign_of_life(tx& t, int64_t session_id, const caller& from) {
  auto found = t.find<session>("sessions", session_id);
  if (!found || has_ended(*found))
    return;
  auto kept = keeper_of(t, session_id);
  if (found->status == "suspended") {
    t.run("UPDATE sessions SET status = ?, suspended_from = NULL WHERE id = ?",
          kept.suspended_from.value_or("active_new"), session_id);
    t.changed("session.resumed", {{"session_id", session_id}});
  }
  if (from.lasting && !is_connected(t, kept))
    t.run("UPDATE sessions SET server_id = ? WHERE id = ?", server_of(t, from), session_id);
  if (from.client)
    t.run("UPDATE sessions SET client = ? WHERE id = ? AND client IS NOT ?", *from.client,
          session_id, *from.client);
  if (t.now.us - found->last_seen_at.us >= heartbeat_interval_us || t.now < found->last_seen_at)
    t.run("UPDATE sessions SET last_seen_at = ? WHERE id = ?", t.now, session_id);
}

int64_t server_of(const tx& t, const caller& from) {
  return from.server == 0 ? t.around.server : from.server;
}

void suspend_sessions_of_server(tx& t, int64_t server) {
  suspend(t, "server_id = ?", server == 0 ? t.around.server : server);
}

void keep_sessions_alive(tx& t, const std::set<int64_t>& servers) {
  for (auto server : servers)
    t.run("UPDATE sessions SET last_seen_at = ? WHERE server_id = ?", t.now,
          server == 0 ? t.around.server : server);
}

namespace {

constexpr std::string_view silent_sql =
  "server_id IS NULL AND last_seen_at + 1000000 * heartbeat_timeout_seconds < ?";
constexpr std::string_view awake_sql =
  "status IN ('opened', 'active_new', 'awaiting_resume', 'active_resume')";

/// Those that keep sessions alive, dead or not.
std::vector<int64_t> dead_servers(tx& t) {
  std::vector<int64_t> dead;
  auto query = t.db.prepare("SELECT DISTINCT server_id FROM sessions WHERE server_id IS NOT NULL");
  while (query->executeStep()) {
    auto server = query->getColumn(0).getInt64();
    if (server != t.around.server && !t.around.alive(server))
      dead.push_back(server);
  }
  return dead;
}

} // namespace

void suspend_silent_sessions(tx& t) {
  suspend(t, std::string{silent_sql}, t.now.us);
}

bool any_session_to_suspend(tx& t) {
  return !dead_servers(t).empty()
         || t.number(
               fmt::format("SELECT 1 FROM sessions WHERE {} AND {} LIMIT 1", awake_sql, silent_sql),
               t.now)
              .has_value();
}

void suspend_sessions_of_dead_servers(tx& t) {
  for (auto server : dead_servers(t))
    suspend(t, "server_id = ?", server);
}

session must_be_open(tx& t, int64_t session_id) {
  auto found = t.get<session>("sessions", session_id, "session");
  if (has_ended(found))
    throw request_error{errc::failed_precondition,
                        fmt::format("session #{} is {}", session_id, found.status),
                        {{"status", found.status}}};
  return found;
}

std::string live_session_sql(const std::string& alias, const std::string& now_mark) {
  return fmt::format("({0}.status IN ('opened', 'active_new', 'awaiting_resume', 'active_resume') "
                     "AND ({0}.server_id IS NOT NULL OR {0}.last_seen_at + 1000000 * "
                     "{0}.heartbeat_timeout_seconds >= {1}))",
                     alias, now_mark);
}

int64_t reserve_session_id(tx& t) {
  // AUTOINCREMENT remembers the id although the row is gone again at once.
  t.run("INSERT INTO sessions(agent_role, owner, repo_path, intent, started_at, last_seen_at, "
        "status) VALUES('', '', '', '', 0, 0, 'opened')");
  auto id = t.db.raw().getLastInsertRowid();
  t.run("DELETE FROM sessions WHERE id = ?", id);
  return id;
}

void insert_session(tx& t, const session& opened, int64_t heartbeat_timeout_seconds,
                    const caller& from) {
  t.run("INSERT INTO sessions(id, agent_role, owner, repo_path, intent, started_at, last_seen_at, "
        "status, heartbeat_timeout_seconds, server_id, client) VALUES(?, '', '', '', '', 0, 0, '', "
        "?, ?, ?)",
        opened.id, heartbeat_timeout_seconds,
        from.lasting ? std::optional{server_of(t, from)} : std::nullopt, from.client);
  t.update("sessions", opened);
}

session_context context_of(tx& t, const session& of) {
  session_context context;
  context.session = of;
  if (of.main_worktree_id)
    context.main_worktree = t.find<worktree>("worktrees", *of.main_worktree_id);
  if (of.session_root_worktree_id)
    context.session_root_worktree = t.find<worktree>("worktrees", *of.session_root_worktree_id);
  context.current_ref = active_ref(t, of.id);
  return context;
}

std::vector<resume_candidate> candidates_for(tx& t, int64_t requester,
                                             const std::optional<int64_t>& timeout_seconds) {
  // Only sessions with an active reference are looked at, by its index, however many there are.
  auto refs = t.select<current_ref>(
    "FROM current_refs r WHERE r.status = 'active' AND r.session_id <> ?1 AND EXISTS (SELECT 1 "
    "FROM sessions s WHERE s.id = r.session_id AND (s.status = 'suspended' OR (s.status IN "
    "('opened', 'active_new', 'awaiting_resume', 'active_resume') AND s.server_id IS NULL AND "
    "s.last_seen_at + 1000000 * coalesce(?2, s.heartbeat_timeout_seconds) < ?3))) ORDER BY "
    "r.updated_at DESC LIMIT 1000",
    requester, timeout_seconds, t.now);
  std::vector<resume_candidate> candidates;
  for (auto& ref : refs) {
    auto context = context_of(t, t.get<session>("sessions", ref.session_id, "session"));
    candidates.push_back(
      {std::move(context.session), std::move(ref), std::move(context.session_root_worktree)});
  }
  return candidates;
}

} // namespace orch
