#pragma once

#include <filesystem>

namespace orch {

/// The queue that all writers of a repository stand in, in whatever process: a blocking flock.
/// Without it SQLite's busy handler lets some writers starve for seconds. The kernel opens it when
/// its holder dies. For one thread at a time.
class turnstile {
public:
  /// Creates the file if it is missing. Throws `std::system_error`.
  explicit turnstile(const std::filesystem::path& file);
  ~turnstile();
  turnstile(const turnstile&) = delete;
  turnstile& operator=(const turnstile&) = delete;

  /// Waits for one's turn.
  void enter();

  /// True if it is ours now; never waits.
  bool try_enter();
  void leave();

private:
  int fd_;
};

} // namespace orch
