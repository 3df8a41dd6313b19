#include "actors/reviewers.hpp"

#include "actors/owner.hpp"
#include "actors/reviewer_effects.hpp"

namespace orch {

review_actor::behavior_type reviewers(review_actor::pointer self, tree parts) {
  return {
    effect<merge_review_request_auto>(self, parts, request_review),
    effect<merge_review_thread_status>(self, parts, tell_review_status),
    effect<merge_review_submit>(self, parts, submit_verdict),
  };
}

route_map routes(const review_actor& owner) {
  return routes_to(owner, review_methods::list{});
}

} // namespace orch
