#include "io/wake_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace orch {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

void watch_until_stopped(int inotify, int stop, const std::function<void()>& on_touch,
                         std::chrono::milliseconds pause) {
  std::array<pollfd, 2> wanted{{{inotify, POLLIN, 0}, {stop, POLLIN, 0}}};
  while (wanted[1].revents == 0) {
    if (::poll(wanted.data(), wanted.size(), -1) < 0 || wanted[0].revents == 0)
      continue;
    // However many touches there were, one look answers them all.
    alignas(inotify_event) std::array<char, 4096> events;
    while (::read(inotify, events.data(), events.size()) > 0) {
    }
    on_touch();
    if (pause.count() > 0)
      ::poll(&wanted[1], 1, static_cast<int>(pause.count()));
  }
}

} // namespace

void touch_wake_file(const std::filesystem::path& file) {
  if (::utimensat(AT_FDCWD, file.c_str(), nullptr, 0) == 0)
    return;
  auto fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0)
    ::close(fd);
}

wake_watch::wake_watch(const std::filesystem::path& file, std::function<void()> on_touch,
                       std::chrono::milliseconds pause)
  : inotify_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)}, stop_{::eventfd(0, EFD_CLOEXEC)} {
  touch_wake_file(file);
  if (inotify_ < 0 || stop_ < 0 || ::inotify_add_watch(inotify_, file.c_str(), IN_ATTRIB) < 0) {
    auto problem = errno;
    ::close(inotify_);
    ::close(stop_);
    errno = problem;
    fail("inotify");
  }
  thread_ = std::thread{[this, pause, on_touch = std::move(on_touch)] {
    watch_until_stopped(inotify_, stop_, on_touch, pause);
  }};
}

wake_watch::~wake_watch() {
  uint64_t one = 1;
  if (::write(stop_, &one, sizeof one) == sizeof one)
    thread_.join();
  else
    thread_.detach();
  ::close(inotify_);
  ::close(stop_);
}

} // namespace orch
