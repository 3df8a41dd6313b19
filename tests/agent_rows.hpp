#pragma once

#include "state_fixture.hpp"
#include "storage/inbox.hpp"
#include "storage/merge_queue.hpp"
#include "storage/reviewers.hpp"
#include "storage/sessions.hpp"
#include "storage/worktrees.hpp"

#include <map>

namespace orch {

/// A state with sessions, their worktrees and agent threads.
struct agent_rows : state_fixture {
  /// An open session with a root worktree; `ours`: our server keeps it alive.
  int64_t add_session(bool ours = false) {
    return in_tx([&](tx& t) {
      session made;
      made.id = reserve_session_id(t);
      made.repo_path = around->repo_root.string();
      made.status = "active_new";
      made.started_at = made.last_seen_at = t.now;
      caller from;
      from.lasting = ours;
      insert_session(t, made, 3'600, from);
      made.session_root_worktree_id = add_worktree(t, made.id, "root").id;
      t.update("sessions", made);
      return made.id;
    });
  }

  worktree add_worktree(tx& t, int64_t session_id, const std::string& name) {
    worktree made;
    made.path = (around->repo_root / std::to_string(session_id) / name).string();
    made.branch = "session-" + std::to_string(session_id) + "-" + name;
    made.kind = name == "root" ? "session_root" : "task_branch";
    made.owner_session_id = session_id;
    insert_worktree(t, made, "0000");
    return made;
  }

  int64_t root_of(int64_t session_id) {
    thread_root_ensure request;
    request.session_id = session_id;
    return in_tx([&](tx& t) { return ensure_root_thread(t, request).thread.id; });
  }

  planned_child spawn(int64_t session_id, std::optional<int64_t> limit = 100) {
    auto root = root_of(session_id);
    thread_child_spawn request;
    request.session_id = session_id;
    return in_tx([&](tx& t) { return plan_child(t, request, root, limit); });
  }

  /// A child that runs in a pane of its own.
  thread_row running_child(int64_t session_id) {
    auto row = spawn(session_id).row;
    auto id = row.thread.id;
    return in_tx([&](tx& t) {
      note_launched(t, id, row.thread.incarnation, pane_of(id), "codex-child", "children");
      note_sighting(t, {id, row.thread.incarnation, "running", {}, {}, {}});
      return get_thread(t, id);
    });
  }

  static thread_pane pane_of(int64_t thread_id) {
    return {"%" + std::to_string(thread_id), 1'000 + thread_id, 99};
  }

  thread_row row(int64_t thread_id) {
    return in_tx([&](tx& t) { return get_thread(t, thread_id); });
  }

  void end(int64_t thread_id, const std::string& status, bool pane_gone = false) {
    in_tx([&](tx& t) { end_thread(t, thread_id, status, pane_gone); });
  }

  int64_t send(int64_t from, int64_t to, const std::string& message) {
    return in_tx([&](tx& t) { return send_to_inbox(t, {from, to, message}).message.id; });
  }

  inbox_message message(int64_t id) {
    return in_tx([&](tx& t) { return t.get<inbox_message>("inbox_messages", id, "message"); });
  }

  int64_t add_merge_request(const std::string& status = "requested") {
    return in_tx([&](tx& t) {
      merge_request_record made;
      made.feature_task_id = 1;
      made.status = status;
      made.created_at = made.updated_at = t.now;
      t.insert("merge_requests", made);
      return made.id;
    });
  }
};

} // namespace orch
