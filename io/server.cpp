#include "io/server.hpp"

#include "io/event_loop.hpp"
#include "io/log.hpp"
#include "io/output.hpp"
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

/// A signal gives the server so long to answer what it has begun (contract, section 2: 5 s).
constexpr std::chrono::milliseconds time_to_stop{4'500};

/// Answers that nobody has read yet: beyond this no more requests are started.
constexpr std::size_t most_unread_answers = 1U << 20;

/// Answers are gathered up to this size while there is more to do.
constexpr std::size_t worth_a_write = 64U << 10;

constexpr std::size_t read_size = 64U << 10;

int protocol_output = STDOUT_FILENO;

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (auto signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, signal);
  return signals;
}

/// How often a client that wants to hear of progress is told.
constexpr std::chrono::seconds progress_period{5};

/// Time to tell of progress; the server sends it to itself.
struct progress_tick {};

/// CAF as the house rules want it. Never parses options: CAF would read a file of the current
/// directory, which is somebody's repository.
struct system_config : caf::actor_system_config {
  system_config() {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{1});
    set("scheduler.max-throughput", std::size_t{100});
  }
};

/// One client on a loop, with the repository behind it.
class server {
public:
  /// Without `files` there is no repository, and `options` say why.
  server(caf::actor_system& system, const std::optional<workspace_files>& files,
         const connection_options& options, connection::sink out)
    : loop_{std::make_shared<event_loop>(system)},
      loop(*loop_), self_{new_looped_actor(system)}, client{actor_pointer(), options,
                                                            std::move(out)} {
    if (!files)
      return;
    repository_ = system.spawn<caf::lazy_init>(repository, files->actors);
    caf::anon_send(repository_, listen_to_routes{self_});
  }

  ~server() {
    if (repository_)
      caf::anon_send(repository_, stop_repository{});
    caf::anon_send_exit(self_, caf::exit_reason::user_shutdown);
    *alive_ = false;
    client.abandon();
    loop.close();
  }

  /// Suspends the connection's sessions; `then` runs when that is on disk or cannot be done.
  void end_connection_then(const std::function<void()>& then) {
    if (!table_) {
      then();
      return;
    }
    actor_pointer()
      ->request(table_->sessions, caf::infinite, end_connection{})
      .then([then](done) { then(); }, [then](const caf::error&) { then(); });
  }

  bool ready() const { return table_ != nullptr || !repository_; }

  /// Keeps the clock of progress running while somebody wants to hear it.
  void plan_progress() {
    if (ticking_ || !client.wants_progress())
      return;
    ticking_ = true;
    actor_pointer()->delayed_send(actor_pointer(), progress_period, progress_tick{});
  }

private:
  std::shared_ptr<event_loop> loop_;

public:
  event_loop& loop;

private:
  caf::actor new_looped_actor(caf::actor_system& system) {
    auto actor = system.spawn<looped_actor, caf::lazy_init>(loop_);
    auto self = caf::actor_cast<caf::event_based_actor*>(actor);
    self->context(&loop);
    self->become(
      [this, alive = alive_](const routes_changed& changed) {
        if (!*alive)
          return;
        table_ = changed.table;
        client.use(changed.table);
      },
      [this, alive = alive_](progress_tick) {
        if (!*alive)
          return;
        ticking_ = false;
        client.send_progress();
      });
    return actor;
  }

  caf::event_based_actor* actor_pointer() {
    return caf::actor_cast<caf::event_based_actor*>(self_);
  }

  // Mail that comes after the end of the server must not find it.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
  std::shared_ptr<const route_table> table_;
  repository_actor repository_;
  caf::actor self_;
  bool ticking_ = false;

public:
  connection client;
};

/// Ends the process if stopping in good order takes too long, as when a git filter hangs: what was
/// acknowledged is on disk, and the next server undoes what is half done.
class stop_watchdog {
public:
  explicit stop_watchdog(std::chrono::milliseconds patience) {
    std::thread{[patience] {
      std::this_thread::sleep_for(patience);
      std::_Exit(0);
    }}.detach();
  }
};

/// Standard input as the server reads it: only while there is room for more.
class input {
public:
  input(event_loop& loop, int fd, std::function<void(std::string_view)> bytes,
        std::function<void()> end)
    : loop_{loop}, fd_{fd}, bytes_{std::move(bytes)}, end_{std::move(end)}, buffer_(read_size, 0) {}

  void want(bool more) {
    if (ended_ || more == watching_)
      return;
    watching_ = more;
    if (more)
      loop_.watch(fd_, POLLIN, [this](short) { read_some(); });
    else
      loop_.unwatch(fd_);
  }

  void stop() {
    want(false);
    ended_ = true;
  }

  bool ended() const { return ended_; }

private:
  void read_some() {
    auto count = ::read(fd_, buffer_.data(), buffer_.size());
    if (count > 0) {
      bytes_({buffer_.data(), static_cast<std::size_t>(count)});
      return;
    }
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
      return;
    stop();
    end_();
  }

  event_loop& loop_;
  int fd_;
  std::function<void(std::string_view)> bytes_;
  std::function<void()> end_;
  std::string buffer_;
  bool watching_ = false;
  bool ended_ = false;
};

} // namespace
} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::progress_tick)

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

void take_over_process(bool takes_signals) {
  auto kept = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  protocol_output = kept >= 0 ? kept : ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  std::signal(SIGPIPE, SIG_IGN);
  if (!takes_signals)
    return;
  auto signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

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
  server serving{system,
                 files,
                 options.connection,
                 {[&](std::string_view bytes) { out->add(bytes); },
                  [&] { return out->size() < most_unread_answers; }}};
  auto& loop = serving.loop;
  out = std::make_unique<output>(loop, protocol_output, [&] { broken = true; });
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
    auto count = ::write(protocol_output, rest.data(), rest.size());
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
  std::optional files{open_workspace(options.repo)};
  system_config config;
  caf::actor_system system{config};
  std::string answer;
  auto single = options.connection;
  single.lasting = false;
  server serving{system, files, single, {[&](std::string_view bytes) { answer += bytes; }}};
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
