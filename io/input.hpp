#pragma once

#include "io/event_loop.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>

namespace orch {

/// Bytes of a descriptor, read only while there is room for more. Lives in the loop's thread.
class input {
public:
  input(event_loop& loop, int fd, std::function<void(std::string_view)> bytes,
        std::function<void()> end)
    : loop_{loop}, fd_{fd}, bytes_{std::move(bytes)}, end_{std::move(end)}, buffer_(64U << 10, 0) {}

  ~input() { want(false); }
  input(const input&) = delete;
  input& operator=(const input&) = delete;

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

} // namespace orch
