#pragma once

#include "actors/effects.hpp"
#include "messages/merge_queue.hpp"

#include <chrono>

namespace orch {

/// Merges the next requests of the queue, or one of them. See docs/merging.md.
processed_main_merges process_main_merges(effects& fx, const merge_main_process& request);

/// Ends the runs of processes that died, or puts them back: what was moved is merged, what was not
/// is queued.
void recover_merge_runs(effects& fx);

/// Keeps the loop from running the same checks again and again while nothing that it waits for can
/// have changed: a target that does not pass, somebody's files in the way.
class merge_pause {
public:
  static constexpr std::chrono::seconds shortest{5};
  static constexpr std::chrono::seconds longest{300};

  /// `queue`: what is queued now. What is new is tried at once.
  bool is_over(const std::string& queue) const;

  /// It was tried in vain; each time that it still is, the pause doubles.
  void begin(const std::string& queue);
  void forget();

private:
  std::string queue_;
  std::chrono::seconds length_{shortest};
  std::chrono::steady_clock::time_point until_{};
};

/// The loop: merges what is ready as long as there is something, holding the main merge lock
/// itself for a batch at a time. Does nothing while somebody else has that.
void merge_by_itself(effects& fx, merge_pause& pause);

} // namespace orch
