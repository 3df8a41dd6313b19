#include "actors/effects.hpp"
#include "messages/tasks.hpp"
#include "state_fixture.hpp"
#include "storage/tasks.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <catch2/catch.hpp>

using namespace orch;

namespace {

constexpr int64_t client = 7;

/// Effects with a storage actor in a thread of its own. A client behind a bridge asks, in its first
/// epoch.
struct effects_fixture : state_fixture {
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("sharing")); }
  };

  effects_fixture() {
    storage_options options;
    options.file = directory.path / "state.db";
    options.around = around;
    parts.storage = system.spawn<caf::detached>(storage_actor, options);
    parts.around = around;
    asked.from.server = client;
    asked.from.epoch = 1;
    asked.from.request_key = request_key{key_of_place(client, 1), 1};
    asked.params.level = "case";
    asked.params.title = "t";
    in_tx([](tx& t) { note_epoch(t, client, 1); });
  }

  ~effects_fixture() { caf::anon_send_exit(parts.storage, caf::exit_reason::user_shutdown); }

  task run(task (*work)(effects&, const task_create&)) {
    effects fx{system, parts, asked.from};
    return fx.once_per_key(asked, work);
  }

  /// What whoever repeats the request finds.
  earlier_request found() {
    return in_tx(
      [&](tx& t) { return keyed_request::of(asked.params, asked.from)->find_earlier(t); });
  }

  static void answer_elsewhere(effects& fx) {
    fx.store([](tx& t) { note_epoch(t, client, 2); });
  }

  config settings;
  caf::actor_system system{settings};
  tree parts;
  call<task_create> asked;
};

} // namespace

TEST_CASE_METHOD(effects_fixture, "effects: what was cut off is no refusal", "[requests]") {
  auto cut_off = [](effects& fx, const task_create& request) {
    answer_elsewhere(fx);
    return fx.store([&](tx& t) { return create_task(t, request); });
  };
  CHECK_THROWS_AS(run(cut_off), request_error);
  auto earlier = found();
  CHECK_FALSE(earlier.answer);
  CHECK_FALSE(earlier.being_done);
  CHECK(in_tx([](tx& t) { return t.number("SELECT count(*) FROM tasks"); }) == 0);
}

TEST_CASE_METHOD(effects_fixture, "effects: what is done is known to whoever answers by now",
                 "[requests]") {
  auto late = [](effects& fx, const task_create& request) {
    auto made = fx.store([&](tx& t) { return create_task(t, request); });
    answer_elsewhere(fx);
    return made;
  };
  auto made = run(late);
  auto earlier = found();
  REQUIRE(earlier.answer);
  CHECK(json::parse(*earlier.answer)["id"] == made.id);
}

TEST_CASE_METHOD(effects_fixture, "effects: what was refused stays refused in its place",
                 "[requests]") {
  auto refused = [](effects&, const task_create&) -> task {
    throw request_error{errc::conflict, "it is taken"};
  };
  CHECK_THROWS_AS(run(refused), request_error);
  try {
    found();
    FAIL("it was not refused");
  } catch (const request_error& e) {
    CHECK(std::string{e.what()} == "it is taken");
  }
}

TEST_CASE_METHOD(effects_fixture, "effects: what was done stays done if its end goes wrong",
                 "[requests]") {
  auto half = [](effects& fx, const task_create& request) {
    fx.store([&](tx& t) { fx.conclude(t, create_task(t, request)); });
    answer_elsewhere(fx);
    return fx.store([&](tx& t) { return create_task(t, request); });
  };
  CHECK_THROWS_AS(run(half), request_error);
  CHECK(found().answer);
}
