#pragma once

#include "messages/locks.hpp"
#include "storage/tx.hpp"

#include <set>
#include <variant>

namespace orch {

/// Locks somebody wants, all or none. Paths are normalized already (`normalize_path`).
struct wanted_locks {
  std::string owner;
  std::vector<lock_scope> scopes;
  int64_t ttl_seconds = 600;
};

/// Why wanted locks cannot be had now: a lease in the way, or somebody who waits for it longer.
struct blocked_by {
  std::optional<lock> holder;
  std::string owner; ///< whose lease or turn it is
};

/// `path` as the one name that locks use: relative to the repository, without `.`, `..`, doubled or
/// trailing slashes, symlinks resolved; `.` is the repository itself. A path inside one of the
/// linked worktrees under `.codex-orch/worktrees` means the same file as in the main work tree.
/// Throws invalid_params (with `field`) for NUL and for what lies outside the repository.
/// Looks at the file system; needs no database.
std::string normalize_path(const surroundings& around, std::string_view field,
                           const std::string& path);

/// ".", "a", "a/b", ... up to and with `path` itself, which must be normalized.
std::vector<std::string> chain_of(const std::string& path);

/// May two different owners hold these at the same time?
bool scopes_conflict(const lock_scope& a, const lock_scope& b);

/// What is in the way of wanted locks now: a lease, or one of the waiters `before` (an id; 0: all).
std::optional<blocked_by> find_block(tx& t, const wanted_locks& wanted, int64_t before = 0);

/// All who hold or wait for something that is in the way of wanted locks.
std::set<std::string> owners_in_the_way(tx& t, const wanted_locks& wanted, int64_t before = 0);

/// The leases that `wanted` would renew, as they are now.
std::vector<lock> own_locks(tx& t, const wanted_locks& wanted);

/// Makes a renewed lease again what it was; one that would be over by now ends.
void restore_lock(tx& t, const lock& was);

/// Grants all of it or says what is in the way. Renews what the owner has already. Nobody overtakes
/// the waiters `before` (an id; 0: all who wait).
std::variant<std::vector<lock>, blocked_by> take_locks(tx& t, const wanted_locks& wanted,
                                                       int64_t before = 0);

/// Throws failed_precondition if the owner is the id of a session that has ended.
void owner_must_be_open(tx& t, const std::string& owner);

/// `take_locks` or throws conflict with `data.holder`.
std::vector<lock> acquire_locks(tx& t, const wanted_locks& wanted);

/// The error of a request that is refused because of `by`.
request_error lock_conflict(const blocked_by& by);

lock heartbeat_lock(tx& t, const lock_heartbeat& request);
lock release_lock(tx& t, const lock_release& request);

/// `request.path` must be normalized.
lock_page list_locks(tx& t, const lock_list& request);

/// Ends all active leases of an owner; waiters get their turn.
void release_locks_of(tx& t, const std::string& owner);

/// Ends one lease if it is active; waiters are not looked at.
void end_lock(tx& t, int64_t id, const std::string& state);

/// Ends the leases whose time has come, each a change of state, and gives waiters their turn.
/// Runs at the start of every batch, so that nobody sees a lease that is over.
void settle_leases(tx& t);

/// Is there a lease that is over and still stands as active? Only reads.
bool any_lease_is_over(tx& t);

} // namespace orch
