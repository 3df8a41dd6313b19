#include "io/guides.hpp"

namespace orch {

const std::vector<guide>& guides() {
  static const std::vector<guide> all{
    {"root", "How the agent that leads a session works",
     R"(You lead one session of a repository that several agents share.

1. Call session_open (intent new_work, or resume_work after a restart) and work only in the worktree it names.
   With resume_work choose a candidate and call resume_candidates_attach.
2. Cut the work into tasks (task_create: feature, test_group, case) or plan it (plan_bootstrap,
   plan_slice_generate). Give separate worktrees to work that would collide (scheduler_decide_worktree, worktree_spawn).
3. After a compaction call work_current_ref first and go on from what it says.
4. Merge finished child worktrees with worktree_merge_to_parent, then queue the session's branch with merge_main_request.
5. End with session_close.)"},
    {"worker", "How an agent that works cases goes about it",
     R"(You work cases of a repository that several agents share.

1. Call resume_next with claim, or case_begin for the case you were given. One case at a time.
2. Before editing, lease what you will touch with lock_acquire (file, or prefix for a directory), several at
   once with lock_acquire_many. A conflict names the holder: work on something else, or wait with wait_seconds.
   Renew long leases with lock_heartbeat; release what you no longer need.
3. After each thing you verified call step_check with its result and a status (passed,
   failed, skipped). That is what another agent resumes from.
4. When all is done call case_complete with a summary, and release your locks.
5. After a compaction call work_current_ref first and acknowledge it with work_current_ref_ack.)"},
    {"reviewer", "How an agent that reviews a merge request judges it",
     R"(You review one merge request. You change nothing.

1. Call merge_review_context for the feature, its cases, their last checkpoints and the diffstat.
2. Read the diff itself in the worktree. Check that what the checkpoints claim is true.
3. Look for what breaks: wrong behaviour, lost data, races, missing tests, leftovers.
4. State each finding with path, line, severity and evidence. Approve only what you would run yourself.)"},
    {"planner", "How an agent that plans cuts the work",
     R"(You plan work that other agents carry out in parallel.

1. plan_bootstrap makes the initiative and its plan. plan_slice_generate cuts the plan into slices; keep each
   under 18,000 tokens and 12 files, and name the files it affects.
2. Say what must come first with graph_edge_create (depends_on). graph_ready shows what can start now.
3. Slices that touch the same files must depend on each other or be one slice.
4. When a slice turns out wrong call plan_slice_replan with the reason. When its children are done hand it in
   with plan_rollup_submit.)"},
  };
  return all;
}

} // namespace orch
