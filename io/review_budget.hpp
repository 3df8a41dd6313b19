#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace orch {

/// How many reviewers may run in all repositories together. Safe in any thread.
class review_budget {
public:
  void set_most(int64_t most);

  /// So many run in a repository, as it has just seen.
  void note_running(const std::string& repository, int64_t running);

  /// Takes one more for a repository, if there is one left. What is not used is given back by the
  /// next `note_running`.
  bool take(const std::string& repository);

  void forget(const std::string& repository);

private:
  std::mutex guard_;
  int64_t most_ = 1;
  std::map<std::string, int64_t> running_;
};

} // namespace orch
