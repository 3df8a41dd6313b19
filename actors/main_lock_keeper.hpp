#pragma once

#include "actors/effects.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace orch {

/// While a merge is on its way it keeps the main merge lock for so long, again and again; after a
/// crash nobody waits longer.
inline constexpr std::chrono::seconds kept_main_lock{60};

/// Keeps the main merge lock for its holder as long as this lives, in a thread of its own: a
/// checkout or a check may take longer than any lease.
class main_lock_keeper {
public:
  /// `token`: of the holding that is to be kept.
  main_lock_keeper(const effects& fx, int64_t token);
  ~main_lock_keeper();
  main_lock_keeper(const main_lock_keeper&) = delete;
  main_lock_keeper& operator=(const main_lock_keeper&) = delete;

  /// Why it is lost; nothing while it is held. Safe in any thread.
  std::optional<std::string> lost() const;

private:
  void keep(effects& fx);

  int64_t token_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::optional<std::string> lost_;
  std::thread thread_;
};

} // namespace orch
