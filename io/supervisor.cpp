#include "io/supervisor.hpp"

#include "config/supervisor_config.hpp"
#include "io/input.hpp"
#include "io/log.hpp"
#include "io/output.hpp"
#include "io/served_client.hpp"
#include "io/stopping.hpp"
#include "io/supervised.hpp"
#include "io/wire.hpp"
#include "messages/catalog.hpp"

#include <caf/actor_system.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <list>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

/// All repositories, and the client on standard input and output. Lives in the first thread.
class switchboard {
public:
  switchboard(caf::actor_system& system, event_loop& loop, const supervise_options& options)
    : system_{system}, options_{options}, splitter_{options.connection.most_bytes},
      out_{loop, protocol_output(), [this] { nobody_reads_ = true; }},
      in_{loop, STDIN_FILENO,
          [this](std::string_view bytes) {
            splitter_.feed(bytes, [this](frame f) { take(std::move(f)); });
          },
          [this] { splitter_.finish([this](frame f) { take(std::move(f)); }); }} {
    posted_.run_on(loop);
  }

  /// Starts what is new in a configuration, ends what is not in it any more, and starts anew what
  /// has changed or has been stopped for good.
  void use(const supervision& wanted) {
    budget_->set_most(wanted.reviewers_at_once);
    for (auto entry = repositories_.begin(); entry != repositories_.end();) {
      auto& one = *entry->second;
      auto kept = std::find(wanted.targets.begin(), wanted.targets.end(), one.target())
                  != wanted.targets.end();
      if (kept && !one.parked()) {
        ++entry;
        continue;
      }
      one.stop();
      leaving_.push_back(std::move(entry->second));
      entry = repositories_.erase(entry);
    }
    for (const auto& target : wanted.targets)
      if (!repositories_.contains(target.name))
        repositories_.emplace(target.name, start(target));
  }

  void reload() {
    try {
      use(read_supervisor_config(options_.config));
      log_info("the configuration was read again: {} repositories", repositories_.size());
    } catch (const std::exception& e) {
      log_error("the configuration stays as it was: {}", e.what());
    }
  }

  void stop() {
    in_.stop();
    for (auto& [name, one] : repositories_)
      one->stop();
    for (auto& [name, one] : repositories_)
      leaving_.push_back(std::move(one));
    repositories_.clear();
    stopping_ = true;
  }

  bool ended() { return stopping_ && leaving_.empty() && posted_.empty() && out_.empty(); }

  void each_round() {
    leaving_.remove_if([](const auto& one) { return one->ended(); });
    if (nobody_reads_)
      in_.stop();
    out_.flush();
    std::size_t backlog = 0;
    for (const auto& [name, one] : repositories_)
      backlog += one->backlog();
    in_.want(backlog < options_.connection.window && out_.size() < most_unread_answers);
  }

private:
  std::unique_ptr<supervised> start(const supervision_target& target) {
    return std::make_unique<supervised>(
      system_, target, options_.connection, budget_, [this](std::string answers) {
        posted_.post([this, answers = std::move(answers)] { out_.add(answers); });
      });
  }

  void take(frame f) {
    auto asked = f.how == frame::form::too_large ? read_beginning(f.text) : read_envelope(f.text);
    auto found = repositories_.find(name_for(asked));
    // What is wrong with a request is said as everywhere; any repository can say it.
    if (found == repositories_.end() && asked.problem && !repositories_.empty())
      found = repositories_.begin();
    if (found == repositories_.end()) {
      refuse(f, asked);
      return;
    }
    found->second->send(f.how == frame::form::framed
                          ? fmt::format("Content-Length: {}\r\n\r\n{}", f.text.size(), f.text)
                          : f.text + "\n");
  }

  /// One repository needs no name.
  std::string name_for(const envelope& asked) const {
    return asked.repo.empty() && repositories_.size() == 1 ? repositories_.begin()->first
                                                           : asked.repo;
  }

  void refuse(const frame& f, const envelope& asked) {
    std::vector<std::string_view> names;
    for (const auto& [name, one] : repositories_)
      names.push_back(name);
    auto error =
      asked.repo.empty()
        ? request_error{errc::invalid_request,
                        fmt::format("repo is missing: one of {}", fmt::join(names, ", "))}
        : request_error{errc::not_found, fmt::format("there is no repository {}; there are {}",
                                                     asked.repo, fmt::join(names, ", "))};
    error.data = {{"field", "repo"}};
    if (asked.is_notification())
      return;
    auto line = error_line(asked, error);
    out_.add(f.how == frame::form::framed
               ? fmt::format("Content-Length: {}\r\n\r\n{}", line.size(), line)
               : line + "\n");
  }

  caf::actor_system& system_;
  const supervise_options& options_;
  frame_splitter splitter_;
  std::shared_ptr<review_budget> budget_ = std::make_shared<review_budget>();
  posted_work posted_;
  output out_;
  input in_;
  std::map<std::string, std::unique_ptr<supervised>> repositories_;
  std::list<std::unique_ptr<supervised>> leaving_;
  bool nobody_reads_ = false;
  bool stopping_ = false;
};

/// Takes the signals that have come: SIGHUP reloads, the others end.
void take_signals(int signal_fd, switchboard& board, std::optional<stop_watchdog>& watchdog) {
  signalfd_siginfo info{};
  while (::read(signal_fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      board.reload();
      continue;
    }
    board.stop();
    // Repositories have this time; then come their threads.
    watchdog.emplace(time_to_stop + std::chrono::milliseconds{300});
  }
}

void run_board(caf::actor_system& system, event_loop& loop, const supervise_options& options,
               const supervision& wanted) {
  switchboard board{system, loop, options};
  std::optional<stop_watchdog> watchdog;
  auto signals = stop_signals();
  auto signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  loop.watch(signal_fd, POLLIN, [&](short) { take_signals(signal_fd, board, watchdog); });
  board.use(wanted);
  loop.run([&] { return board.ended(); }, [&](bool) { board.each_round(); });
  loop.unwatch(signal_fd);
  ::close(signal_fd);
}

} // namespace

int supervise(const supervise_options& options) {
  auto wanted = read_supervisor_config(options.config);
  system_config config;
  caf::actor_system system{config};
  auto loop = std::make_shared<event_loop>(system);
  run_board(system, *loop, options, wanted);
  loop->close();
  return 0;
}

} // namespace orch
