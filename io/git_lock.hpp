#pragma once

#include <filesystem>

namespace orch {

/// Holds a file's flock, also against other holders in this process, until it goes.
class git_lock {
public:
  /// Waits for it; makes the file if it is missing.
  explicit git_lock(const std::filesystem::path& file);
  git_lock(const git_lock&) = delete;
  git_lock& operator=(const git_lock&) = delete;
  ~git_lock();

private:
  int file_;
};

} // namespace orch
