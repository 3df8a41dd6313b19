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
  events_config events;

  field_list fields() {
    return {
      optional("main_branch", main_branch, "what sessions start from and merge into").trimmed(),
      optional("planning", planning, "limits of a slice"),
      optional("own_worktree_from_score", own_worktree_from_score,
               "scheduler.decide_worktree says worktree from this score on")
        .at_least(0),
      optional("agents", agents, "how agents are started and looked after"),
      optional("events", events, "the record of what has changed"),
    };
  }
};

/// Reads the file; a missing one gives the defaults. Throws `std::runtime_error` with one line that
/// names file and key.
repository_config read_repository_config(const std::filesystem::path& file);

} // namespace orch
