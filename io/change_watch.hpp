#pragma once

#include "io/descriptor.hpp"

#include <chrono>
#include <filesystem>

namespace orch {

/// Waits for changes of files in the calling thread. Hints only: where the kernel gives no watch,
/// waiting just takes its whole time.
class change_watch {
public:
  change_watch();

  /// Watches a file that is there (written to, touched or replaced) or a directory (also files that
  /// come and go). To be called again for one that came later; for one that is watched it does
  /// nothing.
  void add(const std::filesystem::path& path);

  /// For `poll`: readable once something has changed. Negative where the kernel gives no watch.
  int number() const { return inotify_.number(); }

  /// However many changes there were, one look answers them all.
  void forget();

  /// Waits until something has changed since the last call, but at most so long.
  void wait(std::chrono::milliseconds most);

private:
  descriptor inotify_;
};

} // namespace orch
