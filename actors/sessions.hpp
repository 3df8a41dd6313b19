#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/sessions.hpp"

#include <map>

namespace orch {

/// A request named the session; nobody waits for this to be noted.
struct sign_of_life {
  int64_t session_id = 0;
  caller from;
};

/// The connection ended: its sessions are to be suspended. Answered when that is on disk.
struct end_connection {
  int64_t server = 0; ///< as its requests said (`caller::server`)
};

/// The connection ended, but not its client, which is answered elsewhere by now.
struct leave_connection {
  int64_t server = 0;
  int64_t epoch = 0;
};

/// A client behind a bridge is answered by us from now on. Answered when that is on disk.
struct begin_epoch {
  int64_t server = 0;
  int64_t epoch = 0;
};

/// Time for signs of life of the sessions that our connections keep alive.
struct keep_alive {};

/// Owns sessions, what they are at, and who takes over whose work.
using session_actor =
  actor_for<session_methods::list, caf::reacts_to<sign_of_life>,
            caf::replies_to<end_connection>::with<done>, caf::reacts_to<leave_connection>,
            caf::replies_to<begin_epoch>::with<done>, caf::reacts_to<keep_alive>>;

struct session_state {
  session_state() = default;

  /// Processes behind our connections (0: ours), and the epoch that each is answered in.
  std::map<int64_t, int64_t> keeping_alive;
  bool ticking = false; ///< a `keep_alive` is on its way
};

session_actor::behavior_type sessions(session_actor::stateful_pointer<session_state> self,
                                      tree parts);

route_map routes(const session_actor& owner);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::sign_of_life)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::end_connection)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::leave_connection)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::begin_epoch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::keep_alive)
