#pragma once

#include "messages/method.hpp"
#include "messages/page.hpp"

namespace orch {

inline const std::vector<std::string_view> worktree_statuses{"planned", "active", "closed",
                                                             "removed"};

/// A checkout of the repository, with its branch.
struct worktree {
  int64_t id = 0;
  std::optional<int64_t> task_id;
  std::string path;
  std::string branch;
  std::string status = "active";
  std::string kind;
  std::optional<int64_t> parent_worktree_id;
  std::optional<int64_t> owner_session_id;
  std::string merge_state = "active";
  timestamp created_at;
  std::optional<timestamp> merged_at;
  std::optional<std::string> backup_ref;
  std::optional<bool> exists_on_disk;

  field_list fields() {
    return {
      required("id", id),
      optional("task_id", task_id),
      required("path", path),
      required("branch", branch, "empty while the HEAD is detached"),
      required("status", status).one_of(worktree_statuses),
      required("kind", kind, "main, session_root or task_branch"),
      optional("parent_worktree_id", parent_worktree_id),
      optional("owner_session_id", owner_session_id),
      required("merge_state", merge_state,
               "attached, active, merged_to_parent, merged_to_main or abandoned"),
      required("created_at", created_at),
      optional("merged_at", merged_at),
      optional("backup_ref", backup_ref, "what removing it has kept, for worktree.restore"),
      optional("exists_on_disk", exists_on_disk, "worktree.list only").computed(),
    };
  }
};

struct decide_result {
  std::string mode;
  int64_t score = 0;
  std::vector<std::string> reasons;

  field_list fields() {
    return {
      required("mode", mode, "shared or worktree"),
      required("score", score),
      required("reasons", reasons),
    };
  }
};

struct scheduler_decide_worktree {
  static constexpr method about{"scheduler.decide_worktree",
                                "Should this work get a worktree of its own? Scores its size and "
                                "risk and the conflicts with locks and other worktrees.",
                                access::effect,
                                /*may_wait=*/false,
                                /*destructive=*/false,
                                /*only_looks=*/true};
  using result = decide_result;

  std::optional<int64_t> changed_files;
  std::optional<int64_t> estimate_minutes;
  std::optional<int64_t> risk;
  std::optional<int64_t> parallel_workers;
  std::optional<int64_t> conflicting_paths;
  std::optional<std::vector<std::string>> paths;

  field_list fields() {
    constexpr int64_t most = 1'000'000'000;
    return {
      optional("changed_files", changed_files).range(0, most),
      optional("estimate_minutes", estimate_minutes).range(0, most),
      optional("risk", risk, "0 none, 1 low, 2 medium, 3 high").range(0, most),
      optional("parallel_workers", parallel_workers).range(0, most),
      optional("conflicting_paths", conflicting_paths).range(0, most),
      optional("paths", paths, "paths to be changed; what was not given is measured from them")
        .trimmed(),
    };
  }
};

struct worktree_create {
  static constexpr method about{
    "worktree.create", "Plan or create a worktree with a new branch, for a task.", access::effect};
  using result = worktree;

  std::optional<int64_t> task_id;
  std::string branch;
  std::optional<std::string> path;
  std::string base_ref = "HEAD";
  bool create_on_disk = false;

  field_list fields() {
    return {
      id_of("task_id", task_id),
      required("branch", branch, "a new branch").trimmed(),
      optional("path", path, "inside the repository; default .codex-orch/worktrees/BRANCH")
        .trimmed(),
      optional("base_ref", base_ref, "what the branch starts from").trimmed(),
      optional("create_on_disk", create_on_disk),
    };
  }
};

struct worktree_page {
  std::vector<worktree> worktrees;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("worktrees", worktrees), next_cursor_field(next_cursor)}; }
};

struct worktree_list {
  static constexpr method about{
    "worktree.list", "List worktrees, newest first; filter by status or session.", access::read};
  using result = worktree_page;

  std::optional<std::string> status;
  std::optional<int64_t> owner_session_id;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("status", status).one_of(worktree_statuses),
      id_of("owner_session_id", owner_session_id),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct worktree_spawn {
  static constexpr method about{
    "worktree.spawn",
    "Branch off a child worktree from a worktree of the session, for a task "
    "that is merged back later.",
    access::effect};
  using result = worktree;

  int64_t session_id = 0;
  int64_t parent_worktree_id = 0;
  std::optional<int64_t> task_id;
  std::optional<std::string> reason;
  std::optional<std::string> slug;
  std::optional<std::string> branch;
  std::optional<std::string> path;
  std::optional<std::string> base_ref;
  bool create_on_disk = true;

  field_list fields() {
    return {
      id_of("session_id", session_id).session(),
      id_of("parent_worktree_id", parent_worktree_id, "belongs to the session"),
      id_of("task_id", task_id),
      optional("reason", reason),
      optional("slug", slug, "one or two words for branch and directory").trimmed(),
      optional("branch", branch, "instead of one made from the slug").trimmed(),
      optional("path", path, "inside the repository").trimmed(),
      optional("base_ref", base_ref, "default: the parent's branch").trimmed(),
      optional("create_on_disk", create_on_disk),
    };
  }
};

struct worktree_state {
  orch::worktree worktree;
  std::string branch;
  std::optional<std::string> head;
  int64_t ahead = 0;
  int64_t behind = 0;
  std::vector<std::string> dirty_files;
  std::vector<std::string> untracked;
  int64_t disk_bytes = 0;

  field_list fields() {
    return {
      required("worktree", worktree),
      required("branch", branch, "as checked out now"),
      optional("head", head, "commit id"),
      required("ahead", ahead, "commits that the parent's branch, or main, lacks"),
      required("behind", behind, "commits of the parent's branch, or main, that it lacks"),
      required("dirty_files", dirty_files, "tracked files with uncommitted changes"),
      required("untracked", untracked),
      required("disk_bytes", disk_bytes),
    };
  }
};

struct worktree_status {
  static constexpr method about{
    "worktree.status",
    "Look at a worktree on disk: branch, head, ahead, behind, uncommitted "
    "files, disk use.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = worktree_state;

  int64_t worktree_id = 0;

  field_list fields() { return {id_of("worktree_id", worktree_id)}; }
};

struct merged_worktree {
  worktree child_worktree;
  worktree parent_worktree;
  std::string merge_commit;
  std::string outcome;

  field_list fields() {
    return {
      required("child_worktree", child_worktree),
      required("parent_worktree", parent_worktree),
      required("merge_commit", merge_commit),
      required("result", outcome, "merged_to_parent"),
    };
  }
};

struct worktree_merge_to_parent {
  static constexpr method about{"worktree.merge_to_parent",
                                "Merge a finished child worktree into its parent. A conflict "
                                "leaves both exactly as they were.",
                                access::effect};
  using result = merged_worktree;

  int64_t session_id = 0;
  int64_t worktree_id = 0;

  field_list fields() {
    return {id_of("session_id", session_id).session(), id_of("worktree_id", worktree_id)};
  }
};

struct removed_worktree {
  orch::worktree worktree;
  int64_t reclaimed_bytes = 0;
  std::optional<std::string> backup_ref;

  field_list fields() {
    return {
      required("worktree", worktree),
      required("reclaimed_bytes", reclaimed_bytes),
      optional("backup_ref", backup_ref, "where unmerged or uncommitted work was kept"),
    };
  }
};

struct worktree_remove {
  static constexpr method about{
    "worktree.remove",
    "Remove a worktree: directory, git metadata and branch. Work that exists "
    "nowhere else stops it; with force it is kept under a backup ref first.",
    access::effect, /*may_wait=*/false, /*destructive=*/true};
  using result = removed_worktree;

  int64_t worktree_id = 0;
  bool force = false;

  field_list fields() { return {id_of("worktree_id", worktree_id), optional("force", force)}; }
};

struct restored_worktree {
  orch::worktree worktree;
  std::string backup_ref;
  std::string head;
  std::vector<std::string> uncommitted_files;

  field_list fields() {
    return {
      required("worktree", worktree),
      required("backup_ref", backup_ref, "what it was restored from; it stays"),
      required("head", head, "commit id"),
      required("uncommitted_files", uncommitted_files, "as they were, none of them staged"),
    };
  }
};

struct worktree_restore {
  static constexpr method about{
    "worktree.restore",
    "Bring a removed worktree back from its backup ref: branch, commits, uncommitted and untracked "
    "files.",
    access::effect};
  using result = restored_worktree;

  int64_t worktree_id = 0;
  std::optional<int64_t> session_id;
  std::optional<std::string> backup_ref;
  std::optional<std::string> branch;
  std::optional<std::string> path;

  field_list fields() {
    return {
      id_of("worktree_id", worktree_id),
      id_of("session_id", session_id, "its owner from now on; default: the former one").session(),
      optional("backup_ref", backup_ref, "default: the one that removing it has named").trimmed(),
      optional("branch", branch, "a new branch; default: its former name, with a number if taken")
        .trimmed(),
      optional("path", path, "inside the repository; default: its former place").trimmed(),
    };
  }
};

/// A worktree that was not removed, and why.
struct kept_worktree {
  std::string path;
  std::string reason;

  field_list fields() { return {required("path", path), required("reason", reason)}; }
};

struct pruned_worktrees {
  std::vector<std::string> removed;
  std::vector<kept_worktree> kept;
  int64_t reclaimed_bytes = 0;

  field_list fields() {
    return {
      required("removed", removed, "paths; with dry_run: that would be removed"),
      required("kept", kept),
      required("reclaimed_bytes", reclaimed_bytes),
    };
  }
};

struct worktree_prune {
  static constexpr method about{
    "worktree.prune",
    "Remove merged or abandoned worktrees of dead sessions, and rows whose "
    "directory is gone. Says what it would do unless dry_run is false.",
    access::effect, /*may_wait=*/false, /*destructive=*/true};
  using result = pruned_worktrees;

  bool dry_run = true;
  int64_t older_than_hours = 72;

  field_list fields() {
    return {
      optional("dry_run", dry_run),
      optional("older_than_hours", older_than_hours).range(0, 1'000'000),
    };
  }
};

struct worktree_methods {
  static constexpr std::string_view owner = "worktrees";
  using list = method_list<scheduler_decide_worktree, worktree_create, worktree_list,
                           worktree_spawn, worktree_status, worktree_merge_to_parent,
                           worktree_remove, worktree_restore, worktree_prune>;
};

} // namespace orch
