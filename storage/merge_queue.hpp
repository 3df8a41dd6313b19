#pragma once

#include "messages/merge_queue.hpp"
#include "messages/worktrees.hpp"
#include "storage/tx.hpp"

namespace orch {

merge_request_record create_merge_request(tx& t, const merge_request& request);

/// The review context without the diffstat, which needs git.
review_context get_review_context(tx& t, const merge_review_context& request);

/// The newest queue entry that belongs to a merge request.
std::optional<main_merge_request> queued_for(tx& t, int64_t merge_request_id);

/// What `merge.main.request` needs to know before it looks at the worktree; throws if the request
/// may not be queued: foreign or unknown worktree, unmerged children, merge request unknown.
worktree check_main_request(tx& t, const merge_main_request& request);

main_merge_request queue_main_merge(tx& t, const merge_main_request& request,
                                    const std::string& target_branch, const std::string& head);

next_main_merge next_in_queue(tx& t, const merge_main_next& request);
main_merge_status get_main_merge(tx& t, const merge_main_status& request);
main_merge_page list_main_merges(tx& t, const merge_main_list& request);
main_merge_request cancel_main_merge(tx& t, const merge_main_cancel& request);

/// Takes the main merge lock or says who has it. The holder renews.
std::optional<int64_t> main_lock_refusal(tx& t, int64_t session_id);
main_merge_lock take_main_lock(tx& t, int64_t session_id, int64_t ttl_seconds);
main_merge_lock acquire_main_lock(tx& t, const merge_main_acquire_lock& request);
main_merge_lock release_main_lock(tx& t, const merge_main_release_lock& request);

main_merge_lock get_main_lock(tx& t);

/// Conflict, naming the holder and the end of its lease.
request_error main_lock_conflict(const main_merge_lock& held);

/// The session that holds the lease now.
std::optional<int64_t> main_lock_holder(tx& t);

/// Gives the lock back if that session has it; waiters get their turn.
void release_main_lock_of(tx& t, int64_t session_id);

/// Ends the lease if its time has come; says whether it did.
bool end_main_lease_in_time(tx& t);

} // namespace orch
