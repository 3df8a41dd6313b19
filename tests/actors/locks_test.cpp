#include "actor_fixture.hpp"
#include "actors/locks.hpp"

#include <catch2/catch.hpp>

using namespace orch;
using namespace std::chrono_literals;

namespace {

struct lock_owner_fixture : actor_fixture {
  lock_actor owner = own(system.spawn(locks, parts));

  auto acquire(const std::string& who, const std::string& path, int64_t wait = 0, int64_t ttl = 600,
               uint64_t ticket = 0) {
    lock_acquire request;
    request.scope_type = "file";
    request.scope_path = path;
    request.owner_session = who;
    request.ttl_seconds = ttl;
    request.wait_seconds = wait;
    caller from;
    from.ticket = ticket;
    return call_to(owner, request, from);
  }

  /// As a client behind a bridge asks, in a place of its own; perhaps not for the first time.
  auto acquire_in_place(const std::string& who, const std::string& path, bool repeated = false) {
    lock_acquire request;
    request.scope_type = "file";
    request.scope_path = path;
    request.owner_session = who;
    request.wait_seconds = 60;
    caller from;
    from.request_key = request_key{"place 7 1", 1};
    from.repeated = repeated;
    return call_to(owner, request, from);
  }

  auto release(int64_t id) { return call_to(owner, lock_release{id, {}}); }

  void wake() {
    caf::anon_send(owner, look_again{});
    run();
  }
};

} // namespace

TEST_CASE_METHOD(lock_owner_fixture, "lock.acquire that waits is answered when its turn comes",
                 "[locks]") {
  auto held = acquire("1", "a");
  REQUIRE(held->result);
  auto waiting = acquire("2", "a", 60);
  CHECK(waiting->open());
  CHECK(acquire("3", "b", 60)->result);
  CHECK(release(held->result->id)->result);
  CHECK(wake_ups > 0);
  CHECK(waiting->open());
  wake();
  REQUIRE(waiting->result);
  CHECK(waiting->result->owner_session == "2");
}

TEST_CASE_METHOD(lock_owner_fixture, "a wait that was begun anew is no refusal", "[locks]") {
  auto held = acquire("1", "a");
  auto first = acquire_in_place("2", "a");
  CHECK(first->open());
  auto again = acquire_in_place("2", "a", /*repeated=*/true);
  wake();
  CHECK(first->error);
  CHECK(again->open());
  auto known = [this] {
    return in_tx([](tx& t) {
      return t.number("SELECT count(*) FROM request_keys WHERE answer IS NULL AND refused = 0");
    });
  };
  CHECK(known() == 1);
  release(held->result->id);
  wake();
  CHECK(again->result);
  CHECK(known() == 0);
}

TEST_CASE_METHOD(lock_owner_fixture, "a lease that ends by itself wakes the next without a hint",
                 "[locks]") {
  acquire("1", "a", 0, 10);
  auto waiting = acquire("2", "a", 3'600);
  CHECK(waiting->open());
  pass_seconds(10);
  scheduler.advance_time(3'600s);
  run();
  CHECK(waiting->result);
}

TEST_CASE_METHOD(lock_owner_fixture, "a cancelled wait leaves the line", "[locks]") {
  auto held = acquire("1", "a");
  auto waiting = acquire("2", "a", 60, 600, /*ticket=*/42);
  caf::anon_send(owner, cancel_wait{42});
  run();
  CHECK(waiting->error);
  CHECK(release(held->result->id)->result);
  CHECK(acquire("3", "a")->result);
}

TEST_CASE_METHOD(lock_owner_fixture,
                 "a wait that is cancelled on its way into the line leaves it too", "[locks]") {
  auto held = acquire("1", "a");
  lock_acquire request;
  request.scope_type = "file";
  request.scope_path = "a";
  request.owner_session = "2";
  request.wait_seconds = 60;
  caller from;
  from.ticket = 43;
  auto waiting = ask<lock>(owner, call<lock_acquire>{request, from}, /*run_now=*/false);
  caf::anon_send(owner, cancel_wait{43});
  run();
  CHECK(waiting->error);
  CHECK(release(held->result->id)->result);
  CHECK(acquire("3", "a")->result);
}

TEST_CASE_METHOD(lock_owner_fixture, "the end of the owner answers those who wait", "[locks]") {
  acquire("1", "a");
  auto waiting = acquire("2", "a", 60);
  caf::anon_send_exit(owner, caf::exit_reason::kill);
  run();
  REQUIRE(waiting->error);
  CHECK(waiting->error->code == errc::unavailable);
}

TEST_CASE_METHOD(lock_owner_fixture, "a waiting lock.acquire with a request_key is done once",
                 "[locks]") {
  auto ask_with_key = [&](const std::string& who) {
    lock_acquire request;
    request.scope_type = "file";
    request.scope_path = "a";
    request.owner_session = who;
    request.wait_seconds = 60;
    caller from;
    from.request_key = {"key"};
    return call_to(owner, request, from);
  };
  auto held = acquire("1", "a");
  auto first = ask_with_key("2");
  auto meanwhile = ask_with_key("2");
  REQUIRE(meanwhile->error);
  CHECK(meanwhile->error->code == errc::conflict);
  release(held->result->id);
  wake();
  REQUIRE(first->result);
  auto again = ask_with_key("2");
  REQUIRE(again->result);
  CHECK(again->result->id == first->result->id);
  CHECK(ask_with_key("3")->error->code == errc::conflict);
}
