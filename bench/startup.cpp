#include "groups.hpp"
#include "workloads.hpp"
#include "workspace.hpp"

#include <fmt/format.h>

#include <thread>

namespace bench {

namespace {

double first_answer_ms(const std::string& program, const workspace& repository) {
  auto start = steady::now();
  server started{program, repository.root()};
  started.ask("workspace.init");
  return seconds_since(start) * 1'000;
}

figure median_ms(const std::string& name, std::vector<double> times) {
  auto worst = quantile(times, 1.0) * 1'000;
  return {.name = name, .value = quantile(times, 0.5), .unit = "ms", .worst = worst};
}

figure start_fresh(const settings& wanted, const std::string& program, int times) {
  std::vector<double> taken;
  for (int i = 0; i < times; ++i) {
    workspace repository{wanted.dir};
    taken.push_back(first_answer_ms(program, repository));
  }
  return median_ms("first answer, fresh database", std::move(taken));
}

figure start_again(const settings& wanted, const std::string& program, int times) {
  workspace repository{wanted.dir};
  first_answer_ms(program, repository);
  std::vector<double> taken;
  for (int i = 0; i < times; ++i)
    taken.push_back(first_answer_ms(program, repository));
  return median_ms("first answer, existing database", std::move(taken));
}

figure mebibytes(const std::string& name, long kib) {
  return {.name = name, .value = static_cast<double>(kib) / 1'024, .unit = "MiB"};
}

/// Sleeps in short pieces, so that an interrupt ends it.
void pause(double seconds) {
  for (auto until = in_seconds(seconds); steady::now() < until; check_interrupted())
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
}

std::vector<figure> rest_and_work(const settings& wanted, const std::string& program, double idle) {
  workspace repository{wanted.dir};
  server running{program, repository.root()};
  running.ask("workspace.init");
  std::vector<figure> figures{mebibytes("resident memory, idle", running.status_kib("VmRSS:"))};
  auto before = running.cpu_ms();
  pause(idle);
  figures.push_back({.name = fmt::format("processor time, idle for {} s", idle),
                     .value = running.cpu_ms() - before,
                     .unit = "ms"});
  put_under_load({&running}, create_tasks(),
                 {.in_flight = 64, .seconds = 30, .warm_up = 0, .most = 20'000});
  put_under_load({&running}, get_tasks(10'000),
                 {.in_flight = 64, .seconds = 30, .warm_up = 0, .most = 20'000});
  figures.push_back(
    mebibytes("resident memory, after 40,000 requests", running.status_kib("VmRSS:")));
  put_under_load({&running}, list_tasks(1'000),
                 {.in_flight = 64, .seconds = 30, .warm_up = 0, .most = 500});
  figures.push_back(mebibytes("resident memory, after long lists", running.status_kib("VmRSS:")));
  figures.push_back(mebibytes("resident memory, at its highest", running.status_kib("VmHWM:")));
  return figures;
}

} // namespace

void measure_startup(report& to) {
  const auto& wanted = to.wanted();
  auto times = wanted.quick ? 5 : 20;
  auto idle = wanted.quick ? 1.0 : 5.0;
  to.begin_group("start and rest");
  to.measure("first answer, existing database", [&](const std::string& program) {
    return std::vector{start_again(wanted, program, times)};
  });
  to.measure("first answer, fresh database", [&](const std::string& program) {
    return std::vector{start_fresh(wanted, program, times)};
  });
  to.measure("rest and work",
             [&](const std::string& program) { return rest_and_work(wanted, program, idle); });
}

} // namespace bench
