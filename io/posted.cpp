#include "io/posted.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace orch {

posted_work::posted_work() : wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (wake_ < 0)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
}

posted_work::~posted_work() {
  ::close(wake_);
}

void posted_work::post(std::function<void()> work) {
  {
    std::lock_guard lock{guard_};
    waiting_.push_back(std::move(work));
  }
  uint64_t one = 1;
  [[maybe_unused]] auto ignored = ::write(wake_, &one, sizeof one);
}

bool posted_work::empty() {
  std::lock_guard lock{guard_};
  return waiting_.empty() && !running_;
}

void posted_work::run_on(event_loop& loop) {
  loop.watch(wake_, POLLIN, [this](short) { run_all(); });
}

void posted_work::stop(event_loop& loop) {
  loop.unwatch(wake_);
}

void posted_work::run_all() {
  uint64_t count = 0;
  [[maybe_unused]] auto ignored = ::read(wake_, &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock{guard_};
    work.swap(waiting_);
    running_ = true;
  }
  for (const auto& one : work)
    one();
  std::lock_guard lock{guard_};
  running_ = false;
}

} // namespace orch
