#pragma once

#include "io/connection.hpp"
#include "io/event_loop.hpp"

#include <caf/actor_system_config.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace orch {

/// CAF as the house rules want it. Never parses options: CAF would read a file of the current
/// directory, which is somebody's repository.
struct system_config : caf::actor_system_config {
  system_config();
};

/// The actors of one repository, and the clients on an event loop that they answer. All calls come
/// from the thread that runs the loop.
class repository_host {
public:
  repository_host(caf::actor_system& system, std::shared_ptr<event_loop> loop);

  /// The actors end. What is still on its way to clients is dropped.
  ~repository_host();
  repository_host(const repository_host&) = delete;
  repository_host& operator=(const repository_host&) = delete;

  /// Spawns the actors of the repository. Until then requests are refused.
  void attach(const repository_options& options);

  /// Requests are answered `unavailable`, and why, until a repository is attached.
  void refuse_all(const std::string& why);

  /// Ends a client, which the host then knows no more.
  struct parting {
    repository_host* from = nullptr;
    void operator()(connection* client) const;
  };
  using hosted_client = std::unique_ptr<connection, parting>;

  /// A new client, which is this host's as long as the result lives; it must not outlive the host.
  hosted_client connect(const connection_options& options, connection::sink out);

  /// Suspends the sessions that a connection has kept alive (`connection_options::server`); `then`
  /// learns whether that is on disk.
  void end_connection_then(int64_t server, const std::function<void(bool noted)>& then);

  /// The client of a connection lives on and is answered elsewhere.
  void leave_connection(int64_t server, int64_t epoch);

  /// From now on nothing is done any more for a client of an earlier epoch; `then` learns whether
  /// that is on disk.
  void begin_epoch_then(int64_t server, int64_t epoch, const std::function<void(bool noted)>& then);

  /// Can requests be answered, if only by a refusal?
  bool ready() const { return table_ != nullptr || !expects_repository_ || refusing_; }

  /// Has the repository been stopped for good by its failures?
  bool refusing() const { return refusing_; }

  /// Keeps the clock of progress running while somebody wants to hear it.
  void plan_progress();

  /// Runs `then` in the loop's thread after that time, unless the host has ended.
  void run_after(std::chrono::milliseconds delay, std::function<void()> then);

private:
  template <class News>
  void tell_sessions_then(const News& news, const std::function<void(bool noted)>& then);

  caf::actor new_looped_actor();
  caf::event_based_actor* actor_pointer();

  caf::actor_system& system_;
  std::shared_ptr<event_loop> loop_;
  // Mail that comes after the end must not find it.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
  std::shared_ptr<const route_table> table_;
  std::string why_not_; ///< while there is no table: what clients are told
  bool expects_repository_ = false;
  bool refusing_ = false; ///< the repository is stopped for good
  repository_actor repository_;
  caf::actor self_;
  bool ticking_ = false;
  std::vector<connection*> clients_;
};

} // namespace orch
