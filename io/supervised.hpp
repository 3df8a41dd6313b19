#pragma once

#include "config/supervisor_config.hpp"
#include "io/connection.hpp"
#include "io/posted.hpp"

#include <caf/actor_system.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orch {

/// How many reviewers may run in all repositories together.
class review_budget {
public:
  void set_most(int64_t most);

  /// Takes one for a repository in which `running` run, if there is one left.
  bool take(const std::string& repository, int64_t running);
  void forget(const std::string& repository);

private:
  std::mutex guard_;
  int64_t most_ = 1;
  std::map<std::string, int64_t> running_;
};

/// One repository of a supervisor: a thread with a loop, the actors of the repository, and a client
/// whose bytes come and go through the supervisor.
class supervised {
public:
  /// `answers` is called in this repository's thread with whole messages, and with nothing when
  /// there is room for more requests.
  supervised(caf::actor_system& system, supervision_target target,
             const connection_options& options, std::shared_ptr<review_budget> budget,
             std::function<void(std::string)> answers);

  /// Waits for its end.
  ~supervised();

  const supervision_target& target() const { return target_; }

  /// Any thread. One whole message, as the client framed it.
  void send(std::string message);

  /// Messages that were sent and not begun.
  std::size_t backlog() const { return backlog_; }

  /// Any thread: it ends when what was sent has been answered, or after 4.5 s.
  void stop();

  bool ended() const { return ended_; }

  /// Has it been stopped for good by its failures?
  bool parked() const { return parked_; }

private:
  void run(caf::actor_system& system, const connection_options& options);

  supervision_target target_;
  std::shared_ptr<review_budget> budget_;
  std::function<void(std::string)> answers_;
  posted_work posted_;
  std::deque<std::string> input_; ///< of the loop's thread
  std::atomic<std::size_t> backlog_ = 0;
  bool stopping_ = false; ///< of the loop's thread
  bool finished_asked_ = false;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> parked_ = false;
  std::thread thread_;
};

} // namespace orch
