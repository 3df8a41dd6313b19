#pragma once

#include "actors/failures.hpp"
#include "io/workspace.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace orch {

/// Opens a repository: again after growing pauses when that fails, until it has failed too often.
/// For one thread at a time.
class reopening {
public:
  /// `name` is what messages call it, `settings` are as for `open_workspace`.
  reopening(std::string name, std::filesystem::path directory, json settings = json::object())
    : name_{std::move(name)}, directory_{std::move(directory)}, settings_(std::move(settings)) {}

  /// Is it time for an attempt?
  bool is_due() const { return !parked_ && failures::clock::now() >= next_; }

  /// Opens it, or nothing: then `why_not` says why, and it is logged. Never throws.
  std::optional<workspace_files> attempt();

  /// Has it failed too often? Then there is no other attempt.
  bool parked() const { return parked_; }

  /// When the next attempt is due; for ever if there is none.
  failures::clock::time_point next() const {
    return parked_ ? failures::clock::time_point::max() : next_;
  }

  const std::string& why_not() const { return why_not_; }

private:
  void note_failure(const std::string& why);

  std::string name_;
  std::filesystem::path directory_;
  json settings_;
  failures seen_;
  failures::clock::time_point next_{};
  std::string why_not_;
  bool parked_ = false;
};

} // namespace orch
