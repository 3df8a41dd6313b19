#pragma once

#include "actors/effects.hpp"

#include <caf/typed_response_promise.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace orch {

/// Effects that are held open and may be cancelled. Lives in the state of the owner that answers
/// them; all calls from the owner.
class waiting_effects {
public:
  /// Runs `work` in a thread of its own; `effects::given_up` tells it when it was cancelled.
  template <class Result, class Self>
  void run(Self* self, const tree& parts, const caller& from,
           caf::typed_response_promise<Result> promise, std::function<Result(effects&)> work) {
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    running_[from.ticket] = cancelled;
    effect_job job{[work = std::move(work)](effects& fx) { return caf::make_message(work(fx)); },
                   from, cancelled};
    self->request(spawn_effect_worker(self->system(), parts), caf::infinite, std::move(job))
      .then(
        [this, promise, ticket = from.ticket](const Result& result) mutable {
          running_.erase(ticket);
          promise.deliver(result);
        },
        [this, promise, ticket = from.ticket](caf::error& e) mutable {
          running_.erase(ticket);
          promise.deliver(std::move(e));
        });
  }

  /// The request of that ticket is no longer wanted, if it is one of these.
  void cancel(uint64_t ticket) {
    if (auto found = running_.find(ticket); found != running_.end())
      *found->second = true;
  }

private:
  std::map<uint64_t, std::shared_ptr<std::atomic<bool>>> running_; ///< by ticket
};

} // namespace orch
