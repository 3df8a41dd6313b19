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

/// What a user may set for a repository, in `.codex-orch/config.json` (JSON with comments).
struct repository_config {
  std::optional<std::string> main_branch;
  planning_rules planning;
  int64_t own_worktree_from_score = 12;

  field_list fields() {
    return {
      optional("main_branch", main_branch, "what sessions start from and merge into").trimmed(),
      optional("planning", planning, "limits of a slice"),
      optional("own_worktree_from_score", own_worktree_from_score,
               "scheduler.decide_worktree says worktree from this score on")
        .at_least(0),
    };
  }
};

/// Reads the file; a missing one gives the defaults. Throws `std::runtime_error` with one line that
/// names file and key.
repository_config read_repository_config(const std::filesystem::path& file);

} // namespace orch
