#pragma once

#include "messages/tasks.hpp"
#include "messages/worktrees.hpp"

namespace orch {

inline const std::vector<std::string_view> session_statuses{
  "opened",    "active_new",       "awaiting_resume", "active_resume",
  "suspended", "handoff_attached", "closed"};

/// Silence after which a session counts as stopped (contract, section 3).
constexpr int64_t default_heartbeat_timeout_seconds = 60;

/// One agent CLI at work in the repository.
struct session {
  int64_t id = 0;
  std::string agent_role = "codex";
  std::string owner = "unknown";
  std::string repo_path;
  std::optional<std::string> terminal_fingerprint;
  std::string intent = "new_work";
  std::optional<int64_t> main_worktree_id;
  std::optional<int64_t> session_root_worktree_id;
  std::optional<int64_t> root_thread_id;
  std::optional<std::string> tmux_session_name;
  std::optional<std::string> runtime_state;
  timestamp started_at;
  timestamp last_seen_at;
  std::string status = "opened";

  field_list fields() {
    return {
      required("id", id),
      required("agent_role", agent_role),
      required("owner", owner),
      required("repo_path", repo_path),
      optional("terminal_fingerprint", terminal_fingerprint),
      required("intent", intent),
      optional("main_worktree_id", main_worktree_id),
      optional("session_root_worktree_id", session_root_worktree_id),
      optional("root_thread_id", root_thread_id),
      optional("tmux_session_name", tmux_session_name),
      optional("runtime_state", runtime_state),
      required("started_at", started_at),
      required("last_seen_at", last_seen_at),
      required("status", status).one_of(session_statuses),
    };
  }
};

/// What a session is working on; survives compaction and restarts.
struct current_ref {
  int64_t id = 0;
  int64_t session_id = 0;
  std::string node_type;
  int64_t node_id = 0;
  std::optional<int64_t> checkpoint_id;
  std::string mode = "compact";
  std::string status = "active";
  std::optional<std::string> next_action;
  std::optional<std::string> summary;
  std::optional<std::vector<std::string>> required_files;
  std::optional<timestamp> acked_at;
  int64_t version = 1;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("session_id", session_id),
      required("node_type", node_type, "case, ..."),
      required("node_id", node_id),
      optional("checkpoint_id", checkpoint_id),
      required("mode", mode, "compact, resume or handoff"),
      required("status", status, "active, completed or handed_off"),
      optional("next_action", next_action),
      optional("summary", summary),
      optional("required_files", required_files),
      optional("acked_at", acked_at),
      required("version", version),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

struct session_context {
  orch::session session;
  std::optional<worktree> main_worktree;
  std::optional<worktree> session_root_worktree;
  std::optional<orch::current_ref> current_ref;

  field_list fields() {
    return {
      required("session", session),
      optional("main_worktree", main_worktree),
      optional("session_root_worktree", session_root_worktree),
      optional("current_ref", current_ref),
    };
  }
};

struct resume_candidate {
  orch::session session;
  orch::current_ref current_ref;
  std::optional<worktree> session_root_worktree;

  field_list fields() {
    return {
      required("session", session),
      required("current_ref", current_ref),
      optional("session_root_worktree", session_root_worktree),
    };
  }
};

struct opened_session {
  std::optional<orch::session_context> session_context;
  std::optional<std::string> worktree_slug;
  std::optional<std::string> viewer_tmux_session;
  std::optional<std::string> note;
  std::optional<orch::session> session;
  std::optional<worktree> main_worktree;
  std::optional<std::string> action_required;
  std::optional<std::vector<resume_candidate>> resume_candidates;

  field_list fields() {
    return {
      optional("session_context", session_context, "new_work: the session and its worktrees"),
      optional("worktree_slug", worktree_slug),
      optional("viewer_tmux_session", viewer_tmux_session),
      optional("note", note),
      optional("session", session, "resume_work: the session"),
      optional("main_worktree", main_worktree),
      optional("action_required", action_required, "select_resume_candidate"),
      optional("resume_candidates", resume_candidates),
    };
  }
};

struct session_open {
  static constexpr method about{
    "session.open",
    "Open a session. new_work makes a branch and worktree of its own; resume_work "
    "offers stopped sessions to take over.",
    access::effect};
  using result = opened_session;

  std::string intent = "auto";
  std::string agent_role = "codex";
  std::string owner = "unknown";
  std::optional<std::string> terminal_fingerprint;
  int64_t heartbeat_timeout_seconds = default_heartbeat_timeout_seconds;
  std::optional<std::string> user_request;
  std::optional<std::string> worktree_name;

  field_list fields() {
    return {
      optional("intent", intent, "auto is new_work").one_of({"new_work", "resume_work", "auto"}),
      optional("agent_role", agent_role).trimmed(),
      optional("owner", owner, "who runs the agent").trimmed(),
      optional("terminal_fingerprint", terminal_fingerprint),
      optional("heartbeat_timeout_seconds", heartbeat_timeout_seconds,
               "silence after which a session counts as stopped")
        .range(1, 31'536'000),
      optional("user_request", user_request, "names branch and worktree by its words"),
      optional("worktree_name", worktree_name, "names branch and worktree").trimmed(),
    };
  }
};

struct session_heartbeat {
  static constexpr method about{"session.heartbeat", "Say that a session is still at work.",
                                access::write};
  using result = session;

  int64_t session_id = 0;

  field_list fields() { return {id_of("session_id", session_id).session()}; }
};

struct session_context_get {
  static constexpr method about{
    "session.context", "A session with its worktrees and current reference.", access::read};
  using result = session_context;

  int64_t session_id = 0;

  field_list fields() { return {id_of("session_id", session_id).session()}; }
};

struct session_entry {
  orch::session session;
  bool tmux_alive = false;
  bool connected = false;

  field_list fields() {
    return {
      required("session", session),
      required("tmux_alive", tmux_alive, "its tmux session exists"),
      required("connected", connected, "its agent's connection to a server is open"),
    };
  }
};

struct session_page {
  std::vector<session_entry> sessions;
  int64_t count = 0;
  std::optional<std::string> next_cursor;

  field_list fields() {
    return {
      required("sessions", sessions),
      required("count", count, "of this page"),
      next_cursor_field(next_cursor),
    };
  }
};

struct session_list {
  static constexpr method about{
    "session.list",     "List sessions, newest first.", access::effect,
    /*may_wait=*/false, /*destructive=*/false,          /*only_looks=*/true};
  using result = session_page;

  std::optional<std::string> status;
  bool include_closed = false;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("status", status).one_of(session_statuses),
      optional("include_closed", include_closed),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct session_close {
  static constexpr method about{"session.close",
                                "Close a session; its locks and the main merge lock are released.",
                                access::write};
  using result = session;

  int64_t session_id = 0;
  bool release_locks = true;

  field_list fields() {
    return {id_of("session_id", session_id).session(), optional("release_locks", release_locks)};
  }
};

struct cleaned_session {
  std::string outcome;
  int64_t threads_stopped = 0;
  bool session_killed = false;
  int64_t worktrees_removed = 0;
  std::vector<kept_worktree> kept;

  field_list fields() {
    return {
      required("result", outcome, "cleaned_up"),
      required("threads_stopped", threads_stopped),
      required("session_killed", session_killed, "its tmux session was ended"),
      required("worktrees_removed", worktrees_removed, "how many"),
      required("kept", kept, "worktrees that were not removed, and why"),
    };
  }
};

struct session_cleanup {
  static constexpr method about{
    "session.cleanup",
    "Close a session for good and, if asked, remove its worktrees. Work that "
    "exists nowhere else is never deleted without force.",
    access::effect, /*may_wait=*/false, /*destructive=*/true};
  using result = cleaned_session;

  int64_t session_id = 0;
  bool remove_worktrees = false;
  bool force = false;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      optional("remove_worktrees", remove_worktrees),
      optional("force", force, "remove unmerged work too, kept under a backup ref"),
    };
  }
};

struct resume_point {
  std::optional<orch::task> task;
  std::optional<orch::checkpoint> checkpoint;
  std::optional<std::string> next_step;

  field_list fields() {
    return {
      optional("task", task, "the case to go on with"),
      optional("checkpoint", checkpoint, "its newest"),
      optional("next_step", next_step, "its first planned step, or its next action"),
    };
  }
};

struct resume_next {
  static constexpr method about{
    "resume.next",
    "Which case to go on with: in progress before blocked before todo, then the "
    "most urgent. With claim it is begun for the session, never for two.",
    access::write};
  using result = resume_point;

  std::optional<int64_t> session_id;
  bool claim = false;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      optional("claim", claim, "begin it for the session"),
    };
  }
};

struct resume_candidate_list {
  std::vector<resume_candidate> candidates;

  field_list fields() { return {required("candidates", candidates)}; }
};

struct resume_candidates_list {
  static constexpr method about{"resume.candidates.list",
                                "Stopped sessions with unfinished work that the session may take "
                                "over.",
                                access::settle};
  using result = resume_candidate_list;

  int64_t requester_session_id = 0;
  std::optional<int64_t> heartbeat_timeout_seconds;

  field_list fields() {
    return {
      id_of("requester_session_id", requester_session_id).session(),
      optional("heartbeat_timeout_seconds", heartbeat_timeout_seconds,
               "silence after which a session counts as stopped; default: each session's own")
        .range(0, 31'536'000),
    };
  }
};

struct resume_candidates_attach {
  static constexpr method about{"resume.candidates.attach",
                                "Take over a stopped session: its worktrees, threads, locks and "
                                "current reference.",
                                access::write};
  using result = session_context;

  int64_t requester_session_id = 0;
  int64_t target_session_id = 0;

  field_list fields() {
    return {
      id_of("requester_session_id", requester_session_id).session(),
      id_of("target_session_id", target_session_id, "a candidate"),
    };
  }
};

struct git_state {
  std::string branch;
  std::optional<std::string> head;
  bool dirty = false;

  field_list fields() {
    return {
      required("branch", branch),
      optional("head", head, "commit id"),
      required("dirty", dirty, "has uncommitted changes"),
    };
  }
};

struct work_point {
  std::string source;
  std::optional<orch::current_ref> current_ref;
  std::optional<orch::task> task;
  std::optional<orch::checkpoint> checkpoint;
  std::optional<std::string> next_step;
  std::optional<git_state> git;
  std::optional<bool> shortened;

  field_list fields() {
    return {
      required("source", source, "current_refs, resume.next or none"),
      optional("current_ref", current_ref),
      optional("task", task),
      optional("checkpoint", checkpoint),
      optional("next_step", next_step),
      optional("git", git, "of the session's worktree"),
      optional("shortened", shortened, "long texts were cut to stay under 4 KiB"),
    };
  }
};

struct work_current_ref {
  static constexpr method about{
    "work.current_ref",
    "The minimum needed to go on after context compaction or a restart: "
    "current case, newest checkpoint, next step, git state.",
    access::effect};
  using result = work_point;

  int64_t session_id = 0;
  std::optional<std::string> mode;
  std::optional<std::vector<std::string>> required_files;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      optional("mode", mode).one_of({"compact", "resume", "handoff"}),
      optional("required_files", required_files, "kept with the reference"),
    };
  }
};

struct work_current_ref_ack {
  static constexpr method about{"work.current_ref.ack",
                                "Confirm that the current reference was read.", access::write};
  using result = current_ref;

  int64_t session_id = 0;
  int64_t ref_id = 0;

  field_list fields() {
    return {id_of("session_id", session_id).session(), id_of("ref_id", ref_id)};
  }
};

struct session_methods {
  static constexpr std::string_view owner = "sessions";
  using list = method_list<session_open, session_heartbeat, session_context_get, session_list,
                           session_close, session_cleanup, resume_next, resume_candidates_list,
                           resume_candidates_attach, work_current_ref, work_current_ref_ack>;
};

} // namespace orch
