#include "actors/threads.hpp"

#include "actors/owner.hpp"
#include "actors/thread_effects.hpp"
#include "actors/thread_start.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

using self_pointer = thread_actor::stateful_pointer<thread_owner_state>;

auto wait_status(self_pointer self, const tree& parts) {
  return [=](const call<thread_child_wait_status>& asked) -> caf::result<thread_waited> {
    auto promise = self->make_response_promise<thread_waited>();
    self->state.waiting.run<thread_waited>(
      self, parts, asked.from, promise,
      [params = asked.params](effects& fx) { return wait_for_thread(fx, params); });
    return promise;
  };
}

/// The directive as it was stored. Who repeats the request under its key waits for the same one.
directed_thread store_directive(tx& t, const thread_child_directive& request) {
  if (typeable(request.directive).find_first_not_of(" \t\n") == std::string::npos)
    throw bad_param("directive", "directive must not be empty");
  if (request.directive.size() > longest_directive)
    throw bad_param("directive",
                    fmt::format("directive may have {} bytes at most", longest_directive));
  auto stored = add_directive(t, request.thread_id, request.mode, request.directive);
  directed_thread told;
  told.outcome = "queued";
  told.mode = request.mode;
  told.thread = get_thread(t, request.thread_id).thread;
  told.delivery = stored.state;
  told.directive_id = stored.id;
  return told;
}

auto direct(self_pointer self, const tree& parts) {
  return [=](const call<thread_child_directive>& asked) -> caf::result<directed_thread> {
    auto promise = self->make_response_promise<directed_thread>();
    // Directives are stored in the order of the requests, whenever they are delivered.
    self->request(parts.storage, caf::infinite, transaction_for(asked, store_directive))
      .then(
        [=](const directed_thread& stored) mutable {
          if (asked.params.wait_seconds == 0) {
            promise.deliver(stored);
            return;
          }
          self->state.waiting.run<directed_thread>(
            self, parts, asked.from, promise,
            [params = asked.params, id = stored.directive_id](effects& fx) {
              return wait_for_delivery(fx, params, id);
            });
        },
        [=](caf::error& e) mutable { promise.deliver(std::move(e)); });
    return promise;
  };
}

} // namespace

thread_actor::behavior_type threads(self_pointer self, tree parts) {
  return {
    effect<thread_root_ensure>(self, parts, ensure_root),
    effect<thread_child_spawn>(self, parts, spawn_child),
    effect<thread_child_list>(self, parts, list_child_threads),
    effect<thread_child_status>(self, parts, tell_thread_state),
    wait_status(self, parts),
    direct(self, parts),
    effect<thread_child_interrupt>(self, parts, interrupt_thread),
    effect<thread_child_stop>(self, parts, stop_thread),
    effect<thread_attach_info>(self, parts, tell_attach_info),
    [=](const cancel_wait& x) { self->state.waiting.cancel(x.ticket); },
    [=](const kept_thread& x) -> caf::result<thread> {
      auto work = [x](tx& t) {
        return caf::make_message(t.get<thread>("threads", x.thread_id, "thread"));
      };
      auto promise = self->make_response_promise<thread>();
      return promise.delegate(parts.reader, transaction{work, true});
    },
  };
}

route_map routes(const thread_actor& owner) {
  return routes_to(owner, thread_methods::list{});
}

} // namespace orch
