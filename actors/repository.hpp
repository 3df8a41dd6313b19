#pragma once

#include "actors/events.hpp"
#include "actors/failures.hpp"
#include "actors/locks.hpp"
#include "actors/merge_queue.hpp"
#include "actors/mirror.hpp"
#include "actors/route.hpp"
#include "actors/sessions.hpp"
#include "actors/threads.hpp"
#include "storage/storage_actor.hpp"

#include <memory>

namespace orch {

/// The ways to the owners of one repository, as long as they live.
struct route_table {
  route_map routes;
  session_actor sessions;
  lock_actor locks;
  merge_actor merges;
  mirror_actor mirror;
  thread_actor threads;
  event_actor events;
};

/// Tells a listener how its requests can be answered from now on.
struct routes_changed {
  std::shared_ptr<const route_table> table; ///< null while the owners are being restarted
  std::string parked{};                     ///< why they are not; empty: they are
};

/// Asks to be told of the routes, now and whenever they change.
struct listen_to_routes {
  caf::actor listener;
};

/// Ends the repository's actors, then the repository itself.
struct stop_repository {};

/// Time to spawn the owners again after a failure; the repository sends it to itself.
struct start_owners {};

/// What a repository is made of.
struct repository_options {
  storage_options storage;
  tree parts; ///< all but the actors, which the repository spawns
};

using repository_actor =
  caf::typed_actor<caf::reacts_to<listen_to_routes>, caf::reacts_to<start_owners>,
                   caf::reacts_to<stop_repository>>;

struct repository_state;

/// Spawns the owners of one repository and watches them. They share the storage actor, so that if
/// one of them fails all are started afresh, with growing pauses while they keep failing. Five
/// failures within a minute stop it for good.
repository_actor::behavior_type repository(
  repository_actor::stateful_pointer<repository_state> self, repository_options options);

struct repository_state {
  repository_state() = default;

  repository_options options;
  std::shared_ptr<const route_table> table;
  std::vector<caf::actor> parts;
  std::vector<caf::actor> listeners;
  std::shared_ptr<std::atomic<bool>> ending; ///< of the present owners
  failures seen;
  std::string parked; ///< it failed too often: why; no more restarts
  bool stopping = false;
};

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::routes_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::listen_to_routes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::stop_repository)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::start_owners)
