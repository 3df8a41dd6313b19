#include "actors/merge_queue.hpp"

#include "actors/conflict_radar.hpp"
#include "actors/merge_candidates.hpp"
#include "actors/merge_effects.hpp"
#include "actors/merge_processing.hpp"
#include "actors/owner.hpp"
#include "storage/merge_queue.hpp"
#include "storage/sessions.hpp"

namespace orch {

namespace {

using self_pointer = merge_actor::stateful_pointer<merge_state>;

/// Takes the lock or gets in line for it.
std::variant<main_merge_lock, line_place> begin(tx& t, const merge_main_acquire_lock& request) {
  must_be_open(t, request.session_id);
  auto ahead = main_lock_refusal(t, request.session_id);
  if (!ahead)
    return take_main_lock(t, request.session_id, request.ttl_seconds);
  wanted_locks wanted{std::to_string(request.session_id), {}, request.ttl_seconds};
  return line_place{get_in_line(t, "main", wanted, {{}, std::to_string(*ahead)})};
}

auto acquire(self_pointer self, const tree& parts) {
  return [=](const call<merge_main_acquire_lock>& asked) -> caf::result<main_merge_lock> {
    auto promise = self->make_response_promise<main_merge_lock>();
    if (asked.params.wait_seconds == 0)
      return promise.delegate(parts.storage, transaction_for(asked, acquire_main_lock));
    auto finish = [](tx& t, const merge_main_acquire_lock&, const wait_state&) {
      return get_main_lock(t);
    };
    self->state.waiting.answer_or_hold(self, parts, asked, promise, begin, finish);
    return promise;
  };
}

/// Merges in a thread of its own; other requests go on meanwhile.
auto process(self_pointer self, const tree& parts) {
  return [=](const call<merge_main_process>& asked) -> caf::result<processed_main_merges> {
    auto promise = self->make_response_promise<processed_main_merges>();
    self->state.merging.run<processed_main_merges>(
      self, parts, asked.from, promise,
      [asked](effects& fx) { return fx.once_per_key(asked, process_main_merges); });
    return promise;
  };
}

} // namespace

merge_actor::behavior_type merge_queue(self_pointer self, tree parts) {
  return {
    stored<merge_request>(self, parts, create_merge_request),
    effect<merge_review_context>(self, parts, gather_review_context),
    effect<merge_main_request>(self, parts, request_main_merge),
    stored<merge_main_next>(self, parts, next_in_queue),
    stored<merge_main_status>(self, parts, get_main_merge),
    stored<merge_main_list>(self, parts, list_main_merges),
    acquire(self, parts),
    stored<merge_main_release_lock>(self, parts, release_main_lock),
    process(self, parts),
    effect<merge_main_explain>(self, parts, explain_main_merge),
    stored<merge_main_cancel>(self, parts, cancel_main_merge),
    effect<merge_conflicts_preview>(self, parts, preview_conflicts),
    [=](look_again why) { self->state.waiting.look(self, parts, why); },
    [=](const cancel_wait& x) {
      self->state.waiting.cancel(self, parts, x.ticket);
      self->state.merging.cancel(x.ticket);
    },
  };
}

route_map routes(const merge_actor& owner) {
  return routes_to(owner, merge_methods::list{});
}

} // namespace orch
