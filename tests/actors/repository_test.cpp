#include "actors/repository.hpp"
#include "messages/catalog.hpp"
#include "state_fixture.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <catch2/catch.hpp>

using namespace orch;
using namespace std::chrono_literals;

namespace {

/// A repository with real threads, as a server has it.
struct repository_fixture : state_fixture {
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("sharing")); }
  };

  repository_fixture() {
    repository_options options;
    options.storage.file = directory.path / "state.db";
    options.storage.around = around;
    options.parts.around = around;
    options.parts.watch = [](std::function<void()>) { return std::make_shared<int>(0); };
    whole = system.spawn(repository, options);
    self->send(whole, listen_to_routes{caf::actor_cast<caf::actor>(self)});
  }

  ~repository_fixture() { caf::anon_send(whole, stop_repository{}); }

  std::shared_ptr<const route_table> next_routes() {
    std::shared_ptr<const route_table> table;
    auto told = false;
    self->receive(
      [&](const routes_changed& x) {
        table = x.table;
        parked = x.parked;
        told = true;
      },
      caf::after(10s) >> [] {});
    REQUIRE(told);
    return table;
  }

  /// The locks that are held, or the error of asking.
  std::variant<std::size_t, request_error> count_locks(const route_table& table) {
    std::variant<std::size_t, request_error> answer = std::size_t{0};
    self->request(table.locks, caf::infinite, call<lock_list>{})
      .receive([&](const lock_page& page) { answer = page.locks.size(); },
               [&](const caf::error& e) { answer = from_caf_error(e); });
    return answer;
  }

  config settings;
  caf::actor_system system{settings};
  caf::scoped_actor self{system};
  repository_actor whole;
  std::string parked;
};

} // namespace

TEST_CASE_METHOD(repository_fixture, "a repository answers through its routes", "[repository]") {
  auto table = next_routes();
  REQUIRE(table);
  for (const auto& m : catalog())
    CHECK(table->routes.contains(m.about->name));
  CHECK(std::get<std::size_t>(count_locks(*table)) == 0);
}

TEST_CASE_METHOD(repository_fixture, "a repository whose part failed starts afresh",
                 "[repository]") {
  auto first = next_routes();
  REQUIRE(first);
  caf::anon_send_exit(first->locks, caf::exit_reason::kill);
  CHECK_FALSE(next_routes());
  auto second = next_routes();
  REQUIRE(second);
  CHECK(std::get<std::size_t>(count_locks(*second)) == 0);
  auto refusal = count_locks(*first);
  REQUIRE(std::holds_alternative<request_error>(refusal));
  CHECK(std::get<request_error>(refusal).code == errc::unavailable);
}

TEST_CASE_METHOD(repository_fixture, "a repository that fails five times in a minute is stopped",
                 "[repository]") {
  for (int i = 0; i < 5; ++i) {
    auto table = next_routes();
    REQUIRE(table);
    CHECK(parked.empty());
    caf::anon_send_exit(table->locks, caf::exit_reason::kill);
    CHECK_FALSE(next_routes());
  }
  CHECK(parked.find("has failed 5 times within a minute") != std::string::npos);
  CHECK(parked.find("SIGHUP") != std::string::npos);
}
