#include "state_fixture.hpp"
#include "storage/sessions.hpp"
#include "storage/tasks.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct event_fixture : state_fixture {
  int64_t make_task(const std::string& level = "case", std::optional<int64_t> parent = {}) {
    task_create request;
    request.level = level;
    request.title = "x";
    request.parent_id = parent;
    return in_tx([&](tx& t) { return create_task(t, request).id; });
  }

  void make_events(int count, std::string_view kind = "task.created") {
    in_tx([&](tx& t) {
      for (int i = 1; i <= count; ++i)
        t.changed(kind, {{"task_id", i}});
    });
  }

  event_page tail(int64_t since, const std::vector<std::string>& kinds = {},
                  int64_t limit = 1'000) {
    return in_tx([&](tx& t) { return find_events(t, since, kinds, limit).page; });
  }

  seen_changes seen_since(int64_t since) {
    return in_tx([&](tx& t) { return changes_since(t, since); });
  }

  int64_t newest() {
    return in_tx([](tx& t) { return newest_event(t); });
  }

  /// Returns how many calls it took.
  int prune() {
    int calls = 1;
    while (in_tx([](tx& t) { return prune_events(t); }))
      ++calls;
    return calls;
  }
};

} // namespace

TEST_CASE("ids are written as a JSON object, without those that are none", "[events]") {
  CHECK(ids_text({}) == "{}");
  CHECK(ids_text({{"task_id", 5}}) == R"({"task_id":5})");
  CHECK(ids_text({{"a", 0}, {"lock_id", 7}, {"b", 0}, {"session_id", -1}})
        == R"({"lock_id":7,"session_id":-1})");
}

TEST_CASE_METHOD(event_fixture, "a change is an event that says what, when and who", "[events]") {
  around->server = 4;
  caller from;
  from.session_id = 7;
  from.thread_id = 9;
  in_tx([&](tx& t) {
    t.asked_by(from);
    t.changed("task.updated", {{"task_id", 3}});
    t.changed("main_lock.expired");
  });
  auto events = tail(0).events;
  REQUIRE(events.size() == 2);
  CHECK(events[0].seq == 1);
  CHECK(events[0].at == now);
  CHECK(events[0].kind == "task.updated");
  CHECK(events[0].ids.text == R"({"task_id":3})");
  CHECK(events[0].session_id == 7);
  CHECK(events[0].thread_id == 9);
  CHECK(events[0].server_id == 4);
  CHECK(events[1].seq == 2);
  CHECK(events[1].ids.text == "{}");
}

TEST_CASE_METHOD(event_fixture, "what is undone leaves no event", "[events]") {
  refused([](tx& t) {
    t.changed("task.created", {{"task_id", 1}});
    throw no_such("task", 1);
  });
  CHECK(newest() == 0);
}

TEST_CASE_METHOD(event_fixture, "many changes of one transaction stay in order", "[events]") {
  auto count = GENERATE(1, 31, 32, 33, 100);
  make_events(count);
  auto events = tail(0).events;
  REQUIRE(std::ssize(events) == count);
  for (int i = 0; i < count; ++i) {
    CHECK(events[static_cast<std::size_t>(i)].seq == i + 1);
    CHECK(events[static_cast<std::size_t>(i)].ids.text == ids_text({{"task_id", i + 1}}));
  }
}

TEST_CASE_METHOD(event_fixture, "pages of events follow each other without a gap", "[events]") {
  make_events(25);
  int64_t since = 0;
  std::vector<int64_t> seen;
  for (int page = 0; page < 4; ++page) {
    auto found = tail(since, {}, 10);
    CHECK_FALSE(found.gap);
    for (const auto& x : found.events)
      seen.push_back(x.seq);
    since = found.next_since;
  }
  REQUIRE(seen.size() == 25);
  CHECK(seen.back() == 25);
  CHECK(since == 25);
}

TEST_CASE_METHOD(event_fixture, "events are chosen by the beginnings of their kinds", "[events]") {
  make_events(3, "task.created");
  make_events(2, "lock.released");
  make_events(1, "task.updated");
  using kinds_and_count = std::pair<std::vector<std::string>, int>;
  auto [kinds, count] = GENERATE(values<kinds_and_count>(
    {kinds_and_count{{}, 6}, kinds_and_count{{"task."}, 4}, kinds_and_count{{"task.updated"}, 1},
     kinds_and_count{{"lock", "task.updated"}, 3}, kinds_and_count{{"session."}, 0}}));
  auto found = tail(0, kinds);
  CHECK(std::ssize(found.events) == count);
  CHECK(found.next_since == 6);
}

TEST_CASE_METHOD(event_fixture, "a long stretch of other kinds is looked through in parts",
                 "[events]") {
  make_events(50'000, "task.created");
  make_events(1, "lock.released");
  int64_t since = 0;
  int looks = 1;
  auto look = [&] { return in_tx([&](tx& t) { return find_events(t, since, {"lock."}, 10); }); };
  auto found = look();
  for (; found.more; found = look(), ++looks) {
    CHECK(found.page.events.empty());
    since = found.page.next_since;
  }
  CHECK(looks > 1);
  REQUIRE(found.page.events.size() == 1);
  CHECK(found.page.events[0].kind == "lock.released");
  CHECK(found.page.next_since == 50'001);
}

TEST_CASE_METHOD(event_fixture, "old events go in small bites, and numbers go on", "[events]") {
  make_events(5'000);
  pass_seconds(3'600 * around->keep_events_hours);
  make_events(3);
  pass_seconds(1);
  CHECK(prune() == 3);
  auto found = tail(0);
  CHECK(found.oldest_seq == 5'001);
  CHECK(found.gap);
  CHECK(found.events.size() == 3);
  CHECK_FALSE(tail(5'000).gap);
  pass_seconds(3'600 * around->keep_events_hours);
  prune();
  found = tail(5'003);
  CHECK_FALSE(found.gap);
  CHECK(found.oldest_seq == 5'004);
  make_events(1);
  CHECK(newest() == 5'004);
}

TEST_CASE_METHOD(event_fixture, "a number from another state is a gap", "[events]") {
  make_events(1);
  auto found = tail(99);
  CHECK(found.gap);
  CHECK(found.next_since == 1);
}

TEST_CASE_METHOD(event_fixture, "what changed names the tasks above as well", "[events]") {
  auto epic = make_task("epic");
  auto feature = make_task("feature", epic);
  auto other = make_task("epic");
  auto since = newest();
  auto leaf = make_task("case", feature);
  auto seen = seen_since(since);
  CHECK_FALSE(seen.all);
  CHECK(seen.kinds == std::set<std::string>{"task.created"});
  for (auto id : {epic, feature, leaf})
    CHECK(seen.ids.contains({"task_id", id}));
  CHECK_FALSE(seen.ids.contains({"task_id", other}));
  CHECK(seen_since(seen.next_since).none());
}

TEST_CASE_METHOD(event_fixture, "what changed names the session that asked", "[events]") {
  caller from;
  from.session_id = 12;
  in_tx([&](tx& t) {
    t.asked_by(from);
    t.changed("lock.acquired", {{"lock_id", 4}, {"session_id", 5}});
  });
  auto seen = seen_since(0);
  CHECK(seen.ids.contains({"lock_id", 4}));
  CHECK(seen.ids.contains({"session_id", 5}));
  CHECK(seen.ids.contains({"session_id", 12}));
}

TEST_CASE_METHOD(event_fixture, "of too many changes it is only said that all may have changed",
                 "[events]") {
  make_events(30'000);
  CHECK(seen_since(0).all);
  CHECK(seen_since(29'000).all); // too many tasks to look up what is above them
  CHECK_FALSE(seen_since(29'990).all);
  CHECK(seen_since(40'000).all);
}
