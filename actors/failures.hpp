#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>

namespace orch {

/// The failures of something that is started again each time: after growing pauses, but not for
/// ever. Five within a minute are the end (contract, section 9).
class failures {
public:
  using clock = std::chrono::steady_clock;

  /// Notes one. Gives the pause before the next start: 100 ms, doubled with each failure that
  /// counts; nothing if there is to be none.
  std::optional<std::chrono::milliseconds> note(clock::time_point now = clock::now()) {
    while (!seen_.empty() && now - seen_.front() > remembered)
      seen_.pop_front();
    seen_.push_back(now);
    if (seen_.size() >= most)
      return {};
    return first_pause * (1 << (seen_.size() - 1));
  }

  /// Those that count.
  std::size_t count() const { return seen_.size(); }

private:
  static constexpr std::chrono::minutes remembered{1};
  static constexpr std::size_t most = 5;
  static constexpr std::chrono::milliseconds first_pause{100};

  std::deque<clock::time_point> seen_;
};

} // namespace orch
