#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace orch {

/// How many reviewers may run in all repositories together. Safe in any thread.
class review_budget {
public:
  /// A repository as long as it is looked after; when it is started anew, it is another one.
  using member = int64_t;

  void set_most(int64_t most);

  member join();

  /// It starts no more; what it may still say is passed over.
  void leave(member who);

  /// So many run in a repository, as it has just seen.
  void note_running(member who, int64_t running);

  /// Takes one more for a repository, if there is one left. What is not used is given back by the
  /// next `note_running`.
  bool take(member who);

private:
  std::mutex guard_;
  int64_t most_ = 1;
  member last_ = 0;
  std::map<member, int64_t> running_; ///< in each member
};

} // namespace orch
