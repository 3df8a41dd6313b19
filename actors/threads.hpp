#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "actors/waiting.hpp"
#include "actors/waiting_effects.hpp"
#include "messages/threads.hpp"

namespace orch {

/// Asks for a thread as it was last seen, without looking at its agent.
struct kept_thread {
  int64_t thread_id = 0;
};

/// Owns the agents in tmux panes.
using thread_actor = actor_for<thread_methods::list, caf::reacts_to<cancel_wait>,
                               caf::replies_to<kept_thread>::with<thread>>;

struct thread_owner_state {
  thread_owner_state() = default;

  waiting_effects waiting;
};

thread_actor::behavior_type threads(thread_actor::stateful_pointer<thread_owner_state> self,
                                    tree parts);

route_map routes(const thread_actor& owner);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::kept_thread)
