#pragma once

#include "storage/locks.hpp"

namespace orch {

/// Somebody in line for locks (kind lock) or for the main merge lock (kind main). The line is kept
/// in the database, so that it is one line for all server processes; ids give the order.
struct waiter {
  int64_t id = 0;
  std::string owner_session;
  std::vector<lock_scope> scopes;
  int64_t ttl_seconds = 600;
};

/// What a waiter is called among the things in hand.
std::string name_of_waiter(int64_t id);

/// Those of a kind who wait, first come first; `before`: only those with a smaller id (0: all).
std::vector<waiter> waiting_in_line(tx& t, std::string_view kind, int64_t before = 0);

/// How a wait stands.
struct wait_state {
  bool over = false;       ///< granted, or no longer in line
  std::vector<lock> locks; ///< granted ones, kind lock
  bool granted = false;
  std::optional<timestamp> look_again_at; ///< the first lease that ends by itself
};

/// Gets in line. Throws conflict with `data.cycle` if those it would wait for wait for it.
/// `blocked` is what stands in the way now.
int64_t get_in_line(tx& t, std::string_view kind, const wanted_locks& wanted,
                    const blocked_by& blocked);

/// Asks how a wait stands; one that is over is taken off the books.
wait_state look_at_wait(tx& t, int64_t waiter_id);

/// What a wait is held up by, as the `data` of an error; null if by nothing.
json what_holds_up(tx& t, int64_t waiter_id);

/// Leaves the line; what was granted in the meantime is given back.
void leave_line(tx& t, int64_t waiter_id);

/// Grants what can be granted, first come first served, and wakes waiters if anything was.
/// Waiters whose server died are dropped, with what they were granted and never took.
void give_waiters_their_turn(tx& t);

/// Drops waiters whose server died, so that nobody waits behind them.
void drop_dead_waiters(tx& t);

/// Drops the waits of an owner that ended.
void forget_waiters_of(tx& t, const std::string& owner);

/// The next moment at which a lease ends by itself.
std::optional<timestamp> next_lease_end(tx& t);

} // namespace orch
