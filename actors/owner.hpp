#pragma once

// The two kinds of handlers that owners are made of: `stored` for what is rows only, `effect` for
// what touches the world outside the database as well.

#include "actors/effects.hpp"
#include "storage/requests.hpp"
#include "storage/storage_actor.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

namespace orch {

template <request M, class Work>
typename M::result apply_work(tx& t, const call<M>& asked, const Work& work) {
  if constexpr (std::is_invocable_v<Work, tx&, const M&, const caller&>)
    return work(t, asked.params, asked.from);
  else
    return work(t, asked.params);
}

/// `work` on `asked`, done once for each request_key.
template <request M, class Work>
transaction transaction_for(call<M> asked, Work work) {
  auto refused = refusal_noter(asked);
  return {[asked = std::move(asked), work](tx& t) {
            t.asked_by(asked.from);
            return caf::make_message(
              once_per_key(t, asked, [&] { return apply_work(t, asked, work); }));
          },
          M::about.touches == access::read, false, std::move(refused)};
}

/// Answers `M` with `work`, run as a transaction. The storage actor answers the caller directly.
/// A read goes to the reader beside the writer if the caller has nothing unanswered there.
template <request M, class Self, class Work>
auto stored(Self* self, const tree& parts, Work work) {
  return [self, parts, work](const call<M>& asked) -> caf::result<typename M::result> {
    auto beside = M::about.touches == access::read && asked.from.settled;
    auto promise = self->template make_response_promise<typename M::result>();
    return promise.delegate(beside ? parts.reader : parts.storage, transaction_for(asked, work));
  };
}

/// Answers `M` with `work(effects&, const M&)`, run to its end in a thread of its own.
template <request M, class Self>
auto effect(Self* self, const tree& parts, typename M::result (*work)(effects&, const M&)) {
  return [self, parts, work](const call<M>& asked) -> caf::result<typename M::result> {
    auto promise = self->template make_response_promise<typename M::result>();
    return promise.delegate(spawn_effect_worker(self->system(), parts),
                            effect_job{[asked, work](effects& fx) {
                                         return caf::make_message(fx.once_per_key(asked, work));
                                       },
                                       asked.from});
  };
}

} // namespace orch
