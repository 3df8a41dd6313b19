#include "io/server.hpp"

#include "io/input.hpp"
#include "io/log.hpp"
#include "io/output.hpp"
#include "io/served_client.hpp"
#include "io/stopping.hpp"
#include "io/workspace.hpp"

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

/// Opens the repository; if it need not be there, says in the options why it is not.
std::optional<workspace_files> open_unless_optional(serve_options& options) {
  try {
    return open_workspace(options.repo);
  } catch (const std::exception& e) {
    if (!options.repo_is_optional)
      throw;
    options.connection.no_repository = e.what();
    return {};
  }
}

} // namespace

int serve(const serve_options& given) {
  auto options = given;
  options.connection.thread_id = thread_of_this_server();
  auto files = open_unless_optional(options);
  if (files)
    files->around->own_thread = options.connection.thread_id.value_or(0);
  system_config config;
  caf::actor_system system{config};
  auto broken = false;
  auto finished = false;
  std::unique_ptr<output> out;
  served_client serving{system,
                        options.connection,
                        {[&](std::string_view bytes) { out->add(bytes); },
                         [&] { return out->size() < most_unread_answers; }}};
  if (files)
    serving.attach(files->actors);
  auto& loop = serving.loop;
  out = std::make_unique<output>(loop, protocol_output(), [&] { broken = true; });
  input in{loop, STDIN_FILENO, [&](std::string_view bytes) { serving.client.on_bytes(bytes); },
           [&] { serving.client.on_end(); }};
  std::optional<stop_watchdog> watchdog;
  auto signals = stop_signals();
  auto signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  loop.watch(signal_fd, POLLIN, [&](short) {
    signalfd_siginfo info{};
    [[maybe_unused]] auto ignored = ::read(signal_fd, &info, sizeof info);
    in.stop();
    serving.client.stop_waiting();
    loop.set_deadline(std::chrono::steady_clock::now() + time_to_stop);
    watchdog.emplace(time_to_stop);
  });
  auto ending = false;
  loop.run([&] { return finished; },
           [&](bool idle) {
             if (idle || out->size() >= worth_a_write)
               out->flush();
             serving.client.go_on();
             serving.plan_progress();
             in.want(serving.ready() && serving.client.wants_input());
             auto answered = in.ended() && serving.client.idle() && out->empty();
             if ((answered || broken) && !std::exchange(ending, true)) {
               in.stop();
               loop.set_deadline(std::chrono::steady_clock::now() + time_to_stop);
               watchdog.emplace(time_to_stop);
               serving.end_connection_then([&] { finished = true; });
             }
           });
  loop.unwatch(signal_fd);
  ::close(signal_fd);
  out.reset();
  return 0;
}

namespace {

/// Prints the result or the error of an answer; returns the exit code.
int print_answer(const nlohmann::ordered_json& answer) {
  auto failed = answer.contains("error");
  auto text =
    (failed ? nlohmann::ordered_json{{"error", answer["error"]}} : answer["result"]).dump(2) + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    auto count = ::write(protocol_output(), rest.data(), rest.size());
    if (count < 0 && errno != EINTR)
      break;
    rest.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return failed ? 1 : 0;
}

} // namespace

int once(const serve_options& options, const std::string& method, const std::string& params) {
  if (!json::accept(params))
    return print_answer(
      {{"error", {{"code", "parse_error"}, {"message", "--params is not JSON"}}}});
  auto files = open_workspace(options.repo);
  system_config config;
  caf::actor_system system{config};
  std::string answer;
  auto single = options.connection;
  single.lasting = false;
  served_client serving{system, single, {[&](std::string_view bytes) { answer += bytes; }}};
  serving.attach(files.actors);
  auto asked = false;
  serving.loop.run([&] { return asked && serving.client.idle(); },
                   [&](bool) {
                     if (!serving.ready() || std::exchange(asked, true))
                       return;
                     serving.client.on_bytes(
                       json{{"id", 1}, {"method", method}, {"params", json::parse(params)}}.dump()
                       + "\n");
                   });
  if (answer.empty()) // a notification has none
    return 0;
  return print_answer(nlohmann::ordered_json::parse(answer));
}

} // namespace orch
