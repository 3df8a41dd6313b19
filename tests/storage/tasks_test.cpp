#include "state_fixture.hpp"
#include "storage/current_refs.hpp"
#include "storage/sessions.hpp"
#include "storage/tasks.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct task_fixture : state_fixture {
  int64_t create(const std::string& level, std::optional<int64_t> parent = {},
                 int64_t priority = 0) {
    now.us += 1;
    task_create request;
    request.level = level;
    request.title = level;
    request.parent_id = parent;
    request.priority = priority;
    return in_tx([&](tx& t) { return create_task(t, request).id; });
  }

  int64_t open_session(int64_t server = 1) {
    return in_tx([&](tx& t) {
      session made;
      made.id = reserve_session_id(t);
      made.status = "active_new";
      made.started_at = made.last_seen_at = t.now;
      insert_session(t, made, 60, {});
      t.run("UPDATE sessions SET server_id = ? WHERE id = ?", server, made.id);
      return made.id;
    });
  }

  task begin(int64_t case_id, std::optional<int64_t> session = {},
             std::vector<std::string> steps = {}) {
    case_begin request;
    request.case_id = case_id;
    request.session_id = session;
    request.steps = std::move(steps);
    return in_tx([&](tx& t) { return begin_case(t, request); });
  }

  resume_point next(std::optional<int64_t> session, bool claim) {
    return in_tx([&](tx& t) { return next_to_resume(t, {session, claim}); });
  }

  step check(int64_t case_id, const std::string& title) {
    step_check request;
    request.case_id = case_id;
    request.step_title = title;
    return in_tx([&](tx& t) { return check_step(t, request); });
  }

  std::vector<int64_t> all_pages(task_list request) {
    std::vector<int64_t> ids;
    do {
      auto page = in_tx([&](tx& t) { return list_tasks(t, request); });
      for (const auto& x : page.tasks)
        ids.push_back(x.id);
      request.cursor = page.next_cursor;
    } while (request.cursor);
    return ids;
  }
};

} // namespace

TEST_CASE_METHOD(task_fixture, "task.create wants a parent of a higher level", "[tasks]") {
  auto feature = create("feature");
  CHECK_NOTHROW(create("case", feature));
  auto parent_of_feature = GENERATE(as<std::string>{}, "epic", "feature");
  auto error = refused([&](tx& t) {
    task_create request;
    request.level = parent_of_feature;
    request.title = "x";
    request.parent_id = feature;
    create_task(t, request);
  });
  CHECK(error.code == errc::invalid_params);
  CHECK(error.data["field"] == "parent_id");
}

TEST_CASE_METHOD(task_fixture, "task.list is in order of urgency through all its pages",
                 "[tasks]") {
  auto low = create("case", {}, 1);
  auto high = create("case", {}, 9);
  auto low_too = create("epic", {}, 1);
  auto lowest = create("case", {}, -4);
  task_list request;
  request.limit = GENERATE(1, 2, 3, 10);
  CHECK(all_pages(request) == std::vector{high, low, low_too, lowest});
  request.level = "case";
  CHECK(all_pages(request) == std::vector{high, low, lowest});
  request.level.reset();
  request.status = "todo";
  CHECK(all_pages(request) == std::vector{high, low, low_too, lowest});
  request.status = "done";
  CHECK(all_pages(request).empty());
}

TEST_CASE_METHOD(task_fixture, "task.list refuses a cursor that it did not make", "[tasks]") {
  task_list request;
  request.cursor = GENERATE(as<std::string>{}, "", "x", "1.2", "1.2.3.4", "1..3", "1.2.3 ");
  auto error = refused([&](tx& t) { list_tasks(t, request); });
  CHECK(error.code == errc::invalid_params);
  CHECK(error.data["field"] == "cursor");
}

TEST_CASE_METHOD(task_fixture, "task.get counts the cases below at any depth", "[tasks]") {
  auto epic = create("epic");
  auto feature = create("feature", epic);
  auto one = create("case", create("test_group", feature));
  create("case", epic);
  create("step", one);
  begin(one);
  in_tx([&](tx& t) {
    case_complete request;
    request.case_id = one;
    complete_case(t, request);
  });
  auto progress = in_tx([&](tx& t) { return get_task(t, {epic}); }).progress;
  REQUIRE(progress);
  CHECK(progress->done == 1);
  CHECK(progress->total == 2);
}

TEST_CASE_METHOD(task_fixture, "only legal changes of status are made", "[tasks]") {
  auto change = [&](int64_t id, const std::string& status) {
    return refused([&](tx& t) {
             task_update request;
             request.task_id = id;
             request.status = status;
             update_task(t, request);
           })
      .code;
  };
  auto feature = create("feature");
  CHECK(change(feature, "done") == errc::none);
  CHECK(change(feature, "blocked") == errc::failed_precondition);
  CHECK(change(feature, "todo") == errc::none);
  CHECK(change(feature, "cancelled") == errc::none);
  CHECK(change(feature, "done") == errc::failed_precondition);
  auto a_case = create("case");
  CHECK(change(a_case, "in_progress") == errc::failed_precondition);
  CHECK(change(a_case, "done") == errc::failed_precondition);
  CHECK(change(a_case, "blocked") == errc::none);
}

TEST_CASE_METHOD(task_fixture, "storage fills planned steps and appends others", "[tasks]") {
  auto id = create("case");
  begin(id, {}, {"one", "two"});
  begin(id, {}, {"one", "two"});
  auto two = check(id, "two");
  auto extra = check(id, "extra");
  auto two_again = check(id, "two");
  CHECK(two.order_no == 2);
  CHECK(extra.order_no == 3);
  CHECK(two_again.order_no == 4);
  CHECK(in_tx([&](tx& t) { return next_planned_step(t, id); }) == "one");
}

TEST_CASE_METHOD(task_fixture, "step.check is refused unless the case is in progress", "[tasks]") {
  auto todo = create("case");
  auto epic = create("epic");
  auto refusal = [&](int64_t id) {
    return refused([&](tx& t) {
             step_check request;
             request.case_id = id;
             request.step_title = "x";
             check_step(t, request);
           })
      .code;
  };
  CHECK(refusal(todo) == errc::failed_precondition);
  CHECK(refusal(epic) == errc::failed_precondition);
  CHECK(refusal(99) == errc::not_found);
}

TEST_CASE_METHOD(task_fixture, "a case is worked by one live session at a time", "[tasks]") {
  auto id = create("case");
  auto one = open_session();
  auto two = open_session(/*server=*/7);
  begin(id, one);
  auto error = refused([&](tx& t) {
    case_begin request;
    request.case_id = id;
    request.session_id = two;
    begin_case(t, request);
  });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["session_id"] == one);
}

TEST_CASE_METHOD(task_fixture, "a session works one case at a time", "[tasks]") {
  auto first = create("case");
  auto second = create("case");
  auto one = open_session();
  begin(first, one);
  auto error = refused([&](tx& t) {
    case_begin request;
    request.case_id = second;
    request.session_id = one;
    begin_case(t, request);
  });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["case_id"] == first);
}

TEST_CASE_METHOD(task_fixture, "the case of a session whose server died can be begun by another",
                 "[tasks]") {
  auto id = create("case");
  auto dying = open_session(/*server=*/7);
  auto other = open_session();
  begin(id, dying);
  dead_servers.insert(7);
  CHECK(begin(id, other).assignee_session == std::to_string(other));
  CHECK_FALSE(in_tx([&](tx& t) { return active_ref(t, dying); }));
}

TEST_CASE_METHOD(task_fixture, "nobody completes a case that another session has begun",
                 "[tasks]") {
  auto id = create("case");
  auto dying = open_session(/*server=*/7);
  auto other = open_session();
  begin(id, dying);
  dead_servers.insert(7);
  in_tx([](tx& t) { suspend_sessions_of_dead_servers(t); });
  work_current_ref point;
  point.session_id = other;
  CHECK(in_tx([&](tx& t) { return get_work_point(t, point); }).task->id == id);
  auto error = refused([&](tx& t) {
    case_complete request;
    request.case_id = id;
    request.session_id = other;
    complete_case(t, request);
  });
  CHECK(error.code == errc::failed_precondition);
  CHECK(error.data["session_id"] == dying);
  // Being pointed at a case is not working it: another one may be begun.
  CHECK_NOTHROW(begin(create("case"), other));
}

TEST_CASE_METHOD(task_fixture, "who takes a case over from a dead session gets its locks",
                 "[tasks]") {
  auto id = create("case");
  auto dying = open_session(/*server=*/7);
  auto other = open_session();
  begin(id, dying);
  auto held = in_tx([&](tx& t) {
    return acquire_locks(t, {std::to_string(dying), {{"prefix", "src", "exclusive"}}, 600}).front();
  });
  dead_servers.insert(7);
  begin(id, other);
  auto now_held = in_tx([&](tx& t) { return t.get<lock>("locks", held.id, "lock"); });
  CHECK(now_held.owner_session == std::to_string(other));
  CHECK(now_held.state == "active");
}

TEST_CASE_METHOD(task_fixture,
                 "resume.next gives in_progress before blocked before todo, then urgency",
                 "[tasks]") {
  auto todo = create("case", {}, 9);
  auto blocked = create("case", {}, 1);
  auto begun = create("case", {}, 0);
  begin(begun);
  in_tx([&](tx& t) {
    task_update request;
    request.task_id = blocked;
    request.status = "blocked";
    update_task(t, request);
  });
  auto expected = std::vector{begun, blocked, todo};
  for (auto id : expected) {
    auto got = next({}, false);
    REQUIRE(got.task);
    CHECK(got.task->id == id);
    in_tx([&](tx& t) { t.run("UPDATE tasks SET status = 'done' WHERE id = ?", id); });
  }
  CHECK_FALSE(next({}, false).task);
}

TEST_CASE_METHOD(task_fixture, "resume.next never claims one case for two sessions", "[tasks]") {
  std::vector<int64_t> cases{create("case"), create("case"), create("case")};
  std::vector<int64_t> claimed;
  for (int i = 0; i < 3; ++i)
    claimed.push_back(next(open_session(), true).task->id);
  CHECK(claimed == cases);
  CHECK_FALSE(next(open_session(), true).task);
}

TEST_CASE_METHOD(task_fixture, "resume.next with claim gives a session its own case again",
                 "[tasks]") {
  auto id = create("case");
  create("case", {}, 9);
  auto one = open_session();
  begin(id, one);
  CHECK(next(one, true).task->id == id);
}
