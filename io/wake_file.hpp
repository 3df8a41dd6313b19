#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

namespace orch {

/// Tells all processes of a repository that waiters should look again: they watch a file that is
/// touched. Creates it if missing; a failure is only a missed hint, waiters have time-outs.
void touch_wake_file(const std::filesystem::path& file);

/// Watches the wake file with inotify, in a thread of its own that sleeps in the kernel.
class wake_watch {
public:
  /// Everything that happens after the constructor has returned is told to `on_touch`, which runs
  /// in the watching thread; what happens within `pause` of a call is told by one more after it.
  /// Throws `std::system_error`.
  wake_watch(const std::filesystem::path& file, std::function<void()> on_touch,
             std::chrono::milliseconds pause = {});
  ~wake_watch();
  wake_watch(const wake_watch&) = delete;
  wake_watch& operator=(const wake_watch&) = delete;

private:
  int inotify_;
  int stop_;
  std::thread thread_;
};

} // namespace orch
