#pragma once

#include "messages/threads.hpp"
#include "storage/tx.hpp"

namespace orch {

/// What a launch is made from, kept so that the thread can be launched again.
struct launch_spec {
  std::optional<std::string> launch_command;
  std::optional<std::string> codex_command;
  bool launch_codex = true;
  std::optional<std::string> initial_prompt;

  field_list fields() {
    return {
      optional("launch_command", launch_command),
      optional("codex_command", codex_command),
      optional("launch_codex", launch_codex),
      optional("initial_prompt", initial_prompt),
    };
  }
};

/// Where an incarnation of a thread runs. A pane id means nothing without the server it is of.
struct thread_pane {
  std::string id;
  int64_t pid = 0;             ///< of the program in it
  int64_t tmux_server_pid = 0; ///< 0: not known (a row of an earlier program)
};

/// A thread with what only we need to know of it.
struct thread_row {
  orch::thread thread;
  launch_spec launch;
  std::optional<thread_pane> pane;
  std::optional<std::string> transcript_path;
  std::optional<std::string> child_session_name;
  std::string worktree_path;     ///< where it works
  bool being_launched = false;   ///< by a server that is still at it
  bool has_first_prompt = false; ///< its command line carries one
};

/// Is the status one of an agent that runs, or is about to?
bool is_live(const std::string& thread_status);

/// The row of that id (not_found).
thread_row get_thread(tx& t, int64_t thread_id);

/// The session's root thread, made if it has none. The session must be open.
thread_row ensure_root_thread(tx& t, const thread_root_ensure& request);

/// A child, and the pane of a finished one that it is to take over.
struct planned_child {
  thread_row row;
  std::optional<thread_pane> reused;
};

/// Writes the row of a child: below the root thread or another thread of the session, in a worktree
/// of the session. Without `limit` it stays planned. With it its launch begins: `conflict` if so
/// many agents of the session run, and a finished child's pane is handed over if so many are there.
planned_child plan_child(tx& t, const thread_child_spawn& request, int64_t root_thread_id,
                         const std::optional<int64_t>& limit);

/// Begins a new incarnation: raises its number, forgets pane, log and error, status
/// `initializing`. `conflict` while another server launches the thread.
thread_row begin_launch(tx& t, int64_t thread_id);

/// What a launch is called among the things in hand.
std::string name_of_launch(int64_t thread_id);

/// The incarnation runs in `pane`.
thread_row note_launched(tx& t, int64_t thread_id, int64_t incarnation, const thread_pane& pane,
                         const std::string& session_name, const std::string& window_name);

/// The launch failed: status `failed`, or back to `planned` if `try_again`.
thread_row note_launch_failed(tx& t, int64_t thread_id, int64_t incarnation, const std::string& why,
                              bool try_again);

/// What was seen of an incarnation. Nothing happens if another one runs by now, and nothing is
/// written that is known already.
struct thread_sighting {
  int64_t thread_id = 0;
  int64_t incarnation = 0;
  std::string status;
  std::optional<std::string> agent_session_id;
  std::optional<std::string> transcript_path;
  std::optional<std::string> error_message;
};
void note_sighting(tx& t, const thread_sighting& seen);

/// Ends an incarnation: `stopped`, `completed` or `failed`; what was on its way to it is given up.
/// With `pane_gone` its pane is forgotten.
thread_row end_thread(tx& t, int64_t thread_id, const std::string& status, bool pane_gone);

/// What the ending of a thread is called among the things in hand.
std::string name_of_ending(int64_t thread_id);

/// This server is about to end the program of a thread that is over; then it has ended.
void note_ending(tx& t, int64_t thread_id);
void note_ended(tx& t, int64_t thread_id);

/// Threads that are over and whose programs nobody ends any more: that server has died.
std::vector<thread_row> half_ended_threads(tx& t);

/// The children of a session, without their live state.
thread_page list_children(tx& t, const thread_child_list& request);

/// All live threads of a session, children first.
std::vector<thread_row> live_threads_of(tx& t, int64_t session_id);

/// The ids of all live threads that nobody launches right now. Only reads.
std::vector<int64_t> live_threads(tx& t);

/// The name of the tmux session that the children of a root thread share.
std::string child_session_of(const thread_row& root);

} // namespace orch
