#pragma once

#include "messages/merge_queue.hpp"
#include "messages/worktrees.hpp"
#include "storage/tx.hpp"

#include <chrono>

namespace orch {

/// What holds the main merge lock when no session does: the loop that merges by itself.
inline constexpr int64_t the_queue_itself = 0;

/// Requests being merged into one branch, by one process. What it is about to do is written here
/// first.
struct merge_run {
  int64_t id = 0;
  std::string target_branch;
  std::string state = "merging"; ///< moving: the branch goes to `to_commit`; updating: with files
  std::optional<std::string> base_commit; ///< where the branch is when it is moved
  std::optional<std::string> to_commit;
  int64_t token = 0; ///< of the main merge lock
  int64_t server_id = 0;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("target_branch", target_branch),
      required("state", state),
      optional("base_commit", base_commit),
      optional("to_commit", to_commit),
      required("token", token),
      required("server_id", server_id),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }
};

/// What it is called among the things in hand.
std::string name_of_run(int64_t id);

/// Queued requests in the order in which they are merged: by priority, to which each
/// `ageing_minutes` of waiting add one, then by age. `target`: only those of that branch.
std::vector<main_merge_request> queue_in_order(tx& t,
                                               const std::optional<std::string>& target = {});

/// Why a queued request may not be merged as far as rows tell; nothing if it may. Only the git
/// state is left to be looked at.
std::optional<wait_reason> why_not_ready(tx& t, const main_merge_request& x);

/// The token of the main merge lock if `holder` holds it now.
std::optional<int64_t> main_lock_token(tx& t, int64_t holder);

/// Throws failed_precondition (data.lock) if `holder` does not hold the main merge lock.
int64_t must_hold_main_lock(tx& t, int64_t holder);

/// Takes up queued requests; they are `merging` from now on. Those that are not queued or
/// not ready any more are left out. Throws failed_precondition if `holder` does not hold the main
/// merge lock.
merge_run begin_run(tx& t, const std::string& target, int64_t holder,
                    const std::vector<int64_t>& request_ids);

/// The requests of a run that are not decided yet, in the order in which they were taken up.
std::vector<main_merge_request> requests_of(tx& t, int64_t run_id);

/// One request is decided: it left the queue without being merged.
struct set_aside {
  std::string state; ///< conflict, checks_failed or failed
  std::string why;
  std::optional<std::vector<std::string>> conflict_paths{};
  std::optional<std::string> conflicts_with_commit{};
};
/// Does nothing for one that is not `merging`, as after a repeat.
void put_aside(tx& t, int64_t request_id, const set_aside& how);

/// One request goes back into the queue, with its place, if it is `merging`. `why`: what kept it.
void requeue(tx& t, int64_t request_id, const std::optional<std::string>& why = {});

/// Where the output of its last check is; `flaky`: it failed and passed when repeated.
void note_check(tx& t, int64_t request_id, const std::string& log, bool flaky);

/// A merged request on its way into the target branch.
struct merged_request {
  int64_t id = 0;
  std::string commit;
};

/// Writes down that the branch is about to go from `base` to `to`, which brings these requests.
/// Throws conflict unless the run still holds the main merge lock that it began with.
void begin_move(tx& t, int64_t run_id, const std::string& base, const std::string& to,
                const std::vector<merged_request>& merged);

/// From now on the files of work trees may be half updated.
void note_update(tx& t, int64_t run_id);

/// It went there: the requests are merged. The run goes on with the others.
void finish_move(tx& t, int64_t run_id);

/// It did not: everything is as before `begin_move`.
void give_up_move(tx& t, int64_t run_id);

/// The run is over; what is not decided goes back into the queue. Not for one that is on the move
/// (`settle_run`).
/// `why`: it says so with those that go back.
void end_run(tx& t, int64_t run_id, const std::optional<std::string>& why = {});

/// Is a run on its way under the lock that `holder` holds now?
bool has_run(tx& t, int64_t holder);

/// The ids of all runs that are written down.
std::vector<int64_t> live_runs(tx& t);

/// What is queued, as a text that changes with it.
std::string queue_fingerprint(tx& t);

/// Runs whose process has died or lost them.
std::vector<merge_run> orphaned_runs(tx& t);

/// How long is known which trees have passed, and their logs are kept.
inline constexpr std::chrono::hours kept_checks{30 * 24};

/// Has that tree passed that command? Then the path of its output, which may be empty. A different
/// command is a different question.
std::optional<std::string> log_of_passed(tx& t, const std::string& tree,
                                         const std::string& command);
void note_passed(tx& t, const std::string& tree, const std::string& command,
                 const std::string& log);

/// The request that brought a commit to its target, if one did.
std::optional<int64_t> request_of_commit(tx& t, const std::string& commit);

/// Keeps the main merge lock at least for so long from now. Throws conflict if it is not that of
/// this token any more.
void keep_main_lock(tx& t, int64_t token, int64_t ttl_seconds);

} // namespace orch
