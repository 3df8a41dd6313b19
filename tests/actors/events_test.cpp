#include "actor_fixture.hpp"
#include "actors/events.hpp"
#include "actors/owner.hpp"
#include "storage/tasks.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct event_owner_fixture : actor_fixture {
  event_owner_fixture() {
    around->wake_events = [this] { ++event_hints; };
    parts.watch_events = [this](std::function<void()>) {
      ++watches_made;
      auto count = watches;
      ++*count;
      return std::shared_ptr<void>{count.get(), [count](void*) { --*count; }};
    };
    owner = own(system.spawn(events, parts));
    run();
  }

  void change(std::string_view kind = "task.created") {
    ask<done>(storage, transaction{[kind](tx& t) {
                t.changed(kind, {{"task_id", 1}});
                return caf::make_message(done{});
              }});
  }

  auto tail(std::optional<int64_t> since, int64_t wait = 0, std::vector<std::string> kinds = {},
            uint64_t ticket = 0) {
    events_tail request;
    request.since = since;
    request.wait_seconds = wait;
    request.kinds = std::move(kinds);
    caller from;
    from.ticket = ticket;
    return call_to(owner, request, from);
  }

  auto follow(std::optional<int64_t> since, std::chrono::milliseconds rest = {}) {
    return ask<seen_changes>(owner, follow_changes{77, since, rest});
  }

  void hint() {
    caf::anon_send(owner, look_again{});
    run();
  }

  int event_hints = 0;
  int watches_made = 0;
  std::shared_ptr<int> watches = std::make_shared<int>(0);
  event_actor owner;
};

} // namespace

TEST_CASE_METHOD(event_owner_fixture, "events.tail answers at once with what is there",
                 "[events]") {
  change();
  auto found = tail(0);
  REQUIRE(found->result);
  CHECK(found->result->events.size() == 1);
  CHECK(tail(1, 60)->open());
  CHECK(tail(0, 60)->result);
  CHECK(tail(1)->result->events.empty());
}

TEST_CASE_METHOD(event_owner_fixture, "events.tail without since begins now", "[events]") {
  change();
  auto now = tail({});
  REQUIRE(now->result);
  CHECK(now->result->events.empty());
  CHECK(now->result->next_since == 1);
  auto waiting = tail({}, 60);
  change("lock.acquired");
  hint();
  REQUIRE(waiting->result);
  REQUIRE(waiting->result->events.size() == 1);
  CHECK(waiting->result->events[0].kind == "lock.acquired");
}

TEST_CASE_METHOD(event_owner_fixture, "events.tail waits for the kinds asked for", "[events]") {
  auto waiting = tail(0, 60, {"lock."});
  change("task.created");
  hint();
  CHECK(waiting->open());
  change("lock.released");
  hint();
  REQUIRE(waiting->result);
  CHECK(waiting->result->events.size() == 1);
  CHECK(waiting->result->next_since == 2);
}

TEST_CASE_METHOD(event_owner_fixture, "each commit with changes gives one hint, others none",
                 "[events]") {
  change();
  CHECK(event_hints == 1);
  ask<done>(storage, transaction{[](tx&) { return caf::make_message(done{}); }});
  CHECK(event_hints == 1);
}

TEST_CASE_METHOD(event_owner_fixture, "many who wait share one watch, and nobody needs none",
                 "[events]") {
  tail(0);
  CHECK(watches_made == 0);
  std::vector<std::shared_ptr<answer<event_page>>> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(tail(0, 3'600));
  CHECK(*watches == 1);
  change();
  hint();
  for (const auto& x : waiting)
    CHECK(x->result);
  advance(std::chrono::seconds{10});
  CHECK(*watches == 0);
  CHECK(watches_made == 1);
}

TEST_CASE_METHOD(event_owner_fixture, "a cancelled wait is over", "[events]") {
  auto waiting = tail(0, 3'600, {}, 42);
  auto other = tail(0, 3'600, {}, 43);
  caf::anon_send(owner, cancel_wait{42});
  run();
  CHECK(waiting->error);
  CHECK(other->open());
}

TEST_CASE_METHOD(event_owner_fixture, "who waits is answered when the owner ends", "[events]") {
  auto waiting = tail(0, 3'600);
  caf::anon_send_exit(owner, caf::exit_reason::user_shutdown);
  run();
  CHECK(waiting->error);
}

TEST_CASE_METHOD(event_owner_fixture, "events.tail looks at no batch that is open", "[events]") {
  caller from;
  from.settled = false;
  events_tail request;
  request.since = 0;
  auto made = ask<done>(storage, transaction{[](tx& t) {
                          t.changed("task.created");
                          return caf::make_message(done{});
                        }},
                        /*run_now=*/false);
  auto found = call_to(owner, request, from);
  REQUIRE(found->result);
  CHECK(found->result->events.size() == 1);
}

TEST_CASE_METHOD(event_owner_fixture, "who follows is told where to begin, then what changed",
                 "[events]") {
  change();
  auto begin = follow({});
  REQUIRE(begin->result);
  CHECK(begin->result->none());
  auto next = follow(begin->result->next_since);
  CHECK(next->open());
  CHECK(*watches == 1);
  change("lock.acquired");
  hint();
  REQUIRE(next->result);
  CHECK(next->result->kinds.contains("lock.acquired"));
}

TEST_CASE_METHOD(event_owner_fixture, "who follows and rests is told later, of everything",
                 "[events]") {
  auto next = follow(0, std::chrono::milliseconds{30});
  change("lock.acquired");
  hint();
  CHECK(next->open());
  change("lock.released");
  // Rests are measured with the clock of the machine, so its time has to pass.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!next->result && std::chrono::steady_clock::now() < end)
    advance(std::chrono::seconds{1});
  REQUIRE(next->result);
  CHECK(next->result->kinds.size() == 2);
}
