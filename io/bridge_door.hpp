#pragma once

#include "io/local_socket.hpp"
#include "io/repository_host.hpp"
#include "io/turnstile.hpp"

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <utility>

namespace orch {

/// The socket that the supervisor of a repository listens on.
std::filesystem::path supervisor_socket(const std::filesystem::path& state_dir);

class bridged_client;

/// Lets the server processes of a repository in, so that their clients are answered by the actors
/// of this one: listens on a socket in the state directory unless another supervisor does, whose
/// place it takes when that ends. Lives in the loop's thread.
class bridge_door {
public:
  /// `alive` tells whether a server process lives (io/presence). `base` holds for all clients, but
  /// for what bridges say of theirs.
  bridge_door(repository_host& host, event_loop& loop, std::filesystem::path state_dir,
              std::function<bool(int64_t)> alive, connection_options base);
  ~bridge_door();
  bridge_door(const bridge_door&) = delete;
  bridge_door& operator=(const bridge_door&) = delete;

  /// Once a round of the loop. `idle`: no actor has anything to do. Closes if the repository is
  /// stopped for good here: those inside can still be answered by actors of their own.
  void run_round(bool idle);

  /// Lets nobody in any more and parts with those inside, once what they have begun is answered:
  /// they repeat the rest elsewhere.
  void close();

  /// Is nobody inside?
  bool empty() const { return inside_.empty(); }

private:
  void try_to_listen();
  void let_in();

  repository_host& host_;
  event_loop& loop_;
  std::filesystem::path socket_;
  std::function<bool(int64_t)> alive_;
  connection_options base_;
  turnstile ours_; ///< held while we listen
  descriptor listening_;
  std::pair<dev_t, ino_t> bound_{}; ///< the file that we have made
  std::chrono::steady_clock::time_point next_try_{};
  std::list<std::unique_ptr<bridged_client>> inside_;
  bool deaf_ = true; ///< nobody is let in until the next try
  bool closed_ = false;
};

} // namespace orch
