#pragma once

#include <caf/event_based_actor.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace orch {

/// One thread that waits for descriptors and runs actors in between. What actors running here send
/// to others that are idle makes these run here too, so that a short request crosses no thread:
/// waking one on another processor costs more than a point read.
class event_loop : public caf::execution_unit {
public:
  using on_ready = std::function<void(short revents)>;

  explicit event_loop(caf::actor_system& system);
  ~event_loop() override;
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  /// Takes an actor that has mail. Called in any thread.
  void exec_later(caf::resumable* actor) override;

  /// Calls `ready` when `fd` has one of `events` (poll's), replacing what was asked for it before;
  /// with no events only errors are reported. Only in the loop's thread, like all that follows.
  void watch(int fd, short events, on_ready ready);
  void unwatch(int fd);

  /// Runs until `finished` says so. `each_round` runs after the actors had their turns; it is told
  /// whether all of them are idle now.
  void run(const std::function<bool()>& finished, const std::function<void(bool idle)>& each_round);

  /// Ends the loop for good: what has mail, now or later, runs on the scheduler's threads instead.
  void close();

  /// From now on `run` returns at the latest at that moment.
  void set_deadline(std::chrono::steady_clock::time_point at) { deadline_ = at; }

  /// The next round begins at the latest at that moment; counts for one round.
  void wake_at(std::chrono::steady_clock::time_point at) { wake_at_ = std::min(wake_at_, at); }

private:
  bool run_actors();
  void take_foreign();
  void wait(bool busy);

  struct watched {
    short events = 0;
    on_ready ready;
  };

  std::deque<caf::resumable*> ready_;
  std::mutex guard_;
  std::vector<caf::resumable*> foreign_; ///< from other threads, under `guard_`
  bool signalled_ = false;               ///< under `guard_`
  std::atomic<bool> closed_ = false;
  int wake_;
  std::map<int, watched> watched_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point wake_at_ = std::chrono::steady_clock::time_point::max();
};

/// An actor that runs in a loop's thread only, whoever sends to it, until the loop is closed.
class looped_actor : public caf::event_based_actor {
public:
  looped_actor(caf::actor_config& config, std::shared_ptr<event_loop> loop)
    : caf::event_based_actor{config}, loop_{std::move(loop)} {}

  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    caf::event_based_actor::enqueue(std::move(what), loop_.get());
  }

private:
  std::shared_ptr<event_loop> loop_; // it may get mail after the server that made the loop is gone
};

} // namespace orch
