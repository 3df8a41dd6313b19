#pragma once

#include "messages/worktrees.hpp"
#include "storage/tx.hpp"

namespace orch {

worktree_page list_worktrees(tx& t, const worktree_list& request);

/// A git side effect that is under way, written down before it is begun. If this server dies, the
/// next one to look undoes it: removes the worktree, and the branch while it is at `base_commit`.
struct intent {
  int64_t id = 0;
  std::string kind;
  int64_t server_id = 0;
  std::string path;
  std::string branch;
  std::string base_commit;
  timestamp created_at;

  field_list fields() {
    return {required("id", id),
            required("kind", kind),
            required("server_id", server_id),
            required("path", path),
            required("branch", branch),
            required("base_commit", base_commit),
            required("created_at", created_at)};
  }
};

/// What an intent is called among the things in hand.
std::string name_of(const intent& x);

/// Writes an intent to make a worktree, after checking that no other one has or wants its branch or
/// path (conflict).
intent plan_worktree(tx& t, const std::string& path, const std::string& branch,
                     const std::string& base_commit);

/// Is the branch or the path taken by a live row or an intent?
bool worktree_name_taken(tx& t, const std::string& path, const std::string& branch);

/// Is that intent still written down?
bool is_intended(tx& t, int64_t intent_id);

/// False if it was forgotten already.
bool forget_intent(tx& t, int64_t intent_id);

/// Intents that nobody works on any more: their servers died, or lost them in a restart.
std::vector<intent> orphaned_intents(tx& t);

/// The row of the main work tree, made or brought up to date with the branch it has now.
worktree ensure_main_worktree(tx& t, const std::string& branch);

void insert_worktree(tx& t, worktree& made, const std::string& base_commit);

/// Throws unless the worktree exists and belongs to the session (failed_precondition).
worktree get_own_worktree(tx& t, int64_t session_id, int64_t worktree_id, std::string_view field);

/// Marks the row removed; an unmerged one counts as abandoned. `backup_ref`: what was kept of it.
worktree mark_removed(tx& t, int64_t worktree_id,
                      const std::optional<std::string>& backup_ref = {});

/// What is kept of a worktree that is about to be removed. A removal that was killed has kept it
/// while it was whole: that stays.
void note_backup(tx& t, int64_t worktree_id, const std::string& backup_ref);

/// Makes a removed row a live one again (else conflict), with the branch, the path and the owner of
/// `row`.
void revive_worktree(tx& t, worktree& row, const std::string& base_commit);

/// Throws failed_precondition if the row is live on disk, permission_denied if its session shows
/// signs of life and is not `session_id`. Returns the row, its owner the one that it is to have.
worktree get_restorable(tx& t, int64_t worktree_id, const std::optional<int64_t>& session_id);

/// Was exactly that commit of the worktree's branch merged into main? Then main has what it
/// changed, even if not the commit itself.
bool was_merged_to_main(tx& t, int64_t worktree_id, const std::string& head);

worktree mark_merged_to_parent(tx& t, int64_t worktree_id);

/// Children that were neither merged nor removed.
std::vector<worktree> unmerged_children(tx& t, int64_t worktree_id);

/// Children that were not removed, merged or not.
std::vector<worktree> live_children(tx& t, int64_t worktree_id);

/// A worktree that prune looks at.
struct prune_candidate {
  worktree row;
  bool in_use = false;    ///< its session shows signs of life
  bool resumable = false; ///< its session can be resumed
};

/// All worktrees but the main one, the planned and the removed.
std::vector<prune_candidate> prune_candidates(tx& t);

/// Active locks of other sessions that overlap the (normalized) path.
int64_t locks_on(tx& t, const std::string& path);

} // namespace orch
