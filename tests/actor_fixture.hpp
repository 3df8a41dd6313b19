#pragma once

#include "actors/effects.hpp"
#include "state_fixture.hpp"
#include "storage/storage_actor.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <variant>

namespace orch {

/// The actors of a repository on CAF's deterministic scheduler: no threads, no real time. Waiters
/// hear of wake-ups only when the test passes them on.
class actor_fixture : public state_fixture {
public:
  /// What became of a request.
  template <class R>
  struct answer {
    std::optional<R> result;
    std::optional<request_error> error;

    bool open() const { return !result && !error; }
  };

  actor_fixture() {
    options.file = directory.path / "state.db";
    options.around = around;
    options.enter = [this] { ++turns; };
    storage = own(system.spawn(storage_actor, options));
    reader = own(system.spawn(reader_actor, options));
    auto no_watch = [](std::function<void()>) { return std::make_shared<int>(0); };
    parts = {storage, reader, around, {}, no_watch, no_watch};
    scheduler.clock().current_time += std::chrono::hours{1};
    run();
  }

  ~actor_fixture() {
    for (const auto& actor : owned)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    run();
  }

  template <class Handle>
  Handle own(Handle handle) {
    owned.push_back(caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  void run() {
    while (scheduler.try_run_once()) {
    }
  }

  /// Lets virtual time pass for timers; the wall clock moves along.
  void advance(std::chrono::seconds by) {
    pass_seconds(by.count());
    scheduler.advance_time(by);
    run();
  }

  /// Sends `message` and runs until all is quiet; the answer may come later.
  template <class R, class Handle, class Message>
  std::shared_ptr<answer<R>> ask(Handle to, Message message, bool run_now = true) {
    auto slot = std::make_shared<answer<R>>();
    own(system.spawn([=](caf::event_based_actor* self) {
      self->request(to, caf::infinite, message)
        .then([=](const R& x) { slot->result = x; },
              [=](const caf::error& e) { slot->error = from_caf_error(e); });
    }));
    if (run_now)
      run();
    return slot;
  }

  template <class Handle, request M>
  auto call_to(Handle to, M params, caller from = {}) {
    return ask<typename M::result>(to, call<M>{std::move(params), std::move(from)});
  }

  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };

  int turns = 0;
  storage_options options;
  config settings;
  caf::actor_system system{settings};
  caf::scheduler::test_coordinator& scheduler =
    dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::vector<caf::actor> owned;
  caf::actor storage;
  caf::actor reader;
  tree parts;
};

} // namespace orch
