#pragma once

// What a process that only wants to know something of a repository's state reads, in a millisecond
// and without the machinery of a server: no turnstile, no upgrade, nothing written.

#include "messages/locks.hpp"
#include "messages/timestamp.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace orch {

/// An active worktree as the state has it.
struct worktree_place {
  int64_t id = 0;
  std::filesystem::path path;
  std::optional<int64_t> owner_session_id; ///< the main work tree has none
};

/// A state.db opened for reading.
class glance {
public:
  /// Throws `std::runtime_error` with one line if it cannot be read, is newer than this program, or
  /// is of no version that this program knows.
  explicit glance(const std::filesystem::path& state);

  std::vector<worktree_place> worktrees() const;

  /// The leases on `path` (normalized), on what contains it, that have not ended at `now`.
  std::vector<lock> leases_on(const std::string& path, timestamp now) const;

private:
  struct closer {
    void operator()(sqlite3* db) const;
  };

  std::unique_ptr<sqlite3, closer> db_;
};

} // namespace orch
