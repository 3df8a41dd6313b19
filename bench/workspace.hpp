#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bench {

/// Runs a program to its end; throws if it fails.
void run_program(const std::vector<std::string>& command);

/// An empty git repository of its own, removed at the end.
class workspace {
public:
  /// Below `parent`, which decides on what disk the measured database lies.
  explicit workspace(const std::filesystem::path& parent);
  ~workspace();
  workspace(const workspace&) = delete;
  workspace& operator=(const workspace&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path database() const { return root_ / ".codex-orch" / "state.db"; }

private:
  std::filesystem::path root_;
};

} // namespace bench
