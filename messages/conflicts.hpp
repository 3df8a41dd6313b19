#pragma once

#include "messages/method.hpp"

namespace orch {

/// A work tree that takes part in a preview.
struct previewed_worktree {
  int64_t worktree_id = 0;
  std::string branch;
  std::optional<int64_t> session_id;
  std::string head;
  int64_t changed_files = 0;
  int64_t uncommitted_files = 0;
  std::optional<std::vector<std::string>> left_out;
  std::optional<std::string> unreadable;

  field_list fields() {
    return {
      required("worktree_id", worktree_id),
      required("branch", branch),
      optional("session_id", session_id),
      required("head", head, "commit id"),
      required("changed_files", changed_files, "since it left the target branch, committed or not"),
      required("uncommitted_files", uncommitted_files),
      optional("left_out", left_out, "uncommitted files that are too large to be looked at"),
      optional("unreadable", unreadable, "why it was not looked at"),
    };
  }
};

/// Two that cannot be merged as they are now, or one and the target branch.
struct foreseen_conflict {
  std::vector<int64_t> worktree_ids;
  std::vector<std::string> paths;
  bool uncommitted = false;

  field_list fields() {
    return {
      required("worktree_ids", worktree_ids),
      required("paths", paths),
      required("uncommitted", uncommitted, "one of the paths has uncommitted changes"),
    };
  }
};

struct conflict_preview {
  std::string target_branch;
  std::string target_commit;
  std::vector<previewed_worktree> worktrees;
  std::vector<foreseen_conflict> with_target;
  std::vector<foreseen_conflict> between;
  std::vector<foreseen_conflict> overlaps;

  field_list fields() {
    return {
      required("target_branch", target_branch),
      required("target_commit", target_commit),
      required("worktrees", worktrees, "that have changed something"),
      required("with_target", with_target, "conflicts with the target branch"),
      required("between", between, "conflicts of two worktrees"),
      required("overlaps", overlaps, "the same files changed, but they merge"),
    };
  }
};

struct merge_conflicts_preview {
  static constexpr method about{
    "merge.conflicts.preview",
    "Which live worktrees conflict with each other or with the target branch right now, "
    "uncommitted changes included. Changes nothing.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = conflict_preview;

  std::optional<int64_t> worktree_id;
  std::optional<int64_t> session_id;
  std::optional<std::string> target_branch;
  std::optional<std::vector<std::string>> paths;

  field_list fields() {
    return {
      id_of("worktree_id", worktree_id, "only conflicts of that one"),
      id_of("session_id", session_id, "only conflicts of its worktrees"),
      optional("target_branch", target_branch, "default: the main branch").trimmed(),
      optional("paths", paths, "only conflicts in these files or below these directories")
        .trimmed(),
    };
  }
};

} // namespace orch
