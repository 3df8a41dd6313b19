#include "messages/tools.hpp"

namespace orch {

const std::vector<tool_profile>& tool_profiles() {
  static const std::vector<tool_profile> profiles{
    {"all", {}},
    {"groups", {}},
    {"root",
     {"session.open",
      "session.close",
      "work.current_ref",
      "work.current_ref.ack",
      "resume.candidates.attach",
      "task.create",
      "task.list",
      "scheduler.decide_worktree",
      "worktree.spawn",
      "worktree.merge_to_parent",
      "thread.child.spawn",
      "thread.child.list",
      "thread.child.status",
      "thread.child.wait_status",
      "thread.child.directive",
      "thread.child.interrupt",
      "thread.child.stop",
      "inbox.send",
      "inbox.pending",
      "merge.request",
      "merge.main.request",
      "merge.main.status",
      "merge.review.thread_status",
      "events.tail"}},
    {"worker",
     {"work.current_ref", "work.current_ref.ack", "resume.next", "task.get", "task.list",
      "case.begin", "step.check", "case.complete", "lock.acquire", "lock.acquire_many",
      "lock.heartbeat", "lock.release", "lock.list", "inbox.send", "inbox.pending",
      "inbox.deliver"}},
    {"reviewer",
     {"merge.review_context", "merge.review.submit", "merge.conflicts.preview", "merge.main.status",
      "task.get", "task.list", "checkpoint.list", "worktree.status", "session.context",
      "work.current_ref", "inbox.send"}},
    {"planner",
     {"plan.bootstrap", "plan.slice.generate", "plan.slice.replan", "plan.rollup.preview",
      "plan.rollup.submit", "graph.node.create", "graph.node.list", "graph.edge.create",
      "graph.ready", "graph.checklist.upsert", "graph.snapshot.create", "task.create", "task.list",
      "resume.next"}},
    {"mirror", {"mirror.status", "mirror.refresh", "workspace.init", "inbox.send"}},
  };
  return profiles;
}

const tool_profile* find_profile(std::string_view name) {
  for (const auto& profile : tool_profiles())
    if (profile.name == name)
      return &profile;
  return nullptr;
}

const std::vector<tool_group>& tool_groups() {
  static const std::vector<tool_group> groups{
    {"orch_session", "Sessions: open, look at, close.", {"session."}},
    {"orch_task",
     "Tasks, cases, steps and checkpoints.",
     {"task.", "case.", "step.", "checkpoint."}},
    {"orch_graph", "The planning graph and plans.", {"graph.", "plan."}},
    {"orch_workspace", "Worktrees and path locks.", {"worktree.", "lock.", "scheduler."}},
    {"orch_thread", "Agent threads in tmux.", {"thread."}},
    {"orch_lifecycle", "Resume work after compaction, restarts and crashes.", {"resume.", "work."}},
    {"orch_merge", "Reviews and the merge queue.", {"merge."}},
    {"orch_inbox", "Messages between threads.", {"inbox."}},
    {"orch_system",
     "The repository, its runtime, its mirror, and what changes.",
     {"workspace.", "runtime.", "mirror.", "events."}},
  };
  return groups;
}

bool in_group(const tool_group& group, std::string_view method) {
  for (auto prefix : group.prefixes)
    if (method.starts_with(prefix))
      return true;
  return false;
}

} // namespace orch
