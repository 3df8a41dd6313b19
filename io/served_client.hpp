#pragma once

#include "io/connection.hpp"
#include "io/event_loop.hpp"

#include <caf/actor_system_config.hpp>

#include <functional>
#include <memory>

namespace orch {

/// CAF as the house rules want it. Never parses options: CAF would read a file of the current
/// directory, which is somebody's repository.
struct system_config : caf::actor_system_config {
  system_config();
};

/// One client on an event loop of its own, with a repository behind it once that is attached. All
/// calls come from the thread that runs the loop.
class served_client {
public:
  served_client(caf::actor_system& system, const connection_options& options, connection::sink out);
  ~served_client();
  served_client(const served_client&) = delete;
  served_client& operator=(const served_client&) = delete;

  /// Spawns the actors of the repository. Until then requests are refused.
  void attach(const repository_options& options);

  /// Requests are answered `unavailable`, and why, until a repository is attached.
  void refuse_all(const std::string& why);

  /// Suspends the connection's sessions; `then` runs when that is on disk or cannot be done.
  void end_connection_then(const std::function<void()>& then);

  /// Can requests be answered, if only by a refusal?
  bool ready() const { return table_ != nullptr || !expects_repository_ || refusing_; }

  /// Has the repository been stopped for good by its failures?
  bool refusing() const { return refusing_; }

  /// Keeps the clock of progress running while somebody wants to hear it.
  void plan_progress();

private:
  caf::actor new_looped_actor(caf::actor_system& system);
  caf::event_based_actor* actor_pointer();

  std::shared_ptr<event_loop> loop_;

public:
  event_loop& loop;

private:
  caf::actor_system& system_;
  // Mail that comes after the end must not find it.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
  std::shared_ptr<const route_table> table_;
  bool expects_repository_ = false;
  bool refusing_ = false; ///< the repository is stopped for good
  repository_actor repository_;
  caf::actor self_;
  bool ticking_ = false;

public:
  connection client;
};

} // namespace orch
