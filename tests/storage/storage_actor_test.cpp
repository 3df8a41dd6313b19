#include "actor_fixture.hpp"
#include "storage/storage_actor.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct storage_fixture : actor_fixture {
  static transaction job(std::function<void(tx&)> work, bool only_reads = false) {
    return {[work](tx& t) {
              work(t);
              return caf::make_message(done{});
            },
            only_reads};
  }

  static transaction add_task(const std::string& title) {
    return job([title](tx& t) {
      t.run("INSERT INTO tasks(level, title, status, priority, created_at, updated_at) VALUES("
            "'case', ?, 'todo', 0, 0, 0)",
            title);
      t.changed("task.updated");
    });
  }

  int64_t rows() {
    return *in_tx([](tx& t) { return t.number("SELECT count(*) FROM tasks"); });
  }
  int64_t version() {
    return in_tx([](tx& t) { return db_version(t); });
  }
};

} // namespace

TEST_CASE_METHOD(storage_fixture, "what waits in the mailbox becomes one transaction",
                 "[storage]") {
  auto before = turns;
  std::vector<std::shared_ptr<answer<done>>> answers;
  for (int i = 0; i < 10; ++i)
    answers.push_back(ask<done>(storage, add_task("x"), /*run_now=*/false));
  run();
  for (const auto& x : answers)
    CHECK(x->result);
  CHECK(turns == before + 1);
  CHECK(rows() == 10);
  CHECK(version() == 10);
}

TEST_CASE_METHOD(storage_fixture, "a request that fails takes nothing of its neighbours with it",
                 "[storage]") {
  auto first = ask<done>(storage, add_task("kept"), false);
  auto failing = ask<done>(storage, job([](tx& t) {
                             t.run("DELETE FROM tasks");
                             t.changed("task.updated");
                             throw no_such("task", 7);
                           }),
                           false);
  auto broken = ask<done>(storage, job([](tx& t) { t.run("SELECT * FROM nonsense"); }), false);
  auto last = ask<done>(storage, add_task("kept too"), false);
  run();
  CHECK(first->result);
  CHECK(last->result);
  REQUIRE(failing->error);
  CHECK(failing->error->code == errc::not_found);
  CHECK(std::string{failing->error->what()} == "task #7 does not exist");
  REQUIRE(broken->error);
  CHECK(broken->error->code == errc::internal);
  CHECK(rows() == 2);
  CHECK(version() == 2);
}

TEST_CASE_METHOD(storage_fixture,
                 "a batch that SQLite gives up as a whole answers all of it with the error",
                 "[storage]") {
  auto first = ask<done>(storage, add_task("lost"), false);
  auto fatal = ask<done>(storage, job([](tx& t) { t.run("ROLLBACK"); }), false);
  auto after = ask<done>(storage, add_task("lost too"), false);
  run();
  CHECK(first->error);
  CHECK(fatal->error);
  CHECK(after->error);
  CHECK(rows() == 0);
  CHECK(ask<done>(storage, add_task("kept"))->result);
  CHECK(rows() == 1);
}

TEST_CASE_METHOD(storage_fixture, "reads take no turn among the writers", "[storage]") {
  auto before = turns;
  int64_t seen = -1;
  auto look = [&](tx& t) { seen = *t.number("SELECT count(*) FROM tasks"); };
  CHECK(ask<done>(storage, job(look, true))->result);
  CHECK(ask<done>(reader, job(look, true))->result);
  CHECK(turns == before);
  CHECK(seen == 0);
}

TEST_CASE_METHOD(storage_fixture, "the reader cannot write", "[storage]") {
  CHECK(ask<done>(reader, add_task("x"))->error);
  CHECK(rows() == 0);
}

TEST_CASE_METHOD(storage_fixture, "an answer that is owed when the storage ends says so",
                 "[storage]") {
  auto owed = ask<done>(storage, add_task("x"), false);
  while (scheduler.has_job() && owed->open() && turns == 0)
    scheduler.run_once();
  caf::anon_send_exit(storage, caf::exit_reason::kill);
  run();
  CHECK_FALSE(owed->open());
}
