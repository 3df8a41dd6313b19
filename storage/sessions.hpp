#pragma once

#include "messages/sessions.hpp"
#include "storage/tx.hpp"

#include <set>

namespace orch {

session heartbeat_session(tx& t, const session_heartbeat& request, const caller& from);
session_context get_session_context(tx& t, const session_context_get& request);
session_page list_sessions(tx& t, const session_list& request);
session close_session(tx& t, const session_close& request);
resume_point next_to_resume(tx& t, const resume_next& request);
resume_candidate_list list_resume_candidates(tx& t, const resume_candidates_list& request);
session_context attach_resume_candidate(tx& t, const resume_candidates_attach& request,
                                        const caller& from);
current_ref ack_current_ref(tx& t, const work_current_ref_ack& request);

/// What `work.current_ref` tells, but for the git state: the active reference or a new one made
/// from what `resume.next` would give.
work_point get_work_point(tx& t, const work_current_ref& request);

/// A sign of life of a session: raises last_seen_at and wakes a suspended one. Written at most
/// every 5 s; no change of state unless the session was suspended. Unknown and ended sessions are
/// passed over. With `from.lasting`, a session that no living server keeps alive is kept by the
/// caller's.
void note_sign_of_life(tx& t, int64_t session_id, const caller& from);

/// The process that keeps the sessions of the caller alive.
int64_t server_of(const tx& t, const caller& from);

/// The sessions that a server kept alive (0: ours) are suspended: its connection has ended.
void suspend_sessions_of_server(tx& t, int64_t server);

/// Signs of life for all sessions that these servers (0: ours) keep alive.
void keep_sessions_alive(tx& t, const std::set<int64_t>& servers);

/// Suspends the sessions whose server died without saying so.
void suspend_sessions_of_dead_servers(tx& t);

/// Sessions that no connection keeps alive and that gave no sign of life in time are suspended.
void suspend_silent_sessions(tx& t);

/// Would the two do anything? Only reads.
bool any_session_to_suspend(tx& t);

/// Throws unless the session exists (not_found) and is neither closed nor handed over
/// (failed_precondition). Returns it.
session must_be_open(tx& t, int64_t session_id);

/// SQL that is true for a row `alias` of sessions that shows signs of life at time `now_mark`.
std::string live_session_sql(const std::string& alias, const std::string& now_mark);

/// Reserves the id of a session that is being opened; it is never given to another.
int64_t reserve_session_id(tx& t);

/// Writes a session that was reserved, kept alive by our server if the connection lasts.
void insert_session(tx& t, const session& opened, int64_t heartbeat_timeout_seconds,
                    const caller& from);

session_context context_of(tx& t, const session& of);

std::vector<resume_candidate> candidates_for(tx& t, int64_t requester,
                                             const std::optional<int64_t>& timeout_seconds);

} // namespace orch
