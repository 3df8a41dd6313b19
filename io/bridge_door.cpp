#include "io/bridge_door.hpp"

#include "io/bridged_client.hpp"
#include "io/log.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orch {

namespace {

using steady = std::chrono::steady_clock;

/// While another supervisor has the repository, or nobody can be let in.
constexpr std::chrono::milliseconds between_tries{500};

/// What tells a file from another one of that name.
std::pair<dev_t, ino_t> file_of(const std::filesystem::path& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? std::pair{found.st_dev, found.st_ino}
                                            : std::pair<dev_t, ino_t>{};
}

} // namespace

std::filesystem::path supervisor_socket(const std::filesystem::path& state_dir) {
  return state_dir / "supervisor.sock";
}

bridge_door::bridge_door(repository_host& host, event_loop& loop, std::filesystem::path state_dir,
                         std::function<bool(int64_t)> alive, connection_options base)
  : host_{host}, loop_{loop}, socket_{supervisor_socket(state_dir)}, alive_{std::move(alive)},
    base_{std::move(base)}, ours_{state_dir / "supervisor.lock"} {
}

bridge_door::~bridge_door() {
  close();
}

void bridge_door::run_round(bool idle) {
  if (host_.refusing())
    close();
  if (!closed_ && deaf_) {
    if (steady::now() >= next_try_)
      try_to_listen();
    if (deaf_)
      loop_.wake_at(next_try_);
  }
  for (const auto& client : inside_)
    client->run_round(idle);
  inside_.remove_if([](const auto& client) { return client->gone(); });
}

void bridge_door::close() {
  if (std::exchange(closed_, true))
    return;
  if (listening_.open()) {
    loop_.unwatch(listening_.number());
    // Before another supervisor may put its own there; unless the directory was made anew.
    if (file_of(socket_) == bound_)
      ::unlink(socket_.c_str());
    listening_.close();
    ours_.leave();
  }
  for (const auto& client : inside_)
    client->leave();
}

void bridge_door::try_to_listen() {
  next_try_ = steady::now() + between_tries;
  if (!listening_.open() && !ours_.try_enter())
    return;
  try {
    if (!listening_.open())
      listening_ = listen_on(socket_);
    bound_ = file_of(socket_);
  } catch (const std::exception& e) {
    log_error("other servers of this repository cannot be let in: {}", e.what());
    ours_.leave();
    next_try_ = steady::now() + std::chrono::minutes{1};
    return;
  }
  deaf_ = false;
  loop_.watch(listening_.number(), POLLIN, [this](short) { let_in(); });
}

void bridge_door::let_in() {
  try {
    while (true) {
      auto socket = accept_from(listening_);
      if (!socket.open())
        return;
      inside_.push_back(
        std::make_unique<bridged_client>(host_, loop_, std::move(socket), alive_, base_));
    }
  } catch (const std::exception& e) {
    log_error("a server could not be let in: {}", e.what());
    // Whoever waits to be let in would wake the loop again and again.
    loop_.unwatch(listening_.number());
    next_try_ = steady::now() + between_tries;
    deaf_ = true;
  }
}

} // namespace orch
