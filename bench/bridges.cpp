#include "groups.hpp"
#include "workloads.hpp"
#include "workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

namespace bench {

namespace {

constexpr int clients = 32;
constexpr int turns = 3;
constexpr int tasks_to_read = 500;
constexpr double time_to_start = 30; // seconds

/// A supervisor of one repository, ready to let others in.
class supervisor {
public:
  supervisor(const std::string& program, const workspace& repository)
    : config_{repository.root().string() + ".supervisor.json"} {
    std::ofstream{config_} << fmt::format(R"({{"repositories":[{{"name":"r","path":"{}"}}]}})",
                                          repository.root().string());
    running_ = std::make_unique<server>(
      std::vector<std::string>{program, "supervise", "--config", config_.string()});
    auto until = in_seconds(time_to_start);
    while (!std::filesystem::exists(repository.root() / ".codex-orch" / "supervisor.sock")) {
      check_interrupted();
      if (steady::now() > until)
        throw std::runtime_error{"the supervisor lets nobody in"};
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
  supervisor(const supervisor&) = delete;
  supervisor& operator=(const supervisor&) = delete;
  ~supervisor() {
    running_->kill();
    std::filesystem::remove(config_);
  }

private:
  std::filesystem::path config_;
  std::unique_ptr<server> running_;
};

/// So many clients of one repository, with one request in flight each.
load_result load_of(const settings& wanted, const std::string& program, bool supervised, int count,
                    const std::function<workload(server&)>& work, double seconds) {
  workspace repository{wanted.dir};
  std::unique_ptr<supervisor> above;
  if (supervised)
    above = std::make_unique<supervisor>(program, repository);
  std::vector<std::unique_ptr<server>> running;
  std::vector<server*> servers;
  for (int i = 0; i < count; ++i)
    servers.push_back(
      running.emplace_back(std::make_unique<server>(program, repository.root())).get());
  for (auto& x : running)
    x->ask("workspace.init");
  auto asked = work(*servers.front());
  return put_under_load(servers, asked, {.seconds = seconds, .warm_up = seconds / 8});
}

/// Alone and over bridges in turns, since the machine is not the same all the time.
void compare(report& to, const std::string& name, int count,
             const std::function<workload(server&)>& work) {
  to.measure(name, [&](const std::string& program) {
    std::vector<load_result> alone;
    std::vector<load_result> bridged;
    for (int i = 0; i < turns; ++i) {
      alone.push_back(load_of(to.wanted(), program, false, count, work, to.seconds()));
      bridged.push_back(load_of(to.wanted(), program, true, count, work, to.seconds()));
    }
    auto by_rate = [](const load_result& a, const load_result& b) { return a.rate() < b.rate(); };
    std::sort(alone.begin(), alone.end(), by_rate);
    std::sort(bridged.begin(), bridged.end(), by_rate);
    auto& without = alone.at(turns / 2);
    auto& with = bridged.at(turns / 2);
    auto ratio = with.rate() / std::max(1.0, without.rate());
    auto first = figure_of(std::move(without), name + ", processes", 1);
    auto second = figure_of(std::move(with), name + ", bridges", 1);
    figure times{.name = name + ", bridges to processes", .value = ratio, .unit = "x"};
    figure more{.name = name + ", a bridge adds (p50)",
                .value = second.p50.value_or(0) - first.p50.value_or(0),
                .unit = "us"};
    return std::vector{first, second, times, more};
  });
}

} // namespace

void measure_bridges(report& to) {
  to.begin_group("a supervisor and bridges");
  auto create = [](server&) { return create_tasks(); };
  auto get = [](server& on) {
    prepare_tasks(on, tasks_to_read);
    return get_tasks(tasks_to_read);
  };
  compare(to, "task.create, 1 client", 1, create);
  compare(to, "task.get, 1 client", 1, get);
  compare(to, fmt::format("task.create, {} clients", clients), clients, create);
}

} // namespace bench
