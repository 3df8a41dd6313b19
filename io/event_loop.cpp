#include "io/event_loop.hpp"

#include <caf/actor_system.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace orch {

namespace {

/// Messages that an actor handles before others get their turn, and turns between two looks at the
/// descriptors. Small, so that long answers are written out as they are made instead of piling up;
/// larger numbers raise no rate (bench/).
constexpr std::size_t most_messages_per_turn = 20;
constexpr int most_turns = 4;

thread_local const event_loop* loop_of_thread = nullptr;

} // namespace

event_loop::event_loop(caf::actor_system& system)
  : caf::execution_unit{&system}, wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (wake_ < 0)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
}

event_loop::~event_loop() {
  ::close(wake_);
}

void event_loop::exec_later(caf::resumable* actor) {
  if (loop_of_thread == this) {
    ready_.push_back(actor);
    return;
  }
  std::lock_guard lock{guard_};
  if (closed_) {
    system().scheduler().enqueue(actor);
    return;
  }
  foreign_.push_back(actor);
  if (std::exchange(signalled_, true))
    return;
  uint64_t one = 1;
  [[maybe_unused]] auto ignored = ::write(wake_, &one, sizeof one);
}

void event_loop::close() {
  {
    std::lock_guard lock{guard_};
    closed_ = true;
  }
  take_foreign();
  for (auto actor : std::exchange(ready_, {}))
    system().scheduler().enqueue(actor);
}

void event_loop::watch(int fd, short events, on_ready ready) {
  watched_[fd] = {events, std::move(ready)};
}

void event_loop::unwatch(int fd) {
  watched_.erase(fd);
}

void event_loop::run(const std::function<bool()>& finished,
                     const std::function<void(bool)>& each_round) {
  loop_of_thread = this;
  while (true) {
    auto busy = run_actors();
    each_round(!busy);
    if (finished() || std::chrono::steady_clock::now() >= deadline_)
      break;
    wait(busy || !ready_.empty());
  }
  loop_of_thread = nullptr;
}

bool event_loop::run_actors() {
  for (int turn = 0; turn < most_turns && !ready_.empty(); ++turn) {
    auto actor = ready_.front();
    ready_.pop_front();
    if (actor->resume(this, most_messages_per_turn) == caf::resumable::resume_later)
      ready_.push_back(actor);
    else
      caf::intrusive_ptr_release(actor);
  }
  return !ready_.empty();
}

void event_loop::take_foreign() {
  uint64_t count = 0;
  [[maybe_unused]] auto ignored = ::read(wake_, &count, sizeof count);
  std::lock_guard lock{guard_};
  signalled_ = false;
  ready_.insert(ready_.end(), foreign_.begin(), foreign_.end());
  foreign_.clear();
}

void event_loop::wait(bool busy) {
  using namespace std::chrono;
  std::vector<pollfd> wanted{{wake_, POLLIN, 0}};
  for (const auto& [fd, what] : watched_)
    wanted.push_back({fd, what.events, 0});
  auto timeout = -1;
  if (busy)
    timeout = 0;
  else if (auto until = std::min(deadline_, wake_at_); until != steady_clock::time_point::max())
    timeout = static_cast<int>(
      std::max<int64_t>(0, ceil<milliseconds>(until - steady_clock::now()).count()));
  wake_at_ = steady_clock::time_point::max();
  if (::poll(wanted.data(), wanted.size(), timeout) <= 0)
    return;
  if (wanted.front().revents != 0)
    take_foreign();
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    if (wanted[i].revents == 0)
      continue;
    // A callback may stop watching, this descriptor or another one.
    auto found = watched_.find(wanted[i].fd);
    if (found == watched_.end())
      continue;
    auto ready = found->second.ready;
    ready(wanted[i].revents);
  }
}

} // namespace orch
