#include "groups.hpp"
#include "workloads.hpp"
#include "workspace.hpp"

#include <fmt/format.h>

#include <memory>

namespace bench {

namespace {

constexpr int processes = 32;

std::vector<figure> write_from_all(const settings& wanted, double seconds,
                                   const std::string& program) {
  workspace repository{wanted.dir};
  std::vector<std::unique_ptr<server>> running;
  std::vector<server*> servers;
  for (int i = 0; i < processes; ++i)
    servers.push_back(
      running.emplace_back(std::make_unique<server>(program, repository.root())).get());
  for (auto& x : running)
    x->ask("workspace.init");
  auto result =
    put_under_load(servers, create_tasks(), {.seconds = seconds, .warm_up = seconds / 8});
  auto [slowest, fastest] =
    std::minmax_element(result.per_connection.begin(), result.per_connection.end());
  auto spread = static_cast<double>(*fastest) / std::max(1.0, static_cast<double>(*slowest));
  auto worst = quantile(result.latencies, 1.0);
  auto writes =
    figure_of(std::move(result), fmt::format("task.create, {} processes", processes), 1);
  writes.worst = worst;
  figure fairness{.name = "fastest to slowest of them", .value = spread, .unit = "x"};
  return {writes, fairness};
}

} // namespace

void measure_processes(report& to, const machine_limits& is) {
  to.begin_group("many processes");
  to.measure("many processes", [&](const std::string& program) {
    auto figures = write_from_all(to.wanted(), to.seconds() * 2, program);
    figures.front().against = is.commit;
    workspace scratch{to.wanted().dir};
    figures.front().against.per_second = commit_rate(scratch.root(), to.seconds() / 4);
    return figures;
  });
}

} // namespace bench
