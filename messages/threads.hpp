#pragma once

#include "messages/runtime.hpp"
#include "messages/sessions.hpp"

namespace orch {

inline const std::vector<std::string_view> thread_statuses{
  "planned",     "initializing", "running", "idle",   "waiting_user_answer",
  "interrupted", "completed",    "failed",  "stopped"};

/// What an agent is seen to do. Unknown is never taken for idle.
inline const std::vector<std::string_view> provider_statuses{
  "idle", "processing", "completed", "waiting_user_answer", "error", "exited", "unknown"};

inline const std::vector<std::string_view> provider_names{"codex", "claude_code", "command"};

/// One agent in a tmux pane. Each launch is an incarnation of it.
struct thread {
  int64_t id = 0;
  int64_t session_id = 0;
  std::optional<int64_t> parent_thread_id;
  std::string role;
  std::string status = "planned";
  std::optional<std::string> title;
  std::optional<std::string> objective;
  std::optional<int64_t> worktree_id;
  std::string provider = "codex";
  std::optional<std::string> agent_guide_path;
  std::optional<std::string> agent_override;
  std::optional<raw_json> task_spec;
  std::optional<raw_json> scope_task_ids;
  std::optional<raw_json> scope_case_ids;
  std::optional<raw_json> scope_node_ids;
  std::optional<std::string> tmux_session_name;
  std::optional<std::string> tmux_window_name;
  std::optional<std::string> tmux_pane_id;
  std::optional<std::string> launch_command;
  std::optional<std::string> log_file_path;
  std::optional<std::string> agent_session_id;
  int64_t incarnation = 0;
  std::optional<std::string> error_message;
  timestamp created_at;
  std::optional<timestamp> started_at;
  std::optional<timestamp> completed_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("session_id", session_id),
      optional("parent_thread_id", parent_thread_id),
      required("role", role),
      required("status", status).one_of(thread_statuses),
      optional("title", title),
      optional("objective", objective),
      optional("worktree_id", worktree_id),
      required("provider", provider),
      optional("agent_guide_path", agent_guide_path),
      optional("agent_override", agent_override),
      optional("task_spec", task_spec),
      optional("scope_task_ids", scope_task_ids),
      optional("scope_case_ids", scope_case_ids),
      optional("scope_node_ids", scope_node_ids),
      optional("tmux_session_name", tmux_session_name),
      optional("tmux_window_name", tmux_window_name),
      optional("tmux_pane_id", tmux_pane_id),
      optional("launch_command", launch_command, "its beginning, as a shell would take it"),
      optional("log_file_path", log_file_path, "events of the present incarnation, JSON lines"),
      optional("agent_session_id", agent_session_id, "the CLI's own id of the conversation"),
      required("incarnation", incarnation, "launches so far"),
      optional("error_message", error_message, "why it failed"),
      required("created_at", created_at),
      optional("started_at", started_at, "of the present incarnation"),
      optional("completed_at", completed_at),
      required("updated_at", updated_at),
    };
  }
};

/// How a person can watch.
struct attach_info {
  bool available = false;
  std::optional<std::string> tmux_session;
  std::optional<std::string> tmux_pane_id;
  bool read_only = false;
  std::optional<std::string> attach_command;
  std::optional<std::string> switch_command;

  field_list fields() {
    return {
      required("available", available, "is the tmux session there?"),
      optional("tmux_session", tmux_session),
      optional("tmux_pane_id", tmux_pane_id),
      required("read_only", read_only),
      optional("attach_command", attach_command, "outside of tmux"),
      optional("switch_command", switch_command, "inside of tmux"),
    };
  }
};

struct ensured_root_thread {
  orch::session session;
  thread root_thread;
  std::optional<tmux_readiness> tmux;
  orch::attach_info attach_info;
  std::string child_tmux_session;
  std::string child_attach_hint;

  field_list fields() {
    return {
      required("session", session),
      required("root_thread", root_thread),
      optional("tmux", tmux),
      required("attach_info", attach_info),
      required("child_tmux_session", child_tmux_session, "where its children run"),
      required("child_attach_hint", child_attach_hint, "a command that shows them"),
    };
  }
};

struct thread_root_ensure {
  static constexpr method about{
    "thread.root.ensure",
    "The session's root thread, made once: a tmux session in the session's worktree with the "
    "agent CLI launched in it, unless it runs already.",
    access::effect};
  using result = ensured_root_thread;

  int64_t session_id = 0;
  std::string role = "session-root";
  std::optional<std::string> title;
  std::optional<std::string> objective;
  std::optional<std::string> agent_guide_path;
  bool ensure_tmux = true;
  bool auto_install = true;
  std::optional<std::string> tmux_session_name;
  std::string tmux_window_name = "root";
  std::optional<std::string> initial_prompt;
  std::optional<std::string> launch_command;
  std::optional<std::string> codex_command;
  bool launch_codex = true;
  bool force_launch = false;
  std::optional<std::string> child_session_name;
  std::optional<std::string> provider;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      optional("role", role).trimmed(),
      optional("title", title),
      optional("objective", objective),
      optional("agent_guide_path", agent_guide_path, "a Markdown file; default: our guide")
        .trimmed(),
      optional("ensure_tmux", ensure_tmux, "look for tmux, install it if allowed"),
      optional("auto_install", auto_install),
      optional("tmux_session_name", tmux_session_name, "default codex-root-ID").trimmed(),
      optional("tmux_window_name", tmux_window_name).trimmed(),
      optional("initial_prompt", initial_prompt),
      optional("launch_command", launch_command, "instead of the agent CLI; words as in a shell"),
      optional("codex_command", codex_command, "the CLI's program and first arguments"),
      optional("launch_codex", launch_codex, "false: only the pane, with a shell"),
      optional("force_launch", force_launch, "end the running agent and launch a new one"),
      optional("child_session_name", child_session_name, "default codex-child-ID").trimmed(),
      optional("provider", provider, "default codex").one_of(provider_names),
    };
  }
};

struct spawned_thread {
  orch::thread thread;
  std::optional<tmux_readiness> tmux;
  orch::attach_info attach_info;

  field_list fields() {
    return {
      required("thread", thread),
      optional("tmux", tmux),
      required("attach_info", attach_info),
    };
  }
};

/// Agents at a time below one root thread, unless the caller says otherwise.
constexpr int64_t default_child_limit = 6;

struct thread_child_spawn {
  static constexpr method about{
    "thread.child.spawn",
    "Start an agent in a tmux pane of its own, below the session's root thread, with a task.",
    access::effect};
  using result = spawned_thread;

  int64_t session_id = 0;
  std::optional<int64_t> parent_thread_id;
  std::optional<int64_t> worktree_id;
  std::string role = "worker";
  std::optional<std::string> title;
  std::optional<std::string> objective;
  std::optional<std::string> agent_guide_path;
  std::optional<std::string> agent_override;
  std::optional<std::string> launch_command;
  std::string split_direction = "vertical";
  bool ensure_tmux = true;
  bool auto_install = true;
  std::optional<std::string> tmux_session_name;
  std::string tmux_window_name = "children";
  std::optional<std::string> initial_prompt;
  std::optional<std::string> codex_command;
  bool launch_codex = true;
  std::string provider = "codex";
  std::optional<int64_t> max_concurrent_children;
  std::optional<raw_json> task_spec;
  std::vector<int64_t> scope_task_ids;
  std::vector<int64_t> scope_case_ids;
  std::vector<int64_t> scope_node_ids;
  bool skip_ready_check = false;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("parent_thread_id", parent_thread_id, "default: the root thread"),
      id_of("worktree_id", worktree_id, "where it works; default: the session's root worktree"),
      optional("role", role, "worker, merge-reviewer, planner, ...").trimmed(),
      optional("title", title),
      optional("objective", objective),
      optional("agent_guide_path", agent_guide_path, "a Markdown file; default: the role's")
        .trimmed(),
      optional("agent_override", agent_override, "rules that go before the guide's"),
      optional("launch_command", launch_command, "instead of the agent CLI; words as in a shell"),
      optional("split_direction", split_direction).one_of({"vertical", "horizontal"}),
      optional("ensure_tmux", ensure_tmux, "look for tmux, install it if allowed"),
      optional("auto_install", auto_install),
      optional("tmux_session_name", tmux_session_name, "default codex-child-ROOT").trimmed(),
      optional("tmux_window_name", tmux_window_name).trimmed(),
      optional("initial_prompt", initial_prompt),
      optional("codex_command", codex_command, "the CLI's program and first arguments"),
      optional("launch_codex", launch_codex, "false: only the pane, with a shell"),
      optional("provider", provider).one_of(provider_names),
      optional("max_concurrent_children", max_concurrent_children, "default 6").range(1, 1'000),
      optional("task_spec", task_spec, "any JSON; given to the agent"),
      optional("scope_task_ids", scope_task_ids, "what it is to work on"),
      optional("scope_case_ids", scope_case_ids),
      optional("scope_node_ids", scope_node_ids),
      optional("skip_ready_check", skip_ready_check, "don't look whether it ends at once"),
    };
  }
};

struct thread_page {
  std::vector<thread> threads;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("threads", threads), next_cursor_field(next_cursor)}; }
};

struct thread_child_list {
  static constexpr method about{
    "thread.child.list",   "List a session's child threads with their live state, oldest first.",
    access::effect,        /*may_wait=*/false,
    /*destructive=*/false, /*only_looks=*/true};
  using result = thread_page;

  int64_t session_id = 0;
  std::optional<int64_t> parent_thread_id;
  std::optional<std::string> status;
  std::optional<std::string> role;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("parent_thread_id", parent_thread_id),
      optional("status", status).one_of(thread_statuses),
      optional("role", role).trimmed(),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct thread_state {
  int64_t thread_id = 0;
  std::string db_status;
  bool pane_exists = false;
  std::string provider_status;
  std::vector<std::string> evidence;
  std::optional<std::string> last_response;
  std::optional<int64_t> exit_code;
  std::optional<std::string> screen;

  field_list fields() {
    return {
      required("thread_id", thread_id),
      required("db_status", db_status).one_of(thread_statuses),
      required("pane_exists", pane_exists),
      required("provider_status", provider_status).one_of(provider_statuses),
      required("evidence", evidence, "what the state was judged by, best first"),
      optional("last_response", last_response, "the agent's last message"),
      optional("exit_code", exit_code, "of an agent that has ended"),
      optional("screen", screen, "the last lines of its pane"),
    };
  }
};

struct thread_child_status {
  static constexpr method about{
    "thread.child.status",
    "What an agent thread is doing now, and how that is known: hooks, transcript, process, screen.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = thread_state;

  int64_t thread_id = 0;
  int64_t capture_lines = 200;

  field_list fields() {
    return {
      id_of("thread_id", thread_id),
      optional("capture_lines", capture_lines, "of the pane, in the answer").range(0, 10'000),
    };
  }
};

struct thread_waited {
  int64_t thread_id = 0;
  std::string achieved_status;
  std::optional<std::string> last_response;
  int64_t elapsed_ms = 0;

  field_list fields() {
    return {
      required("thread_id", thread_id),
      required("achieved_status", achieved_status),
      optional("last_response", last_response, "the agent's last message"),
      required("elapsed_ms", elapsed_ms),
    };
  }
};

struct thread_child_wait_status {
  static constexpr method about{"thread.child.wait_status",
                                "Wait until an agent thread is in one of the given states.",
                                access::effect,
                                /*may_wait=*/true,
                                /*destructive=*/false,
                                /*only_looks=*/true};
  using result = thread_waited;

  int64_t thread_id = 0;
  std::vector<std::string> target_statuses;
  int64_t timeout_seconds = 45;

  field_list fields() {
    return {
      id_of("thread_id", thread_id),
      required("target_statuses", target_statuses).one_of(provider_statuses),
      optional("timeout_seconds", timeout_seconds).range(0, 86'400),
    };
  }
};

struct directed_thread {
  std::string outcome;
  std::string mode;
  orch::thread thread;
  bool delivered = false;
  std::string delivery;
  int64_t directive_id = 0;

  field_list fields() {
    return {
      required("result", outcome),
      required("mode", mode),
      required("thread", thread),
      required("delivered", delivered, "the agent was seen to take it"),
      required("delivery", delivery, "stored, typed, submitted, seen or failed"),
      required("directive_id", directive_id),
    };
  }
};

/// The longest directive, in bytes.
constexpr std::size_t longest_directive = 1'000'000;

struct thread_child_directive {
  static constexpr method about{
    "thread.child.directive",
    "Tell a running agent something: now (interrupting it), when its turn ends, or by restarting "
    "it. Says whether the agent took it.",
    access::effect, /*may_wait=*/true};
  using result = directed_thread;

  int64_t thread_id = 0;
  std::string directive;
  std::string mode = "interrupt_patch";
  int64_t wait_seconds = 30;

  field_list fields() {
    return {
      id_of("thread_id", thread_id),
      required("directive", directive, "any text; control characters are left out"),
      optional("mode", mode).one_of({"interrupt_patch", "queue", "restart"}),
      optional("wait_seconds", wait_seconds,
               "for the agent to take it; it is delivered later if "
               "that takes longer")
        .range(0, 3'600),
    };
  }
};

struct interrupted_thread {
  orch::thread thread;
  std::string outcome = "interrupt_sent";

  field_list fields() { return {required("thread", thread), required("result", outcome)}; }
};

struct thread_child_interrupt {
  static constexpr method about{"thread.child.interrupt", "Interrupt what an agent is doing.",
                                access::effect};
  using result = interrupted_thread;

  int64_t thread_id = 0;

  field_list fields() { return {id_of("thread_id", thread_id)}; }
};

struct stopped_thread {
  orch::thread thread;
  std::string outcome = "stopped";

  field_list fields() { return {required("thread", thread), required("result", outcome)}; }
};

struct thread_child_stop {
  static constexpr method about{
    "thread.child.stop", "End an agent; also one whose pane is gone already.", access::effect};
  using result = stopped_thread;

  int64_t thread_id = 0;
  bool terminate_pane = false;

  field_list fields() {
    return {
      id_of("thread_id", thread_id),
      optional("terminate_pane", terminate_pane, "remove the pane as well"),
    };
  }
};

struct thread_attach_info {
  static constexpr method about{
    "thread.attach_info",  "The command that shows a session's agents in tmux.",
    access::effect,        /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = attach_info;

  int64_t session_id = 0;
  std::optional<int64_t> thread_id;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("thread_id", thread_id, "default: the root thread"),
    };
  }
};

struct thread_methods {
  static constexpr std::string_view owner = "threads";
  using list = method_list<thread_root_ensure, thread_child_spawn, thread_child_list,
                           thread_child_status, thread_child_wait_status, thread_child_directive,
                           thread_child_interrupt, thread_child_stop, thread_attach_info>;
};

} // namespace orch
