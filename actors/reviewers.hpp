#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/reviewers.hpp"

namespace orch {

/// Owns review jobs.
using review_actor = actor_for<review_methods::list>;

review_actor::behavior_type reviewers(review_actor::pointer self, tree parts);

route_map routes(const review_actor& owner);

} // namespace orch
