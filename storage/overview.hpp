#pragma once

// What a person wants to know of a repository at one look: what runs, what is stuck, what needs
// them. Read from the rows alone, beside living servers and without writing anything.

#include "messages/main_lock.hpp"

#include <filesystem>
#include <functional>

namespace orch {

/// A session that has not ended.
struct overview_session {
  int64_t id = 0;
  std::string role;
  std::string owner;
  std::string status;
  std::optional<std::string> branch;
  std::optional<int64_t> root_thread_id;
  std::optional<std::string> root_status;
  std::string server;
  bool silent = false;
  bool resumable = false;
  timestamp started_at;
  timestamp last_seen_at;

  field_list fields() {
    return {
      required("id", id),
      required("role", role),
      required("owner", owner),
      required("status", status),
      optional("branch", branch, "of its root worktree"),
      optional("root_thread_id", root_thread_id),
      optional("root_status", root_status, "of its root thread, as stored"),
      required("server", server, "that keeps it alive: alive, dead or none"),
      required("silent", silent, "it shows no sign of life"),
      required("resumable", resumable, "it has unfinished work to take over"),
      required("started_at", started_at),
      required("last_seen_at", last_seen_at),
    };
  }
};

/// An agent that runs, is to run, or has failed in a session that goes on.
struct overview_thread {
  int64_t id = 0;
  int64_t session_id = 0;
  std::optional<int64_t> parent_thread_id;
  std::string role;
  std::optional<std::string> title;
  std::string status;
  std::string provider;
  std::optional<std::string> tmux_session;
  std::optional<std::string> pane;
  std::optional<std::string> error_message;
  timestamp since;

  field_list fields() {
    return {
      required("id", id),
      required("session_id", session_id),
      optional("parent_thread_id", parent_thread_id),
      required("role", role),
      optional("title", title),
      required("status", status, "as stored; thread.child.status looks at the agent"),
      required("provider", provider),
      optional("tmux_session", tmux_session),
      optional("pane", pane),
      optional("error_message", error_message),
      required("since", since, "its row was changed last"),
    };
  }
};

/// An active lease and who waits for it.
struct overview_lock {
  int64_t id = 0;
  std::string path;
  std::string scope;
  std::string mode;
  std::string holder;
  timestamp lease_until;
  std::vector<std::string> waiters;

  field_list fields() {
    return {
      required("id", id),
      required("path", path),
      required("scope", scope, "file or prefix"),
      required("mode", mode),
      required("holder", holder),
      required("lease_until", lease_until),
      required("waiters", waiters, "who waits for it, first come first").computed(),
    };
  }
};

/// A place in the merge queue, or one that ended badly and was not tried again.
struct overview_merge {
  int64_t id = 0;
  int64_t session_id = 0;
  int64_t from_worktree_id = 0;
  std::optional<std::string> branch;
  std::string target_branch;
  int64_t priority = 0;
  std::string state;
  std::optional<int64_t> merge_request_id;
  std::optional<std::string> review;
  std::optional<std::string> error_message;
  timestamp created_at;

  field_list fields() {
    return {
      required("id", id),
      required("session_id", session_id),
      required("from_worktree_id", from_worktree_id),
      optional("branch", branch),
      required("target_branch", target_branch),
      required("priority", priority),
      required("state", state),
      optional("merge_request_id", merge_request_id),
      optional("review", review, "the status of its merge request"),
      optional("error_message", error_message),
      required("created_at", created_at),
    };
  }
};

/// The newest review job of a merge request that is not decided yet.
struct overview_review {
  int64_t id = 0;
  int64_t merge_request_id = 0;
  int64_t session_id = 0;
  std::optional<int64_t> reviewer_thread_id;
  std::string state;
  std::string request_status;
  int64_t failures = 0;
  std::optional<timestamp> deadline;
  std::optional<std::string> error_message;
  timestamp created_at;

  field_list fields() {
    return {
      required("id", id),
      required("merge_request_id", merge_request_id),
      required("session_id", session_id, "whose work is reviewed"),
      optional("reviewer_thread_id", reviewer_thread_id),
      required("state", state),
      required("request_status", request_status),
      required("failures", failures, "jobs in a row that ended without a verdict"),
      optional("deadline", deadline),
      optional("error_message", error_message),
      required("created_at", created_at),
    };
  }
};

struct overview_worktree {
  int64_t id = 0;
  std::optional<int64_t> session_id;
  std::string path;
  std::string branch;
  std::string status;
  std::string kind;
  std::string merge_state;
  timestamp created_at;
  bool missing = false;
  std::optional<int64_t> disk_bytes;

  field_list fields() {
    return {
      required("id", id),
      optional("session_id", session_id),
      required("path", path),
      required("branch", branch),
      required("status", status),
      required("kind", kind),
      required("merge_state", merge_state),
      required("created_at", created_at),
      required("missing", missing, "it is no longer on disk").computed(),
      optional("disk_bytes", disk_bytes, "absent while not measured yet").computed(),
    };
  }
};

/// How many there are, also of what is too much to be listed.
struct overview_counts {
  int64_t sessions = 0;
  int64_t agents = 0;
  int64_t locks = 0;
  int64_t waiters = 0;
  int64_t merges = 0;
  int64_t reviews = 0;
  int64_t worktrees = 0;
  int64_t tasks_todo = 0;
  int64_t tasks_in_progress = 0;
  int64_t tasks_blocked = 0;
  int64_t tasks_done = 0;

  field_list fields() {
    return {
      required("sessions", sessions, "that have not ended"),
      required("agents", agents, "threads that run, as stored"),
      required("locks", locks),
      required("waiters", waiters, "in line for locks and the main merge lock"),
      required("merges", merges, "queued or being merged"),
      required("reviews", reviews, "that run"),
      required("worktrees", worktrees, "without the main one"),
      required("tasks_todo", tasks_todo),
      required("tasks_in_progress", tasks_in_progress),
      required("tasks_blocked", tasks_blocked),
      required("tasks_done", tasks_done),
    };
  }
};

/// Something that does not go on by itself.
struct overview_problem {
  std::string severity;
  std::string kind;
  std::string what;
  raw_json ids{"{}"};
  std::string hint;
  std::optional<timestamp> since;

  field_list fields() {
    return {
      required("severity", severity, "needs_person or stuck"),
      required("kind", kind, "one word for each sort of problem"),
      required("what", what),
      required("ids", ids, "of the rows it is about, under their names as parameters").object(),
      required("hint", hint, "a command or method that helps"),
      optional("since", since),
    };
  }
};

struct overview {
  std::string name;
  std::string repository;
  std::optional<std::string> note;
  timestamp at;
  int64_t db_version = 0;
  std::optional<int64_t> servers;
  std::optional<int64_t> clients;
  overview_counts counts;
  std::vector<overview_problem> problems;
  std::vector<overview_session> sessions;
  std::vector<overview_thread> threads;
  std::vector<overview_lock> locks;
  std::optional<main_merge_lock> main_lock;
  std::vector<overview_merge> merges;
  std::vector<overview_review> reviews;
  std::vector<overview_worktree> worktrees;

  field_list fields() {
    return {
      required("name", name),
      required("repository", repository, "the main work tree"),
      optional("note", note, "why there is nothing more to tell"),
      required("at", at, "when this was read"),
      required("db_version", db_version),
      optional("servers", servers, "processes that work on the state; absent: cannot be told"),
      optional("clients", clients, "connected ones, of these or over a supervisor's bridges"),
      required("counts", counts),
      required("problems", problems, "what needs a person first"),
      required("sessions", sessions, "that have not ended"),
      required("threads", threads, "that run or have failed"),
      required("locks", locks),
      optional("main_lock", main_lock, "while it is held"),
      required("merges", merges),
      required("reviews", reviews),
      required("worktrees", worktrees),
    };
  }
};

/// What the rows do not tell.
struct overview_facts {
  timestamp now;
  /// The ids of the servers that live. Nothing: that cannot be told, then all may.
  std::optional<std::vector<int64_t>> servers{};
  int64_t clients = 0; ///< how many of these are clients
  std::function<bool(const std::filesystem::path&)> is_directory =
    [](const std::filesystem::path&) { return true; };
  /// The command that shows a tmux session.
  std::function<std::string(const std::string&)> attach_command = [](const std::string& session) {
    return "tmux attach-session -t " + session;
  };
  int64_t most_failed_reviews = 3;
};

/// Lists end after so many rows; the counts tell of the rest.
constexpr int64_t most_overview_rows = 1'000;

/// Silence after which somebody should decide what becomes of a session.
constexpr int64_t long_silence_seconds = 3'600;

/// Reads a state.db. Touches no file that no server has open. `name`, `repository` and `disk_bytes`
/// are left to the caller. Throws `std::runtime_error` with one line if it cannot be read, or is of
/// a version that this program does not read.
overview read_overview(const std::filesystem::path& state, const overview_facts& facts);

} // namespace orch
