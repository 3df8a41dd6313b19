#include "io/bridge.hpp"
#include "io/bridge_door.hpp"
#include "state_fixture.hpp"

#include <caf/actor_system.hpp>
#include <catch2/catch.hpp>

#include <atomic>

using namespace orch;

namespace {

using steady = std::chrono::steady_clock;

/// A repository and a client that its actors answer over a bridge, both on the test's loop.
struct door_fixture : state_fixture {
  door_fixture() {
    around->wake_events = [this] {
      if (!breaks)
        return;
      full = true; // so that it fails again whenever it is started
      throw std::runtime_error{"broken by the test"};
    };
    repository_options options;
    options.storage.file = directory.path / "state.db";
    options.storage.around = around;
    options.storage.enter = [this] {
      if (full)
        throw request_error{errc::unavailable, "nothing can be written"};
    };
    options.parts.around = around;
    options.parts.watch = [](std::function<void()>) { return std::make_shared<int>(0); };
    host.emplace(system, loop);
    host->attach(options);
    door.emplace(*host, *loop, directory.path, around->alive, connection_options{});
    until("somebody listens",
          [this] { return std::filesystem::exists(supervisor_socket(directory.path)); });
    bridge_hello hello{bridge_protocol, ORCH_VERSION, 7, "all", 1 << 20, 256, 1, {}};
    client = bridge::to(*loop, directory.path, hello, [this](packet p) {
      if (p.what == packet::kind::answer)
        answers[p.number] = json::parse(p.text);
    });
    REQUIRE(client);
    client->run_round(true, true); // once: its patience is none of these tests' business
    until("it is let in", [this] { return client->open(); });
  }

  ~door_fixture() {
    client.reset();
    door.reset();
    host.reset();
    loop->close();
  }

  void until(const std::string& what, const std::function<bool()>& condition) {
    auto end = steady::now() + std::chrono::minutes{1};
    loop->run([&] { return condition() || steady::now() >= end; },
              [&](bool idle) {
                if (host->ready())
                  door->run_round(idle);
                if (client)
                  client->flush();
                loop->wake_at(end);
              });
    INFO(what);
    REQUIRE(condition());
  }

  json ask(const std::string& method, const json& params) {
    auto number = ++last_number;
    client->send(packet::kind::message, number, 1,
                 json{{"id", 1}, {"method", method}, {"params", params}}.dump());
    until(method, [&] { return answers.contains(number); });
    return answers[number];
  }

  std::atomic<bool> breaks = false; ///< the storage fails with the next thing that it writes
  std::atomic<bool> full = false;   ///< it refuses to write
  system_config settings;
  caf::actor_system system{settings};
  std::shared_ptr<event_loop> loop = std::make_shared<event_loop>(system);
  std::optional<repository_host> host;
  std::optional<bridge_door> door;
  std::unique_ptr<bridge> client;
  uint64_t last_number = 0;
  std::map<uint64_t, json> answers;
};

} // namespace

TEST_CASE_METHOD(door_fixture, "bridge door: closes when its repository is stopped for good",
                 "[bridge]") {
  const json wanted{{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", "1"}};
  CHECK(ask("lock.acquire", wanted).contains("result"));
  breaks = true;
  CHECK(ask("lock.acquire", wanted)["error"]["code"] == "unavailable");
  until("it may go elsewhere", [this] { return client->lost(); });
  CHECK_FALSE(client->refused());
  CHECK(host->refusing());
  CHECK_FALSE(std::filesystem::exists(supervisor_socket(directory.path)));
  until("nobody is inside", [this] { return door->empty(); });
}

TEST_CASE_METHOD(door_fixture, "bridge door: says only what is on disk of the end of a client",
                 "[bridge]") {
  SECTION("it is") {
    client->end();
    until("it is known", [this] { return client->lost(); });
    CHECK(client->ended_well());
  }
  SECTION("it is not") {
    full = true;
    client->end();
    until("it is left alone", [this] { return client->lost(); });
    CHECK_FALSE(client->ended_well());
  }
}

TEST_CASE("a client that may be answered elsewhere is not refused for good", "[bridge]") {
  system_config settings;
  caf::actor_system system{settings};
  auto loop = std::make_shared<event_loop>(system);
  {
    repository_host host{system, loop};
    std::vector<std::string> said;
    auto say = [&](const reply_address&, std::string_view line) { said.emplace_back(line); };
    auto ask_in = [&](int64_t epoch) {
      connection_options options;
      options.epoch = epoch;
      auto one = host.connect(options, {say, say});
      host.refuse_all("it is stopped");
      one->take({read_envelope(R"({"id":1,"method":"task.list"})")});
      CHECK(one->has_left());
    };
    ask_in(1);
    CHECK(said.empty());
    ask_in(0);
    REQUIRE(said.size() == 1);
    CHECK(said.front().find("it is stopped") != std::string::npos);
  }
  loop->close();
}
