#include "actors/merge_processing.hpp"

#include "actors/main_lock_keeper.hpp"
#include "actors/merge_candidates.hpp"
#include "actors/merge_run.hpp"
#include "io/check_command.hpp"
#include "io/log.hpp"
#include "storage/merge_queue.hpp"
#include "storage/merge_runs.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace orch {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;

namespace {

/// For a process that was stopped while it moved a branch, or git that outlives its server.
constexpr std::chrono::seconds patience_with_movers{10};

constexpr std::chrono::milliseconds between_looks{50};

/// What killed runs have left in the directory for checks.
void remove_old_scratches(effects& fx) {
  std::error_code none;
  auto live = fx.look(live_runs);
  for (const auto& entry : fs::directory_iterator{fx.around.state_dir / "queue", none})
    if (std::none_of(live.begin(), live.end(), [&](int64_t id) {
          return entry.path() == scratch_directory_of(fx.around, id);
        }))
      remove_scratch(entry.path());
}

/// While the same holder of the lock has a run on its way, the next one waits for its end.
processed_main_merges process_batch(effects& fx, int64_t holder, const std::optional<int64_t>& only,
                                    steady::time_point end) {
  while (true) {
    recover_merge_runs(fx);
    if (!fx.look(orphaned_runs).empty())
      throw request_error{errc::conflict,
                          "what a process that died was merging has not ended yet; try again"};
    if (!fx.look([&](tx& t) { return has_run(t, holder); })) {
      remove_old_scratches(fx);
      auto batch = next_batch(fx, only);
      if (batch.ids.empty()) {
        processed_main_merges none;
        none.why_stopped = batch.why_none;
        return none;
      }
      if (auto done = run_merge(fx, batch, holder, end))
        return std::move(*done);
    }
    if (fx.given_up() || steady::now() >= end)
      throw request_error{errc::conflict, "another run is merging; try again"};
    std::this_thread::sleep_for(between_looks);
  }
}

/// Takes the lock for the queue unless somebody has it or waits for it.
bool take_lock_for_queue(effects& fx) {
  return fx.store([](tx& t) {
    if (main_lock_refusal(t, the_queue_itself))
      return false;
    take_main_lock(t, the_queue_itself, kept_main_lock.count());
    return true;
  });
}

} // namespace

processed_main_merges process_main_merges(effects& fx, const merge_main_process& request) {
  fx.store([&](tx& t) {
    must_be_open(t, request.session_id);
    must_hold_main_lock(t, request.session_id);
  });
  auto patience = request.timeout_seconds > 0 ? std::chrono::seconds{request.timeout_seconds}
                                              : std::chrono::hours{24};
  return process_batch(fx, request.session_id, request.request_id, steady::now() + patience);
}

void recover_merge_runs(effects& fx) {
  for (const auto& found : fx.store(orphaned_runs)) {
    log_warning("ending merge run #{} into {}, whose process has died", found.id,
                found.target_branch);
    kill_check(mark_of_run(fx.around, found.id));
    if (found.server_id != fx.around.server && !fx.around.children_ended(found.server_id)) {
      log_warning("git is still at work for it; that is done later");
      continue;
    }
    turnstile one_at_a_time{fx.around.state_dir / "move.lock"};
    if (!enter_in_time(fx, one_at_a_time, steady::now() + patience_with_movers)) {
      log_warning("another process is moving a branch; that is done later");
      continue;
    }
    settle_run(fx, found.id); // unless somebody else has done so meanwhile
    fx.store([&](tx& t) {
      if (main_lock_token(t, the_queue_itself) == found.token)
        release_main_lock_of(t, the_queue_itself);
    });
  }
}

void merge_by_itself(effects& fx, merge_pause& pause) {
  recover_merge_runs(fx); // before the lock is taken: that of a run that died is given back
  if (!pause.is_over(fx.look(queue_fingerprint)))
    return;
  while (!fx.given_up() && batch_is_due(fx) && take_lock_for_queue(fx)) {
    auto give_back = [&] {
      fx.store_anyway([](tx& t) { release_main_lock_of(t, the_queue_itself); });
    };
    processed_main_merges done;
    try {
      done = process_batch(fx, the_queue_itself, {}, steady::now() + std::chrono::hours{24});
    } catch (...) {
      auto why = current_error();
      give_back();
      pause.begin(fx.look(queue_fingerprint));
      throw why;
    }
    // After each batch, so that those who wait for the lock have their turn.
    give_back();
    if (done.why_stopped) {
      if (!done.requests.empty())
        log_warning("the merge queue stops for now: {}", *done.why_stopped);
      pause.begin(fx.look(queue_fingerprint));
      return;
    }
    pause.forget();
    if (done.requests.empty())
      return;
  }
}

bool merge_pause::is_over(const std::string& queue) const {
  return queue != queue_ || steady::now() >= until_;
}

void merge_pause::begin(const std::string& queue) {
  length_ = queue == queue_ ? std::min(2 * length_, longest) : shortest;
  until_ = steady::now() + length_;
  queue_ = queue;
}

void merge_pause::forget() {
  queue_.clear();
}

} // namespace orch
