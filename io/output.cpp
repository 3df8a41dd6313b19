#include "io/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace orch {

namespace {

/// A pipe that polls as writable takes this much without blocking (POSIX PIPE_BUF on Linux).
constexpr std::size_t safe_chunk = 4'096;

/// Buffers larger than this are not kept for the next answers.
constexpr std::size_t kept_capacity = 1U << 20;

int reopen_non_blocking(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode))
    return -1;
  return ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

bool has_room(int fd) {
  pollfd wanted{fd, POLLOUT, 0};
  return ::poll(&wanted, 1, 0) > 0;
}

} // namespace

output::output(event_loop& loop, int fd, std::function<void()> broken, bool non_blocking)
  : loop_{loop}, fd_{fd}, own_fd_{reopen_non_blocking(fd)}, blocks_{own_fd_ < 0 && !non_blocking},
    broken_{std::move(broken)}, tells_broken_{broken_ != nullptr} {
  // Without events poll still tells that the reader is gone.
  if (tells_broken_)
    loop_.watch(fd_, 0, [this](short) { fail(); });
}

output::~output() {
  loop_.unwatch(fd_);
  if (own_fd_ >= 0)
    ::close(own_fd_);
}

void output::flush() {
  if (empty() && !waits_for_room_)
    return;
  while (!empty() && !failed_) {
    if (blocks_ && !has_room(fd_))
      break;
    auto count = ::write(own_fd_ < 0 ? fd_ : own_fd_, pending_.data() + written_,
                         blocks_ ? std::min(size(), safe_chunk) : size());
    if (count >= 0)
      written_ += static_cast<std::size_t>(count);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      break;
    else if (errno != EINTR)
      fail();
  }
  forget_written();
  if (failed_)
    return;
  waits_for_room_ = !empty();
  if (!waits_for_room_ && !tells_broken_) {
    loop_.unwatch(fd_);
    return;
  }
  loop_.watch(fd_, waits_for_room_ ? POLLOUT : 0, [this](short revents) {
    if ((revents & POLLOUT) != 0)
      flush();
    else
      fail();
  });
}

void output::forget_written() {
  // Moving what is left for each small write would cost its length squared.
  if (!empty() && written_ < kept_capacity)
    return;
  pending_.erase(0, written_);
  written_ = 0;
  if (pending_.empty() && pending_.capacity() > kept_capacity)
    pending_.shrink_to_fit();
}

void output::fail() {
  if (std::exchange(failed_, true))
    return;
  pending_.clear();
  written_ = 0;
  loop_.unwatch(fd_);
  if (broken_)
    broken_();
}

} // namespace orch
