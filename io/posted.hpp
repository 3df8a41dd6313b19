#pragma once

#include "io/event_loop.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace orch {

/// Work that other threads hand to a loop: it runs there, in the order of the handing.
class posted_work {
public:
  /// Throws `std::system_error`.
  posted_work();
  ~posted_work();
  posted_work(const posted_work&) = delete;
  posted_work& operator=(const posted_work&) = delete;

  /// Any thread, at any time. Work that the loop does not come to any more is dropped.
  void post(std::function<void()> work);

  /// Has all of it run?
  bool empty();

  /// The loop's thread: runs what is posted, from now on, until `stop`.
  void run_on(event_loop& loop);
  void stop(event_loop& loop);

private:
  void run_all();

  int wake_;
  std::mutex guard_;
  std::vector<std::function<void()>> waiting_; ///< under `guard_`, as what follows
  bool running_ = false;
};

} // namespace orch
