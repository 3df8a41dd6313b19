#include "groups.hpp"
#include "workloads.hpp"
#include "workspace.hpp"

#include <SQLiteCpp/Database.h>
#include <fmt/format.h>

#include <map>
#include <memory>

namespace bench {

namespace {

/// How much is in a database.
struct amount {
  int tasks = 0;
  int locks = 0;
  int steps = 0; ///< of one case
};

constexpr amount small{100, 0, 0}; // tasks enough for a full page
constexpr amount large{1'000'000, 50'000, 10'000};
constexpr amount quick_large{100'000, 50'000, 10'000};
constexpr int turns = 3;

std::string numbers_to(int count) {
  return fmt::format(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) ", count);
}

// Task 1 is the case whose steps there are. Who takes locks later holds a fifth of them already.
void fill(const workspace& repository, const amount& of) {
  SQLite::Database db{repository.database().string(), SQLite::OPEN_READWRITE};
  db.exec("PRAGMA synchronous=OFF; BEGIN");
  db.exec(numbers_to(of.tasks)
          + "INSERT INTO tasks(level, title, status, priority, created_at, updated_at) SELECT "
            "CASE WHEN i % 3 = 1 THEN 'case' ELSE 'feature' END, 'task number ' || i, "
            "CASE WHEN i % 2 = 1 THEN 'todo' ELSE 'done' END, i % 4, 1700000000000000 + i, "
            "1700000000000000 + i FROM n");
  if (of.locks > 0)
    db.exec(numbers_to(of.locks)
            + "INSERT INTO locks(scope_type, scope_path, owner_session, mode, lease_until, "
              "heartbeat_at, state) SELECT 'file', 'held/part' || (i % 97) || '/file' || i, "
              "CASE WHEN i % 5 = 0 THEN 'bench' ELSE 'worker' || (i % 50) END, 'exclusive', "
              "4000000000000000, 1700000000000000, 'active' "
              "FROM n");
  if (of.steps > 0)
    db.exec(numbers_to(of.steps)
            + "INSERT INTO steps(task_id, title, status, evidence, order_no, recorded_at) SELECT "
              "1, 'step ' || i, 'passed', '{}', i, 1700000000000000 + i FROM n;"
            + numbers_to(of.steps)
            + "INSERT INTO checkpoints(task_id, step_title, snapshot, recorded_at) SELECT 1, "
              "'step ' || i, '{}', 1700000000000000 + i FROM n");
  db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

/// A server on a database of that size.
struct filled_server {
  filled_server(const settings& wanted, const std::string& program, const amount& of)
    : repository{wanted.dir} {
    server{program, repository.root()}.ask("workspace.init");
    fill(repository, of);
    running = std::make_unique<server>(program, repository.root());
    running->ask("workspace.init");
  }

  workspace repository;
  std::unique_ptr<server> running;
};

struct pair_of_servers {
  filled_server few;
  filled_server many;
};

double p50_of(filled_server& on, const workload& work, double seconds) {
  auto result =
    put_under_load({on.running.get()}, work, {.seconds = seconds, .warm_up = seconds / 8});
  if (result.errors > 0)
    throw std::runtime_error{result.first_error};
  return quantile(result.latencies, 0.5);
}

/// Takes turns, since the disk is now quicker, now slower.
figure grown_cost(pair_of_servers& on, const std::string& name, const workload& work,
                  double seconds) {
  std::vector<double> few;
  std::vector<double> many;
  for (int i = 0; i < turns; ++i) {
    few.push_back(p50_of(on.few, work, seconds / turns));
    many.push_back(p50_of(on.many, work, seconds / turns));
  }
  auto cost = quantile(many, 0.5);
  auto before = quantile(few, 0.5);
  figure made{.name = name, .in_flight = 1, .value = cost / before, .unit = "x", .p50 = cost};
  made.note = fmt::format("p50 {:.0f} µs on a small database", before);
  return made;
}

struct subject {
  std::string name;
  workload work;
  bool needs_case = false; ///< in progress
};

std::vector<subject> subjects(const amount& of) {
  return {
    {fmt::format("resume.next, {} tasks", of.tasks), resume_next()},
    {fmt::format("task.list of 50, {} tasks", of.tasks), list_tasks(50)},
    {fmt::format("lock.acquire + release, {} held", of.locks), take_locks()},
    {fmt::format("step.check, {} steps", of.steps), check_steps(1), true},
  };
}

} // namespace

void measure_growth(report& to) {
  const auto& wanted = to.wanted();
  const auto& of = wanted.quick ? quick_large : large;
  to.begin_group("small and large databases");
  std::map<std::string, std::unique_ptr<pair_of_servers>> pairs;
  for (const auto& x : subjects(of))
    to.measure(x.name, [&](const std::string& program) {
      auto& pair = pairs[program];
      if (!pair)
        pair.reset(new pair_of_servers{{wanted, program, small}, {wanted, program, of}});
      if (x.needs_case)
        for (auto servers : {&pair->few, &pair->many})
          servers->running->ask("case.begin", R"({"case_id":1})");
      return std::vector{grown_cost(*pair, x.name, x.work, to.seconds())};
    });
}

} // namespace bench
