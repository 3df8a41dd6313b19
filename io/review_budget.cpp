#include "io/review_budget.hpp"

namespace orch {

void review_budget::set_most(int64_t most) {
  std::lock_guard lock{guard_};
  most_ = most;
}

void review_budget::note_running(const std::string& repository, int64_t running) {
  std::lock_guard lock{guard_};
  running_[repository] = running;
}

bool review_budget::take(const std::string& repository) {
  std::lock_guard lock{guard_};
  int64_t all = 0;
  for (const auto& [name, count] : running_)
    all += count;
  if (all >= most_)
    return false;
  ++running_[repository];
  return true;
}

void review_budget::forget(const std::string& repository) {
  std::lock_guard lock{guard_};
  running_.erase(repository);
}

} // namespace orch
