#pragma once

#include "actors/waiting.hpp"

#include <caf/behavior.hpp>
#include <caf/stateful_actor.hpp>

namespace orch {

/// Time for the next round; the follower sends it to itself.
struct follow_round {
  uint64_t number = 0; ///< only the last one planned counts
};

/// What the follower remembers of a thread between two rounds.
struct followed_thread {
  int64_t interrupted_for = 0; ///< the directive for which its turn was cut short
  std::chrono::steady_clock::time_point interrupted_at;
  /// Prompts like the one that is under way, in its transcript before that was typed. Not known
  /// of what another server has typed.
  std::optional<int64_t> prompts_before;
  int enters_again = 0; ///< Enter was pressed once more for it
  std::optional<std::chrono::steady_clock::time_point> idle_since;
};

struct follower_state {
  follower_state() = default;

  std::map<int64_t, followed_thread> followed;
  std::shared_ptr<void> watch;
  uint64_t rounds_planned = 0;
  std::chrono::milliseconds next{0}; ///< from the last round to the next
};

/// Looks after agents: brings directives and messages to them when they can take them and proves
/// that they did, and sees that reviews end: by a verdict, a time-out or the reviewer's death. It
/// rests, without cost, while nothing is on its way. Each thread is looked after by one server;
/// what a server that died has left, another takes over. Runs tmux: spawn it detached.
caf::behavior follower(caf::stateful_actor<follower_state>* self, tree parts);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::follow_round)
