#pragma once

#include "config/supervisor_config.hpp"
#include "io/connection.hpp"
#include "io/posted.hpp"
#include "io/review_budget.hpp"

#include <caf/actor_system.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace orch {

class event_loop;
class repository_host;

/// What a repository has to say to the supervisor's client.
struct supervised_answer {
  reply_address to;
  std::string line;
  bool last = true; ///< the answer; else it is a notice
};

/// One repository of a supervisor: a thread with a loop, the actors of the repository, the bridges
/// of its other servers, and a client whose messages come and go through the supervisor.
class supervised {
public:
  struct callbacks {
    /// Called in this repository's thread; with nothing when it has begun messages, or has ended.
    std::function<void(std::vector<supervised_answer>)> answers;
    /// Called there too: is there room for more answers?
    std::function<bool()> has_room;
  };

  /// Throws `std::system_error` if the machine has no descriptors or threads left.
  supervised(caf::actor_system& system, supervision_target target,
             const connection_options& options, std::shared_ptr<review_budget> budget,
             callbacks to);

  /// Waits for its end.
  ~supervised();
  supervised(const supervised&) = delete;
  supervised& operator=(const supervised&) = delete;

  const supervision_target& target() const { return target_; }

  /// Any thread. `size`: of the message, in bytes.
  void send(incoming m, std::size_t size);

  /// Messages that were sent and not begun, and their bytes. Any thread.
  std::size_t backlog() const { return backlog_; }
  std::size_t backlog_bytes() const { return backlog_bytes_; }

  /// It gets on if it begins another message before then: a second after the last one. Any thread.
  std::chrono::steady_clock::time_point gets_on_until() const;

  /// Any thread: there may be room for answers again.
  void go_on();

  /// Any thread: it ends when what was sent has been answered, or after 4.5 s.
  void stop();

  /// Has its thread nothing more to do? By itself it ends only when it fails.
  bool ended() const { return ended_; }

  /// What failed, if it has ended by itself; not before that.
  const std::string& why_ended() const { return why_ended_; }

  /// Has it been stopped for good by its failures?
  bool parked() const { return parked_; }

private:
  struct waiting_message {
    incoming what;
    std::size_t size = 0;
  };

  void run(caf::actor_system& system, const connection_options& options);
  void serve(repository_host& host, const connection_options& options);
  void begin_messages(connection& client);
  void tell(bool idle);

  supervision_target target_;
  std::shared_ptr<review_budget> budget_;
  review_budget::member reviews_ = 0; ///< this repository there
  callbacks to_;
  posted_work posted_;
  std::shared_ptr<event_loop> loop_;
  std::deque<waiting_message> input_; ///< of the loop's thread, as all that is not atomic
  std::vector<supervised_answer> out_;
  std::size_t out_bytes_ = 0;
  bool began_some_ = false;
  std::atomic<std::size_t> backlog_ = 0;
  std::atomic<std::size_t> backlog_bytes_ = 0;
  std::atomic<std::chrono::steady_clock::time_point> last_begun_{};
  bool stopping_ = false;
  std::string why_ended_; ///< set before `ended_`
  std::atomic<bool> ended_ = false;
  std::atomic<bool> parked_ = false;
  std::thread thread_;
};

} // namespace orch
