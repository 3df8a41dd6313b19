#include "io/change_watch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace orch {

change_watch::change_watch() : inotify_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)} {
}

void change_watch::add(const std::filesystem::path& path) {
  if (inotify_.open())
    ::inotify_add_watch(inotify_.number(), path.c_str(),
                        IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_CREATE | IN_DELETE | IN_MOVED_TO);
}

void change_watch::forget() {
  alignas(inotify_event) std::array<char, 4'096> events;
  while (inotify_.open() && ::read(inotify_.number(), events.data(), events.size()) > 0) {
  }
}

void change_watch::wait(std::chrono::milliseconds most) {
  // poll passes over a negative descriptor.
  pollfd wanted{inotify_.number(), POLLIN, 0};
  ::poll(&wanted, 1, static_cast<int>(most.count()));
  forget();
}

} // namespace orch
