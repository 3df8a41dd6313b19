#include "groups.hpp"
#include "workloads.hpp"
#include "workspace.hpp"

#include <fmt/format.h>

#include <array>

namespace bench {

namespace {

constexpr std::array in_flight{1, 64, 1'000};
constexpr int tasks_to_read = 2'000;

/// A method as it is measured: how to prepare a fresh server for it, and what bounds it.
struct subject {
  std::string name;
  std::function<workload(server&)> prepare;
  limit alone;        ///< what bounds it with one request in flight
  limit many;         ///< and with more
  double commits = 0; ///< that one operation takes with one in flight
};

limit half(limit x) {
  return {x.name + ", twice", x.per_second / 2};
}

workload with_tasks(server& on, workload work) {
  prepare_tasks(on, tasks_to_read);
  return work;
}

std::vector<subject> subjects(const machine_limits& is) {
  return {
    {"task.create", [](server&) { return create_tasks(); }, is.commit, is.grouped, 1},
    {"task.get", [](server& on) { return with_tasks(on, get_tasks(tasks_to_read)); }, is.round_trip,
     is.point_select},
    {"lock.acquire + lock.release", [](server&) { return take_locks(); }, half(is.commit),
     half(is.grouped), 2},
    {"step.check", [](server& on) { return check_steps(prepare_case(on)); }, is.commit, is.grouped,
     1},
    {"task.list of 50", [](server& on) { return with_tasks(on, list_tasks(50)); }, is.page,
     is.page},
    {"task.list of 1,000", [](server& on) { return with_tasks(on, list_tasks(1'000)); },
     is.long_page, is.long_page},
  };
}

figure measure_one(const settings& wanted, double seconds, const std::string& program,
                   const subject& x, int count) {
  workspace repository{wanted.dir};
  server asked{program, repository.root()};
  auto work = x.prepare(asked);
  auto against = count == 1 ? x.alone : x.many;
  if (count == 1 && x.commits > 0)
    against.per_second = commit_rate(repository.root(), seconds / 4) / x.commits;
  auto result = put_under_load({&asked}, work,
                               {.in_flight = count, .seconds = seconds, .warm_up = seconds / 8});
  auto made = figure_of(std::move(result), x.name, count);
  made.against = against;
  return made;
}

} // namespace

void measure_machine(report& to, const machine_limits& is) {
  to.begin_group("machine");
  for (const auto& x : is.all())
    to.add({.name = x.name, .value = x.per_second, .unit = "/s"});
}

void measure_methods(report& to, const machine_limits& is) {
  to.begin_group("one client");
  for (const auto& x : subjects(is))
    for (auto count : in_flight)
      to.measure(fmt::format("{}, {} in flight", x.name, count), [&](const std::string& program) {
        return std::vector{measure_one(to.wanted(), to.seconds(), program, x, count)};
      });
}

} // namespace bench
