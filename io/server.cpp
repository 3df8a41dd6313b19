#include "io/server.hpp"

#include "io/descriptor.hpp"
#include "io/files.hpp"
#include "io/relay.hpp"
#include "io/stopping.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace orch {

namespace {

/// The agent thread whose launch set ORCH_THREAD, if this server was started by one.
std::optional<int64_t> thread_of_this_server() {
  auto text = std::getenv("ORCH_THREAD");
  int64_t id = 0;
  if (!text || std::from_chars(text, text + std::strlen(text), id).ec != std::errc{} || id <= 0)
    return {};
  return id;
}

} // namespace

int serve(const serve_options& given) {
  auto options = given;
  options.connection.thread_id = thread_of_this_server();
  system_config config;
  caf::actor_system system{config};
  auto loop = std::make_shared<event_loop>(system);
  {
    relay client{system, loop, options};
    std::optional<stop_watchdog> watchdog;
    auto end_in_time = [&] {
      if (watchdog)
        return;
      loop->set_deadline(std::chrono::steady_clock::now() + time_to_stop);
      watchdog.emplace(time_to_stop);
    };
    auto signals = stop_signals();
    descriptor signal_fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
    loop->watch(signal_fd.number(), POLLIN, [&](short) {
      signalfd_siginfo info{};
      [[maybe_unused]] auto ignored = ::read(signal_fd.number(), &info, sizeof info);
      client.stop();
      end_in_time();
    });
    loop->run([&] { return client.finished(); },
              [&](bool idle) {
                client.run_round(idle);
                if (client.ending())
                  end_in_time();
              });
    loop->unwatch(signal_fd.number());
    client.rethrow_failure();
  }
  loop->close();
  return 0;
}

namespace {

/// Prints the result or the error of an answer; returns the exit code.
int print_answer(const nlohmann::ordered_json& answer) {
  auto failed = answer.contains("error");
  auto text =
    (failed ? nlohmann::ordered_json{{"error", answer["error"]}} : answer["result"]).dump(2) + "\n";
  write_all(protocol_output(), text); // nobody to tell if it cannot
  return failed ? 1 : 0;
}

std::string answer_once(caf::actor_system& system, const std::shared_ptr<event_loop>& loop,
                        const workspace_files& files, const serve_options& options,
                        const std::string& method, const std::string& params) {
  std::string answer;
  auto single = options.connection;
  single.lasting = false;
  repository_host host{system, loop};
  auto client =
    host.connect(single, {[&](const reply_address&, std::string_view line) { answer = line; },
                          [](const reply_address&, std::string_view) {}});
  host.attach(files.actors);
  auto asked = false;
  loop->run([&] { return asked && client->idle(); },
            [&](bool) {
              if (!host.ready() || std::exchange(asked, true))
                return;
              client->take({read_envelope(
                json{{"id", 1}, {"method", method}, {"params", json::parse(params)}}.dump())});
            });
  return answer;
}

} // namespace

int once(const serve_options& options, const std::string& method, const std::string& params) {
  if (!json::accept(params))
    return print_answer(
      {{"error", {{"code", "parse_error"}, {"message", "--params is not JSON"}}}});
  auto files = open_workspace(options.repo);
  files.actors.parts.loops.reset(); // it ends before they could be of use
  system_config config;
  caf::actor_system system{config};
  auto loop = std::make_shared<event_loop>(system);
  auto answer = answer_once(system, loop, files, options, method, params);
  loop->close();
  if (answer.empty()) // a notification has none
    return 0;
  return print_answer(nlohmann::ordered_json::parse(answer));
}

} // namespace orch
