#pragma once

#include <filesystem>

namespace orch {

/// A directory for an index that is not the work tree's, gone with this.
class private_index {
public:
  /// Makes it in a git directory. Throws `request_error` (unavailable), as `copy` does.
  explicit private_index(const std::filesystem::path& git_dir);
  private_index(const private_index&) = delete;
  private_index& operator=(const private_index&) = delete;
  ~private_index();

  std::filesystem::path file() const { return directory_ / "index"; }

  /// Starts from another index. Its time is kept: git compares it with the files' to tell which may
  /// have changed unseen.
  void copy(const std::filesystem::path& index) const;

private:
  std::filesystem::path directory_;
};

} // namespace orch
