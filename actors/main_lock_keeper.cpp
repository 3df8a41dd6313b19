#include "actors/main_lock_keeper.hpp"

#include "io/log.hpp"
#include "storage/merge_runs.hpp"

namespace orch {

namespace {

constexpr std::chrono::seconds between_renewals{15};

} // namespace

main_lock_keeper::main_lock_keeper(const effects& fx, int64_t token) : token_{token} {
  thread_ = std::thread{[this, &fx] {
    auto own = fx.for_another_thread();
    std::unique_lock lock{mutex_};
    while (!ending_ && !lost_) {
      lock.unlock();
      keep(own);
      lock.lock();
      wake_.wait_for(lock, between_renewals, [this] { return ending_; });
    }
  }};
}

main_lock_keeper::~main_lock_keeper() {
  {
    std::lock_guard lock{mutex_};
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::optional<std::string> main_lock_keeper::lost() const {
  std::lock_guard lock{mutex_};
  return lost_;
}

void main_lock_keeper::keep(effects& fx) {
  try {
    fx.store([this](tx& t) { keep_main_lock(t, token_, kept_main_lock.count()); });
  } catch (const request_error& e) {
    if (e.code != errc::conflict) {
      // The lease goes on meanwhile, and the move asks again.
      log_warning("cannot renew the main merge lock: {}", e.what());
      return;
    }
    std::lock_guard lock{mutex_};
    lost_ = e.what();
  }
}

} // namespace orch
