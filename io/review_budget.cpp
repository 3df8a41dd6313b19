#include "io/review_budget.hpp"

namespace orch {

void review_budget::set_most(int64_t most) {
  std::lock_guard lock{guard_};
  most_ = most;
}

review_budget::member review_budget::join() {
  std::lock_guard lock{guard_};
  running_.emplace(++last_, 0);
  return last_;
}

void review_budget::leave(member who) {
  std::lock_guard lock{guard_};
  running_.erase(who);
}

void review_budget::note_running(member who, int64_t running) {
  std::lock_guard lock{guard_};
  if (auto found = running_.find(who); found != running_.end())
    found->second = running;
}

bool review_budget::take(member who) {
  std::lock_guard lock{guard_};
  auto found = running_.find(who);
  int64_t all = 0;
  for (const auto& [other, count] : running_)
    all += count;
  if (found == running_.end() || all >= most_)
    return false;
  ++found->second;
  return true;
}

} // namespace orch
