#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace orch {

class disk_walk;

/// Measures directories a little at a time and remembers for a minute what it found.
class disk_meter {
public:
  disk_meter();
  ~disk_meter();
  disk_meter(const disk_meter&) = delete;
  disk_meter& operator=(const disk_meter&) = delete;

  /// The bytes on disk that are known of these directories after measuring for at most `budget`,
  /// counted as `disk_use` does.
  std::map<std::filesystem::path, int64_t> measure(
    const std::set<std::filesystem::path>& directories, std::chrono::milliseconds budget);

private:
  using clock = std::chrono::steady_clock;

  struct entry {
    std::unique_ptr<disk_walk> walk;
    std::optional<int64_t> bytes;
    clock::time_point stale_at = clock::time_point::min();

    bool go_on(clock::time_point end);
  };

  std::map<std::filesystem::path, entry> known_;
};

} // namespace orch
