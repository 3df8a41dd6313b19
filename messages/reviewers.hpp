#pragma once

#include "messages/main_lock.hpp"
#include "messages/threads.hpp"

namespace orch {

inline const std::vector<std::string_view> review_job_states{"running", "completed", "failed"};

/// One review of a merge request by a reviewer thread.
struct review_job {
  int64_t id = 0;
  int64_t merge_request_id = 0;
  int64_t session_id = 0;
  std::optional<int64_t> reviewer_thread_id;
  std::string state = "running";
  std::optional<std::string> head_sha;
  std::optional<std::string> verdict;
  std::optional<std::string> summary;
  std::optional<raw_json> findings;
  std::optional<raw_json> notes;
  bool holds_main_lock = false;
  std::optional<std::string> error_message;
  std::optional<timestamp> deadline;
  timestamp created_at;
  timestamp updated_at;
  std::optional<timestamp> completed_at;

  field_list fields() {
    return {
      required("id", id),
      required("merge_request_id", merge_request_id),
      required("session_id", session_id, "whose work is reviewed"),
      optional("reviewer_thread_id", reviewer_thread_id),
      required("state", state).one_of(review_job_states),
      optional("head_sha", head_sha, "the commit that is reviewed"),
      optional("verdict", verdict, "approve or block"),
      optional("summary", summary),
      optional("findings", findings),
      optional("notes", notes),
      required("holds_main_lock", holds_main_lock, "while it runs"),
      optional("error_message", error_message, "why it failed"),
      optional("deadline", deadline, "it fails if there is no verdict by then"),
      required("created_at", created_at),
      required("updated_at", updated_at),
      optional("completed_at", completed_at),
    };
  }
};

struct requested_review {
  orch::review_job review_job;
  orch::thread thread;
  std::optional<tmux_readiness> tmux;
  orch::attach_info attach_info;
  std::optional<main_merge_lock> main_lock;

  field_list fields() {
    return {
      required("review_job", review_job),
      required("thread", thread),
      optional("tmux", tmux),
      required("attach_info", attach_info),
      optional("main_lock", main_lock),
    };
  }
};

struct merge_review_request_auto {
  static constexpr method about{
    "merge.review.request_auto",
    "Start a reviewer agent for a merge request; it ends with a verdict, a time-out or a failure.",
    access::effect};
  using result = requested_review;

  int64_t session_id = 0;
  int64_t merge_request_id = 0;
  std::string reviewer_role = "merge-reviewer";
  std::optional<std::string> agent_guide_path;
  std::optional<std::string> agent_override;
  bool ensure_tmux = true;
  bool auto_install = true;
  std::optional<std::string> provider;
  bool hold_main_lock = true;
  std::optional<std::string> launch_command;
  std::optional<std::string> codex_command;
  std::optional<int64_t> timeout_seconds;

  field_list fields() {
    return {
      id_of("session_id", session_id, "whose work is reviewed").session(),
      id_of("merge_request_id", merge_request_id),
      optional("reviewer_role", reviewer_role).trimmed(),
      optional("agent_guide_path", agent_guide_path, "a Markdown file; default: our guide")
        .trimmed(),
      optional("agent_override", agent_override, "rules that go before the guide's"),
      optional("ensure_tmux", ensure_tmux, "look for tmux, install it if allowed"),
      optional("auto_install", auto_install),
      optional("provider", provider, "default codex").one_of(provider_names),
      optional("hold_main_lock", hold_main_lock, "nothing is merged into main meanwhile"),
      optional("launch_command", launch_command, "instead of the agent CLI; words as in a shell"),
      optional("codex_command", codex_command, "the CLI's program and first arguments"),
      optional("timeout_seconds", timeout_seconds, "default: from the config, 1800")
        .range(1, 86'400),
    };
  }
};

struct review_status {
  std::optional<orch::review_job> review_job;
  std::optional<orch::thread> thread;
  std::optional<orch::attach_info> attach_info;

  field_list fields() {
    return {
      optional("review_job", review_job),
      optional("thread", thread),
      optional("attach_info", attach_info),
    };
  }
};

struct merge_review_thread_status {
  static constexpr method about{
    "merge.review.thread_status",
    "A review job with its reviewer thread: that of the id, or the newest of a merge request.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = review_status;

  std::optional<int64_t> review_job_id;
  std::optional<int64_t> merge_request_id;

  field_list fields() {
    return {id_of("review_job_id", review_job_id), id_of("merge_request_id", merge_request_id)};
  }
};

struct review_finding {
  std::string path;
  std::optional<int64_t> line;
  std::string severity;
  std::string description;
  std::optional<std::string> evidence;

  field_list fields() {
    return {
      required("path", path).trimmed(),
      optional("line", line).at_least(1),
      required("severity", severity, "such as critical, major, minor").trimmed(),
      required("description", description).trimmed(),
      optional("evidence", evidence, "how it shows"),
    };
  }
};

struct merge_review_submit {
  static constexpr method about{
    "merge.review.submit",
    "A reviewer's verdict on the commit it reviewed, with its findings. Ends the review job.",
    access::effect};
  using result = review_job;

  int64_t review_job_id = 0;
  std::string verdict;
  std::vector<review_finding> findings;
  std::optional<std::string> summary;
  std::optional<std::string> head_sha;

  field_list fields() {
    return {
      id_of("review_job_id", review_job_id),
      required("verdict", verdict).one_of({"approve", "block"}),
      optional("findings", findings),
      optional("summary", summary),
      optional("head_sha", head_sha, "the commit that was reviewed").trimmed(),
    };
  }
};

struct review_methods {
  static constexpr std::string_view owner = "reviewers";
  using list =
    method_list<merge_review_request_auto, merge_review_thread_status, merge_review_submit>;
};

} // namespace orch
