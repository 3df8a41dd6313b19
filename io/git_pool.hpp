#pragma once

#include "io/git.hpp"

#include <functional>
#include <memory>

namespace orch {

/// Opened repositories, lent to one thread at a time and kept for the next: opening one takes
/// milliseconds, and libgit2 1.5 loses some 40 KB each time.
class git_pool {
public:
  explicit git_pool(std::function<git()> open);

  /// An instance for the caller alone; it goes back to the pool with the last copy of the pointer,
  /// also after the pool itself is gone. Safe in any thread.
  std::shared_ptr<git> take();

private:
  struct shelf;
  std::shared_ptr<shelf> shelf_;
};

} // namespace orch
