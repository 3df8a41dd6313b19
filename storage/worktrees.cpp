#include "storage/worktrees.hpp"

#include "storage/current_refs.hpp"
#include "storage/locks.hpp"
#include "storage/paging.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

namespace orch {

worktree_page list_worktrees(tx& t, const worktree_list& request) {
  auto before =
    request.cursor ? read_cursor(*request.cursor, 1)[0] : std::numeric_limits<int64_t>::max();
  std::string where = "FROM worktrees WHERE id < ?1 AND ?3 = ?3 AND ?4 = ?4";
  if (request.status)
    where += " AND status = ?3";
  if (request.owner_session_id)
    where += " AND owner_session_id = ?4";
  worktree_page page;
  page.worktrees =
    t.select<worktree>(where + " ORDER BY id DESC LIMIT ?2", before, request.limit + 1,
                       request.status.value_or(""), request.owner_session_id.value_or(0));
  page.next_cursor =
    close_page(page.worktrees, request.limit, [](const worktree& x) { return std::vector{x.id}; });
  for (auto& row : page.worktrees) {
    std::error_code ignored; // what cannot be looked at is not there for us
    row.exists_on_disk = std::filesystem::is_directory(row.path, ignored);
  }
  return page;
}

bool worktree_name_taken(tx& t, const std::string& path, const std::string& branch) {
  return t.number("SELECT 1 FROM worktrees WHERE path = ? AND status <> 'removed'", path)
         || t.number("SELECT 1 FROM worktrees WHERE branch = ? AND status <> 'removed'", branch)
         || t.number("SELECT 1 FROM intents WHERE path = ? OR branch = ?", path, branch);
}

std::string name_of(const intent& x) {
  return fmt::format("intent {}", x.id);
}

intent plan_worktree(tx& t, const std::string& path, const std::string& branch,
                     const std::string& base_commit) {
  if (worktree_name_taken(t, path, branch))
    throw request_error{
      errc::conflict,
      fmt::format("branch {} or path {} belongs to another worktree", branch, path),
      {{"branch", branch}, {"path", path}}};
  intent made{0, "worktree", t.around.server, path, branch, base_commit, t.now};
  t.insert("intents", made);
  return made;
}

bool is_intended(tx& t, int64_t intent_id) {
  return t.exists("intents", intent_id);
}

bool forget_intent(tx& t, int64_t intent_id) {
  return t.run("DELETE FROM intents WHERE id = ?", intent_id) > 0;
}

std::vector<intent> orphaned_intents(tx& t) {
  auto all = t.select<intent>("FROM intents ORDER BY id");
  std::erase_if(all, [&](const intent& x) { return t.around.at_work(x.server_id, name_of(x)); });
  return all;
}

worktree ensure_main_worktree(tx& t, const std::string& branch) {
  auto path = t.around.repo_root.string();
  auto main = t.first<worktree>(
    "FROM worktrees WHERE kind = 'main' AND path = ? AND status <> 'removed' ORDER BY id LIMIT 1",
    path);
  if (main && main->branch == branch)
    return *main;
  if (main) {
    main->branch = branch;
    t.update("worktrees", *main);
    return *main;
  }
  worktree made;
  made.path = path;
  made.branch = branch;
  made.kind = "main";
  made.merge_state = "attached";
  made.created_at = t.now;
  t.insert("worktrees", made);
  return made;
}

void insert_worktree(tx& t, worktree& made, const std::string& base_commit) {
  made.created_at = t.now;
  t.insert("worktrees", made);
  t.run("UPDATE worktrees SET base_commit = ? WHERE id = ?", base_commit, made.id);
}

worktree get_own_worktree(tx& t, int64_t session_id, int64_t worktree_id, std::string_view field) {
  must_be_open(t, session_id);
  auto found = t.get<worktree>("worktrees", worktree_id, "worktree");
  if (found.owner_session_id != session_id)
    throw request_error{
      errc::permission_denied,
      fmt::format("worktree #{} does not belong to session #{}", worktree_id, session_id),
      {{"field", field}, {"owner_session_id", found.owner_session_id.value_or(0)}}};
  if (found.status == "removed" || found.status == "closed")
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{} is {}", worktree_id, found.status),
                        {{"field", field}, {"status", found.status}}};
  return found;
}

worktree mark_removed(tx& t, int64_t worktree_id, const std::optional<std::string>& backup_ref) {
  auto row = t.get<worktree>("worktrees", worktree_id, "worktree");
  row.status = "removed";
  if (backup_ref && !row.backup_ref)
    row.backup_ref = backup_ref;
  if (row.merge_state == "active" || row.merge_state == "attached")
    row.merge_state = "abandoned";
  t.update("worktrees", row);
  // Nothing is left that the queue could merge; it must not hold up those behind it.
  for (auto id : t.numbers(
         "UPDATE merge_main_queue SET state = 'cancelled', error_message = 'its worktree was "
         "removed', completed_at = ?1, updated_at = ?1 WHERE from_worktree_id = ?2 AND state = "
         "'queued' RETURNING id",
         t.now, row.id))
    t.changed("merge.cancelled", {{"request_id", id}, {"worktree_id", row.id}});
  t.changed("worktree.removed", {{"worktree_id", row.id}});
  return row;
}

void note_backup(tx& t, int64_t worktree_id, const std::string& backup_ref) {
  t.run("UPDATE worktrees SET backup_ref = coalesce(backup_ref, ?) WHERE id = ?", backup_ref,
        worktree_id);
}

void revive_worktree(tx& t, worktree& row, const std::string& base_commit) {
  if (t.get<worktree>("worktrees", row.id, "worktree").status != "removed")
    throw request_error{errc::conflict,
                        fmt::format("worktree #{} has been restored meanwhile", row.id)};
  row.backup_ref.reset();
  row.status = "active";
  row.merge_state = row.kind == "session_root" ? "attached" : "active";
  row.merged_at.reset();
  t.update("worktrees", row);
  t.run("UPDATE worktrees SET base_commit = ? WHERE id = ?", base_commit, row.id);
}

worktree get_restorable(tx& t, int64_t worktree_id, const std::optional<int64_t>& session_id) {
  auto row = t.get<worktree>("worktrees", worktree_id, "worktree");
  std::error_code unreadable; // counts as there
  if (row.kind == "main" || row.status == "planned"
      || (row.status != "removed" && (std::filesystem::exists(row.path, unreadable) || unreadable)))
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{} is {}; there is nothing to restore", row.id,
                                    row.kind == "main" ? "the main work tree" : row.status),
                        {{"status", row.status}}};
  if (session_id)
    must_be_open(t, *session_id);
  auto owner = row.owner_session_id.value_or(0);
  auto in_use = t.number(
    "SELECT 1 FROM sessions s WHERE s.id = ?1 AND " + live_session_sql("s", "?2"), owner, t.now);
  if (in_use && session_id.value_or(owner) != owner)
    throw request_error{errc::permission_denied,
                        fmt::format("worktree #{} belongs to session #{}", row.id, owner),
                        {{"field", "session_id"}, {"owner_session_id", owner}}};
  if (session_id)
    row.owner_session_id = session_id;
  return row;
}

bool was_merged_to_main(tx& t, int64_t worktree_id, const std::string& head) {
  return t
    .number("SELECT 1 FROM merge_main_queue WHERE from_worktree_id = ? AND state = 'merged' AND "
            "head_sha = ?",
            worktree_id, head)
    .has_value();
}

worktree mark_merged_to_parent(tx& t, int64_t worktree_id) {
  auto row = t.get<worktree>("worktrees", worktree_id, "worktree");
  row.merge_state = "merged_to_parent";
  row.merged_at = t.now;
  t.update("worktrees", row);
  t.changed("worktree.merged", {{"worktree_id", row.id}});
  return row;
}

std::vector<worktree> unmerged_children(tx& t, int64_t worktree_id) {
  return t.select<worktree>("FROM worktrees WHERE parent_worktree_id = ? AND kind = 'task_branch' "
                            "AND status = 'active' AND merge_state = 'active'",
                            worktree_id);
}

std::vector<worktree> live_children(tx& t, int64_t worktree_id) {
  return t.select<worktree>(
    "FROM worktrees WHERE parent_worktree_id = ? AND kind = 'task_branch' AND status = 'active'",
    worktree_id);
}

std::vector<prune_candidate> prune_candidates(tx& t) {
  suspend_sessions_of_dead_servers(t);
  std::vector<prune_candidate> candidates;
  for (auto& row : t.select<worktree>("FROM worktrees WHERE kind <> 'main' AND status NOT IN "
                                      "('removed', 'planned') ORDER BY id")) {
    prune_candidate candidate;
    auto session_id = row.owner_session_id.value_or(0);
    candidate.in_use =
      t.number("SELECT 1 FROM sessions s WHERE s.id = ?1 AND " + live_session_sql("s", "?2"),
               session_id, t.now)
        .has_value();
    candidate.resumable = active_ref(t, session_id).has_value();
    candidate.row = std::move(row);
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

int64_t locks_on(tx& t, const std::string& path) {
  lock_list request;
  request.path = path;
  return static_cast<int64_t>(list_locks(t, request).locks.size());
}

} // namespace orch
