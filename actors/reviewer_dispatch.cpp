#include "actors/reviewer_dispatch.hpp"

#include "actors/reviewer_effects.hpp"
#include "io/log.hpp"
#include "storage/review_rounds.hpp"

namespace orch {

void dispatch_reviewers(effects& fx) {
  const auto& loops = fx.loops();
  auto wanted = fx.look([&](tx& t) { return reviews_wanted(t, loops.reviews); });
  loops.note_reviews(wanted.running);
  for (const auto& one : wanted.exhausted)
    fx.store([&](tx& t) { give_up_reviews(t, one, loops.reviews); });
  auto running = wanted.running;
  for (const auto& one : wanted.due) {
    auto slot = running < loops.reviews.at_once ? loops.take_review_slot() : false;
    if (!slot || fx.given_up())
      return;
    merge_review_request_auto request;
    request.session_id = one.session_id;
    request.merge_request_id = one.merge_request_id;
    request.hold_main_lock = false;
    try {
      start_review(fx, request);
      ++running;
    } catch (const request_error& e) {
      log_info("no review of merge request #{} now: {}", one.merge_request_id, e.what());
      loops.note_reviews(running);
      fx.store([&](tx& t) { note_failed_start(t, one, e.what()); });
    }
  }
}

} // namespace orch
