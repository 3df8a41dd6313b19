#pragma once

#include "messages/conflicts.hpp"
#include "messages/locks.hpp"
#include "messages/reviewers.hpp"
#include "messages/tasks.hpp"

namespace orch {

inline const std::vector<std::string_view> main_merge_states{
  "queued", "merging", "merged", "conflict", "checks_failed", "failed", "cancelled"};

/// The wish to have a feature merged, for a reviewer to judge.
struct merge_request_record {
  int64_t id = 0;
  int64_t feature_task_id = 0;
  std::string status = "requested";
  std::optional<std::string> reviewer_session;
  std::optional<raw_json> notes;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("feature_task_id", feature_task_id),
      required("status", status, "requested, in_review, approved, rejected, merged or cancelled"),
      optional("reviewer_session", reviewer_session),
      optional("notes", notes),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

/// A place in the queue that merges session branches into main.
struct main_merge_request {
  int64_t id = 0;
  int64_t session_id = 0;
  int64_t from_worktree_id = 0;
  std::string target_branch;
  std::optional<int64_t> merge_request_id;
  int64_t priority = 0;
  std::string state = "queued";
  std::optional<std::string> head_sha;
  std::optional<std::string> merge_commit;
  std::optional<std::string> error_message;
  std::optional<std::vector<std::string>> conflict_paths{};
  std::optional<std::string> conflicts_with_commit{};
  std::optional<int64_t> conflicts_with_request{};
  std::optional<std::string> check_log{};
  bool flaky = false;
  std::optional<timestamp> started_at;
  std::optional<timestamp> completed_at;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("session_id", session_id),
      required("from_worktree_id", from_worktree_id),
      required("target_branch", target_branch),
      optional("merge_request_id", merge_request_id),
      required("priority", priority),
      required("state", state).one_of(main_merge_states),
      optional("head_sha", head_sha, "of the session branch when it was queued"),
      optional("merge_commit", merge_commit),
      optional("error_message", error_message),
      optional("conflict_paths", conflict_paths),
      optional("conflicts_with_commit", conflicts_with_commit, "the first on the target branch"),
      optional("conflicts_with_request", conflicts_with_request, "that brought that commit"),
      optional("check_log", check_log, "the output of its last check, a file"),
      optional("flaky", flaky, "its check failed, and passed when it was repeated"),
      optional("started_at", started_at),
      optional("completed_at", completed_at),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

struct merge_request {
  static constexpr method about{"merge.request", "Ask for a feature to be reviewed and merged.",
                                access::write};
  using result = merge_request_record;

  int64_t feature_task_id = 0;
  std::optional<std::string> reviewer_session;
  std::optional<raw_json> notes;

  field_list fields() {
    return {
      id_of("feature_task_id", feature_task_id),
      optional("reviewer_session", reviewer_session).trimmed(),
      optional("notes", notes, "any JSON").also_called("notes_json"),
    };
  }
};

struct review_context {
  merge_request_record merge_request;
  task feature;
  std::vector<task> children;
  raw_json checkpoints{"{}"};
  std::optional<std::string> diffstat;

  field_list fields() {
    return {
      required("merge_request", merge_request),
      required("feature", feature),
      required("children", children, "all tasks below the feature"),
      required("checkpoints", checkpoints, "{case id: its newest checkpoint}").object(),
      optional("diffstat", diffstat, "of the queued branch against its target"),
    };
  }
};

struct merge_review_context {
  static constexpr method about{
    "merge.review_context",
    "What a reviewer needs: the feature, the tasks below it, the newest "
    "checkpoint of each case, and the diffstat once it is queued.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = review_context;

  int64_t merge_request_id = 0;

  field_list fields() { return {id_of("merge_request_id", merge_request_id)}; }
};

struct error_note {
  std::string code;
  std::string message;

  field_list fields() { return {required("code", code), required("message", message)}; }
};

struct queued_main_merge {
  orch::main_merge_request main_merge_request;
  std::optional<requested_review> review_dispatch;
  std::optional<error_note> review_dispatch_error;

  field_list fields() {
    return {
      required("main_merge_request", main_merge_request),
      optional("review_dispatch", review_dispatch, "the reviewer that was started"),
      optional("review_dispatch_error", review_dispatch_error, "why no reviewer was started"),
    };
  }
};

struct merge_main_request {
  static constexpr method about{
    "merge.main.request",
    "Queue the session's branch to be merged into main. Needs committed work "
    "and merged child worktrees.",
    access::effect};
  using result = queued_main_merge;

  int64_t session_id = 0;
  int64_t from_worktree_id = 0;
  std::optional<std::string> target_branch;
  std::optional<int64_t> merge_request_id;
  std::optional<bool> auto_review;
  std::optional<std::string> reviewer_role;
  std::optional<std::string> agent_guide_path;
  int64_t priority = 0;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("from_worktree_id", from_worktree_id, "the session's root worktree"),
      optional("target_branch", target_branch, "default: the repository's main branch").trimmed(),
      id_of("merge_request_id", merge_request_id, "the review it belongs to"),
      optional("auto_review", auto_review, "start a reviewer; default: with merge_request_id"),
      optional("reviewer_role", reviewer_role).trimmed(),
      optional("agent_guide_path", agent_guide_path).trimmed(),
      optional("priority", priority, "higher goes first"),
    };
  }
};

struct next_main_merge {
  std::optional<orch::main_merge_request> main_merge_request;

  field_list fields() { return {optional("main_merge_request", main_merge_request)}; }
};

struct merge_main_next {
  static constexpr method about{"merge.main.next", "The next queued merge: by priority, then age.",
                                access::read};
  using result = next_main_merge;

  field_list fields() { return {}; }
};

struct main_merge_status {
  orch::main_merge_request main_merge_request;
  std::optional<int64_t> position;
  std::optional<std::string> waits_for;

  field_list fields() {
    return {
      required("main_merge_request", main_merge_request),
      optional("position", position, "1 is next"),
      optional("waits_for", waits_for, "why it has not moved yet"),
    };
  }
};

struct merge_main_status {
  static constexpr method about{"merge.main.status",
                                "A queued merge with its place in the queue and why it waits.",
                                access::settle};
  using result = main_merge_status;

  int64_t request_id = 0;

  field_list fields() { return {id_of("request_id", request_id)}; }
};

struct main_merge_page {
  std::vector<main_merge_request> requests;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("requests", requests), next_cursor_field(next_cursor)}; }
};

struct merge_main_list {
  static constexpr method about{"merge.main.list", "List the merge queue, newest first.",
                                access::read};
  using result = main_merge_page;

  std::optional<std::string> state;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("state", state).one_of(main_merge_states),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct merge_main_acquire_lock {
  static constexpr method about{
    "merge.main.acquire_lock",
    "Lease the right to merge into main; refused or waits while another "
    "session holds it.",
    access::write, /*may_wait=*/true};
  using result = main_merge_lock;

  int64_t session_id = 0;
  int64_t ttl_seconds = 600;
  int64_t wait_seconds = 0;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      ttl_field(ttl_seconds),
      wait_field(wait_seconds),
    };
  }
};

struct merge_main_release_lock {
  static constexpr method about{"merge.main.release_lock", "Give the main merge lock back.",
                                access::write};
  using result = main_merge_lock;

  int64_t session_id = 0;

  field_list fields() { return {id_of("session_id", session_id).session()}; }
};

struct processed_main_merges {
  std::vector<main_merge_request> requests;
  std::optional<std::string> target_branch;
  std::optional<std::string> target_before;
  std::optional<std::string> target_after;
  int64_t checks = 0;
  std::optional<std::string> why_stopped;

  field_list fields() {
    return {
      required("requests", requests, "those that were taken up, in their order, as they are now"),
      optional("target_branch", target_branch),
      optional("target_before", target_before, "the commit it was at"),
      optional("target_after", target_after, "the commit it is at"),
      required("checks", checks, "runs of the check command"),
      optional("why_stopped", why_stopped, "why something that was taken up is still queued"),
    };
  }
};

struct merge_main_process {
  static constexpr method about{
    "merge.main.process",
    "Merge the next requests of the queue, or one of them, into their target branch, after the "
    "configured check. The session must hold the main merge lock.",
    access::effect, /*may_wait=*/true};
  using result = processed_main_merges;

  int64_t session_id = 0;
  std::optional<int64_t> request_id;
  int64_t timeout_seconds = 7'200;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("request_id", request_id, "only that one"),
      optional("timeout_seconds", timeout_seconds,
               "what is not done by then stays queued; 0: other requests wait for it")
        .range(0, 86'400),
    };
  }
};

struct wait_reason {
  std::string code;
  std::string message;
  std::optional<raw_json> data{};

  field_list fields() {
    return {
      required("code", code, "a word for programs"),
      required("message", message),
      optional("data", data),
    };
  }
};

struct explained_main_merge {
  orch::main_merge_request main_merge_request;
  std::optional<int64_t> position;
  std::vector<wait_reason> reasons;

  field_list fields() {
    return {
      required("main_merge_request", main_merge_request),
      optional("position", position, "1 is next"),
      required("reasons", reasons, "why it is not merged, the most important first"),
    };
  }
};

struct merge_main_explain {
  static constexpr method about{
    "merge.main.explain",  "Why a request of the merge queue is not moving.", access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = explained_main_merge;

  int64_t request_id = 0;

  field_list fields() { return {id_of("request_id", request_id)}; }
};

struct merge_main_cancel {
  static constexpr method about{"merge.main.cancel", "Take a queued merge out of the queue.",
                                access::write};
  using result = main_merge_request;

  int64_t request_id = 0;

  field_list fields() { return {id_of("request_id", request_id)}; }
};

struct merge_methods {
  static constexpr std::string_view owner = "merge_queue";
  using list = method_list<merge_request, merge_review_context, merge_main_request, merge_main_next,
                           merge_main_status, merge_main_list, merge_main_acquire_lock,
                           merge_main_release_lock, merge_main_process, merge_main_explain,
                           merge_main_cancel, merge_conflicts_preview>;
};

} // namespace orch
