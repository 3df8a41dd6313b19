#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "actors/waiting.hpp"
#include "messages/events.hpp"
#include "storage/events.hpp"

namespace orch {

/// Asks for what has changed since an event, as soon as something has; without `since`, for the
/// number to begin with, at once. Ended by `cancel_wait` with its ticket.
struct follow_changes {
  uint64_t ticket = 0;
  std::optional<int64_t> since;
  std::chrono::milliseconds rest{0}; ///< no answer before that; more changes are gathered meanwhile
};

/// Answers those who want to know what changes, whichever process changes it. The file that tells
/// of it is watched only while somebody waits.
using event_actor =
  actor_for<event_methods::list, caf::replies_to<follow_changes>::with<seen_changes>,
            caf::reacts_to<look_again>, caf::reacts_to<cancel_wait>>;

/// What a look brought for one request.
struct event_look {
  caf::message answer;
  bool over = false; ///< `answer` is to be given
  bool more = false; ///< there is more to look at before that can be said
};

/// A request for events that has not been answered.
struct held_event_look {
  uint64_t ticket = 0;
  caf::response_promise promise;
  std::function<event_look(tx&, bool overdue)> look; ///< keeps how far it has looked
  std::chrono::steady_clock::time_point not_before{};
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  bool settled = true; ///< nothing that the caller wrote before is still uncommitted
};

struct event_state {
  event_state() = default;
  event_state(const event_state&) = delete;
  event_state& operator=(const event_state&) = delete;
  ~event_state();

  std::map<uint64_t, held_event_look> held; ///< by the order of arrival
  uint64_t arrived = 0;
  uint64_t planned = 0; ///< looks
  std::chrono::steady_clock::time_point planned_for{};
  std::shared_ptr<void> watch;
  bool looking = false;
  bool look_once_more = false;
};

event_actor::behavior_type events(event_actor::stateful_pointer<event_state> self, tree parts);

route_map routes(const event_actor& owner);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::follow_changes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::seen_changes)
