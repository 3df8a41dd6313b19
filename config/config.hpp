#pragma once

#include "messages/record.hpp"

#include <filesystem>

namespace orch {

/// Limits that a plan's slices should keep.
struct planning_rules {
  int64_t max_tokens_per_slice = 18'000;
  int64_t max_files_per_slice = 12;

  field_list fields() {
    return {
      optional("max_tokens_per_slice", max_tokens_per_slice, "more is warned about").at_least(1),
      optional("max_files_per_slice", max_files_per_slice, "more is warned about").at_least(1),
    };
  }
};

/// How agents are started and looked after.
struct agents_config {
  std::string provider = "codex";
  std::string codex_command = "codex";
  std::string claude_command = "claude";
  int64_t max_children = 6;
  int64_t review_timeout_seconds = 1'800;
  std::string tmux_socket;

  field_list fields() {
    return {
      optional("provider", provider, "the agent CLI where the caller names none")
        .one_of({"codex", "claude_code", "command"}),
      optional("codex_command", codex_command, "program and first arguments, words as in a shell")
        .trimmed(),
      optional("claude_command", claude_command, "program and first arguments, words as in a shell")
        .trimmed(),
      optional("max_children", max_children, "agents of a session at the same time")
        .range(1, 1'000),
      optional("review_timeout_seconds", review_timeout_seconds, "for a reviewer's verdict")
        .range(1, 86'400),
      optional("tmux_socket", tmux_socket,
               "a tmux server of its own (tmux -L NAME); default: the "
               "user's")
        .trimmed(),
    };
  }
};

/// What runs by itself for a repository, in one of the processes that are open on it. Periods are
/// in seconds; 0: never.
struct loops_config {
  bool enabled = false;
  int64_t lease_expiry = 5;
  int64_t session_liveness = 10;
  int64_t thread_liveness = 10;
  int64_t reviewer_dispatch = 10;
  int64_t mirror_refresh = 60;
  int64_t merge_processing = 0;
  int64_t worktree_prune = 0;
  int64_t prune_after_hours = 72;

  field_list fields() {
    return {
      optional("enabled", enabled,
               "servers started by agents run the loops too; a supervisor always does"),
      optional("lease_expiry", lease_expiry,
               "seconds; ends leases and lets waiters have their turn")
        .range(0, 86'400),
      optional("session_liveness", session_liveness,
               "seconds; suspends sessions without a sign of life")
        .range(0, 86'400),
      optional("thread_liveness", thread_liveness, "seconds; looks at the agents that run")
        .range(0, 86'400),
      optional("reviewer_dispatch", reviewer_dispatch,
               "seconds; gives merge requests their reviewers")
        .range(0, 86'400),
      optional("mirror_refresh", mirror_refresh,
               "seconds; writes the Markdown mirror if it is stale")
        .range(0, 86'400),
      optional("merge_processing", merge_processing, "seconds; merges what is queued for main")
        .range(0, 86'400),
      optional("worktree_prune", worktree_prune,
               "seconds; removes worktrees of dead sessions that hold nothing of their own")
        .range(0, 86'400),
      optional("prune_after_hours", prune_after_hours,
               "how old worktrees are that worktree_prune "
               "removes")
        .range(0, 1'000'000),
    };
  }
};

/// How merge requests get reviewers by themselves.
struct reviews_config {
  int64_t at_once = 2;
  int64_t rounds = 3;
  int64_t retry_seconds = 30;

  field_list fields() {
    return {
      optional("at_once", at_once, "reviewers of a repository at the same time").range(1, 1'000),
      optional("rounds", rounds,
               "reviewers that may end without a verdict before a person is asked")
        .range(1, 100),
      optional("retry_seconds", retry_seconds,
               "before the second reviewer; doubled for each further")
        .range(0, 86'400),
    };
  }
};

/// How what is queued for main is merged.
struct merging_config {
  std::string check_command;
  int64_t check_timeout_seconds = 1'800;
  int64_t batch_size = 8;
  int64_t batch_wait_seconds = 0;
  std::string review = "if_requested";
  std::string style = "merge";
  int64_t ageing_minutes = 60;

  field_list fields() {
    return {
      optional("check_command", check_command,
               "run by a shell on the merged result before main moves; empty: none")
        .trimmed(),
      optional("check_timeout_seconds", check_timeout_seconds, "for one run of it")
        .range(1, 86'400),
      optional("batch_size", batch_size, "requests that are checked together").range(1, 100),
      optional("batch_wait_seconds", batch_wait_seconds,
               "how long the loop lets a batch that is not full wait for more")
        .range(0, 86'400),
      optional("review", review,
               "whose approval a request needs: of those with a merge request, of all, of none")
        .one_of({"if_requested", "always", "never"}),
      optional("style", style,
               "merge: a merge commit each; squash: one commit each; rebase: their commits, one "
               "after the other")
        .one_of({"merge", "squash", "rebase"}),
      optional("ageing_minutes", ageing_minutes, "waiting that long counts as one more priority")
        .range(1, 525'600),
    };
  }
};

/// The record of what has changed.
struct events_config {
  int64_t keep_hours = 168;

  field_list fields() {
    return {
      optional("keep_hours", keep_hours, "how long events are kept").range(1, 87'600),
    };
  }
};

/// What a user may set for a repository, in `.codex-orch/config.json` (JSON with comments).
struct repository_config {
  std::optional<std::string> main_branch;
  planning_rules planning;
  int64_t own_worktree_from_score = 12;
  agents_config agents;
  reviews_config reviews;
  merging_config merging;
  loops_config loops;
  events_config events;

  field_list fields() {
    return {
      optional("main_branch", main_branch, "what sessions start from and merge into").trimmed(),
      optional("planning", planning, "limits of a slice"),
      optional("own_worktree_from_score", own_worktree_from_score,
               "scheduler.decide_worktree says worktree from this score on")
        .at_least(0),
      optional("agents", agents, "how agents are started and looked after"),
      optional("reviews", reviews, "how merge requests get reviewers by themselves"),
      optional("merging", merging, "how what is queued for main is merged"),
      optional("loops", loops, "what runs by itself"),
      optional("events", events, "the record of what has changed"),
    };
  }
};

/// Reads the file; a missing one gives the defaults. `over`: an object of the same form whose
/// members go over those of the file. Throws `std::runtime_error` with one line that names file and
/// key.
repository_config read_repository_config(const std::filesystem::path& file,
                                         const json& over = json::object());

} // namespace orch
