#include "actors/merge_run.hpp"

#include "actors/merge_candidates.hpp"
#include "io/check_command.hpp"
#include "io/log.hpp"
#include "io/turnstile.hpp"
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

/// While a run is on its way it keeps the main merge lock for so long, again and again; after a
/// crash nobody waits longer.
constexpr std::chrono::seconds kept_lock{60};
constexpr std::chrono::seconds between_renewals{15};

/// Targets that move all the time: so often it is begun anew.
constexpr int most_new_starts = 10;

constexpr std::chrono::milliseconds between_looks{50};

/// Nothing more can be done now; what is not decided stays queued.
struct run_stops {
  std::string why;
};

/// A request on top of those before it.
struct merged_step {
  main_merge_request entry;
  std::string commit;
  std::string tree;
  std::string log{}; ///< of the check that passed
};

/// One run: takes up requests, merges them one on the other, checks, moves the branch.
class merge_run_work {
public:
  merge_run_work(effects& fx, std::string target, int64_t holder, steady::time_point end)
    : fx_{fx}, config_{fx.around.merging}, end_{end} {
    done_.target_branch = std::move(target);
    holder_ = holder;
  }

  processed_main_merges work_on(const std::vector<int64_t>& ids) {
    fx_.store([&](tx& t) {
      run_ = begin_run(t, *done_.target_branch, holder_, ids);
      fx_.hold(name_of_run(run_.id));
      done_.requests = requests_of(t, run_.id);
    });
    try {
      done_.target_before = tip();
      while (merge_some()) {
      }
    } catch (const run_stops& stop) {
      done_.why_stopped = stop.why;
    } catch (...) {
      auto why = current_error();
      fx_.store([&](tx& t) { end_run(t, run_.id); });
      throw why;
    }
    fx_.store([&](tx& t) {
      end_run(t, run_.id);
      for (auto& entry : done_.requests)
        entry = t.get<main_merge_request>("merge_main_queue", entry.id, "main merge request");
    });
    done_.target_after = fx_.repository().commit_of(ref());
    return std::move(done_);
  }

private:
  std::string ref() const { return "refs/heads/" + *done_.target_branch; }

  std::string tip() {
    auto found = fx_.repository().commit_of(ref());
    if (!found)
      throw run_stops{
        fmt::format("the target branch {} does not exist any more", *done_.target_branch)};
    return *found;
  }

  void give_up_in_time() const {
    if (fx_.given_up())
      throw run_stops{"nobody waits for it any more"};
    if (steady::now() >= end_)
      throw run_stops{"the time is over"};
  }

  void keep_lock() {
    fx_.store([&](tx& t) { keep_main_lock(t, run_.id, kept_lock.count()); });
    renew_at_ = steady::now() + between_renewals;
  }

  /// One round on the present tip; false if there is nothing left to do.
  bool merge_some() {
    give_up_in_time();
    keep_lock();
    auto undecided = fx_.store([&](tx& t) { return requests_of(t, run_.id); });
    put_in_order(undecided);
    auto base = tip();
    auto steps = build(base, undecided);
    if (steps.empty())
      return false;
    auto good = good_prefix(base, steps);
    if (good == 0)
      return true; // one of them was set aside
    steps.resize(good);
    if (!move(base, steps) && ++new_starts_ > most_new_starts)
      throw run_stops{fmt::format("{} moves all the time", *done_.target_branch)};
    return true;
  }

  /// As they were taken up.
  void put_in_order(std::vector<main_merge_request>& entries) const {
    auto place = [&](const main_merge_request& x) {
      return std::find_if(done_.requests.begin(), done_.requests.end(),
                          [&](const auto& other) { return other.id == x.id; });
    };
    std::sort(entries.begin(), entries.end(),
              [&](const auto& a, const auto& b) { return place(a) < place(b); });
  }

  // --- Merging in memory ------------------------------------------------------------------------

  std::vector<merged_step> build(const std::string& base,
                                 const std::vector<main_merge_request>& entries) {
    std::vector<merged_step> steps;
    for (const auto& entry : entries) {
      const auto& under = steps.empty() ? base : steps.back().commit;
      if (auto step = on_top_of(under, entry)) {
        steps.push_back(std::move(*step));
      } else if (steps.empty() || !on_top_of(base, entry)) {
        set_conflict_aside(base, entry);
      }
      // Else it conflicts with one before it, which may still fail: that is seen when it has moved.
    }
    return steps;
  }

  /// Nothing if there are conflicts.
  std::optional<merged_step> on_top_of(const std::string& under, const main_merge_request& entry) {
    auto& repository = fx_.repository();
    const auto& head = entry.head_sha.value();
    if (repository.distance(under, head).ahead == 0)
      return merged_step{entry, under, repository.tree_of(under)};
    auto merged = repository.merge(under, head);
    if (!merged.conflicts.empty())
      return {};
    auto squashes = config_.style == "squash";
    auto parents = squashes ? std::vector{under} : std::vector{under, head};
    return merged_step{
      entry, repository.commit(merged.tree, parents, message_for(repository, entry, squashes)),
      merged.tree};
  }

  std::string message_for(git& repository, const main_merge_request& entry, bool squashes) {
    auto from = fx_.look(
      [&](tx& t) { return t.get<worktree>("worktrees", entry.from_worktree_id, "worktree"); });
    auto message = fmt::format("{} branch '{}' into {}\n\nRequest #{} of session #{}.\n",
                               squashes ? "Squash" : "Merge", from.branch, entry.target_branch,
                               entry.id, entry.session_id);
    if (squashes)
      message += fmt::format("Commits:\n{}", repository.subjects(tip(), *entry.head_sha));
    return message;
  }

  void set_conflict_aside(const std::string& base, const main_merge_request& entry) {
    auto& repository = fx_.repository();
    auto paths = repository.merge(base, *entry.head_sha).conflicts;
    set_aside how{"conflict",
                  fmt::format("it conflicts with {} in {}; merge that branch into yours, resolve, "
                              "commit, and queue it again",
                              entry.target_branch, fmt::join(paths, ", ")),
                  paths, first_in_conflict(repository, base, *entry.head_sha)};
    fx_.store([&](tx& t) { put_aside(t, entry.id, how); });
  }

  // --- Checking ---------------------------------------------------------------------------------

  /// How many of the steps may be merged, from the first on. If that is none, or not all, the one
  /// behind them was set aside.
  std::size_t good_prefix(const std::string& base, std::vector<merged_step>& steps) {
    if (passes(steps.back()))
      return steps.size();
    std::size_t good = 0;
    auto bad = steps.size();
    while (bad - good > 1) {
      auto middle = good + (bad - good) / 2;
      (passes(steps[middle - 1]) ? good : bad) = middle;
    }
    auto& suspect = steps[bad - 1];
    auto again = check(suspect.commit, suspect.tree);
    if (again.passed) {
      suspect.log = log_;
      fx_.store([&](tx& t) { note_check(t, suspect.entry.id, log_, true); });
      return bad;
    }
    auto log = log_;
    if (good == 0)
      base_must_pass(base);
    fx_.store([&](tx& t) {
      note_check(t, suspect.entry.id, log, false);
      put_aside(t, suspect.entry.id,
                {"checks_failed", fmt::format("the check {}; {} has its output, which ends:\n{}",
                                              again.words, log, again.tail)});
    });
    return good;
  }

  bool passes(merged_step& step) {
    auto ended = check(step.commit, step.tree);
    if (ended.passed)
      step.log = log_;
    return ended.passed;
  }

  /// Nobody is blamed for what is wrong with the target itself.
  void base_must_pass(const std::string& base) {
    auto ended = check(base, fx_.repository().tree_of(base));
    if (!ended.passed)
      throw run_stops{fmt::format("{} itself does not pass the check, which {}; {} has its output",
                                  *done_.target_branch, ended.words, log_)};
  }

  check_outcome check(const std::string& commit, const std::string& tree) {
    check_outcome ended;
    log_.clear();
    ended.passed = config_.check_command.empty()
                   || fx_.look([&](tx& t) { return has_passed(t, tree, config_.check_command); });
    if (ended.passed)
      return ended;
    give_up_in_time();
    keep_lock();
    check_command what;
    what.command = config_.check_command;
    what.directory = scratch_directory_of(fx_.around);
    what.mark = mark_of_run(fx_.around, run_.id);
    what.timeout = std::chrono::seconds{config_.check_timeout_seconds};
    what.log = new_log();
    what.given_up = [&] { return is_unwanted(); };
    fx_.repository().check_out_scratch(what.directory, commit);
    log_ = what.log.string();
    ended = run_check(what);
    ++done_.checks;
    if (lost_lock_)
      throw run_stops{*lost_lock_};
    if (ended.given_up)
      give_up_in_time();
    if (ended.passed)
      fx_.store([&](tx& t) { note_passed(t, tree, config_.check_command, log_); });
    return ended;
  }

  /// Asked again and again while a check runs.
  bool is_unwanted() {
    if (fx_.given_up() || steady::now() >= end_)
      return true;
    if (steady::now() < renew_at_)
      return false;
    try {
      keep_lock();
      return false;
    } catch (const request_error& e) {
      lost_lock_ = e.what();
      return true;
    }
  }

  fs::path new_log() {
    auto directory = fx_.around.state_dir / "checks";
    fs::create_directories(directory);
    return directory / fmt::format("run-{}-{}.log", run_.id, done_.checks + 1);
  }

  // --- Moving the branch ------------------------------------------------------------------------

  /// False if the branch is not at `base` any more; then nothing has changed.
  bool move(const std::string& base, const std::vector<merged_step>& steps) {
    const auto& to = steps.back().commit;
    // Whoever was stopped in here must not go on when somebody else has moved the branch.
    turnstile one_at_a_time{fx_.around.state_dir / "move.lock"};
    one_at_a_time.enter();
    fx_.store([&](tx& t) {
      std::vector<merged_request> merged;
      for (const auto& step : steps) {
        if (!step.log.empty())
          note_check(t, step.entry.id, step.log, false);
        merged.push_back({step.entry.id, step.commit});
      }
      begin_move(t, run_.id, base, to, merged);
    });
    try {
      move_branch(fx_.repository(), *done_.target_branch, base, to);
    } catch (...) {
      auto why = current_error();
      if (fx_.repository().commit_of(ref()) != to) {
        fx_.store([&](tx& t) { give_up_move(t, run_.id); });
        if (fx_.repository().commit_of(ref()) != base)
          return false;
        throw run_stops{why.what()};
      }
    }
    fx_.store([&](tx& t) { finish_move(t, run_.id); });
    return true;
  }

  effects& fx_;
  const merging_config& config_;
  steady::time_point end_;
  int64_t holder_ = 0;
  merge_run run_;
  processed_main_merges done_;
  std::string log_; ///< of the last check; empty if it was not run
  std::optional<std::string> lost_lock_;
  steady::time_point renew_at_{};
  int new_starts_ = 0;
};

/// Only one process merges: another one may still run although its time with the lock is over.
void wait_for_turn(effects& fx, turnstile& turn, steady::time_point end) {
  while (!turn.try_enter()) {
    if (fx.given_up() || steady::now() >= end)
      throw request_error{errc::conflict, "another process is merging; try again"};
    std::this_thread::sleep_for(between_looks);
  }
}

processed_main_merges process_batch(effects& fx, int64_t holder, const std::optional<int64_t>& only,
                                    steady::time_point end) {
  turnstile turn{fx.around.state_dir / "queue.lock"};
  wait_for_turn(fx, turn, end);
  recover_merge_runs(fx);
  auto batch = next_batch(fx, only);
  if (batch.ids.empty()) {
    processed_main_merges none;
    none.why_stopped = batch.why_none;
    return none;
  }
  return merge_run_work{fx, batch.target, holder, end}.work_on(batch.ids);
}

} // namespace

processed_main_merges process_main_merges(effects& fx, const merge_main_process& request) {
  fx.store([&](tx& t) {
    must_be_open(t, request.session_id);
    if (!main_lock_token(t, request.session_id))
      throw request_error{errc::failed_precondition,
                          fmt::format("session #{} does not hold the main merge lock; "
                                      "merge.main.acquire_lock gives it",
                                      request.session_id),
                          {{"lock", json::parse(to_json_text(get_main_lock(t)))}}};
  });
  auto patience = request.timeout_seconds > 0 ? std::chrono::seconds{request.timeout_seconds}
                                              : std::chrono::hours{24};
  return process_batch(fx, request.session_id, request.request_id, steady::now() + patience);
}

void recover_merge_runs(effects& fx) {
  for (const auto& found : fx.store(orphaned_runs)) {
    log_warning("ending merge run #{} into {}, whose process has died", found.id,
                found.target_branch);
    if (found.server_id != fx.around.server && !fx.around.children_ended(found.server_id)) {
      log_warning("git is still at work for it; that is done later");
      continue;
    }
    kill_check(mark_of_run(fx.around, found.id));
    turnstile one_at_a_time{fx.around.state_dir / "move.lock"};
    one_at_a_time.enter();
    // Somebody else may have ended it meanwhile.
    auto still = fx.store([&](tx& t) { return t.find<merge_run>("merge_runs", found.id); });
    if (!still)
      continue;
    const auto& run = *still;
    auto& repository = fx.repository();
    auto tip = repository.commit_of("refs/heads/" + run.target_branch);
    auto moved = run.state == "moving" && tip && run.to_commit
                 && repository.commit_of(*run.to_commit)
                 && repository.distance(*tip, *run.to_commit).ahead == 0;
    fx.store([&](tx& t) {
      if (moved)
        finish_move(t, run.id);
      else if (run.state == "moving")
        give_up_move(t, run.id);
      end_run(t, run.id);
      if (main_lock_token(t, the_queue_itself) == run.token)
        release_main_lock_of(t, the_queue_itself);
    });
  }
}

void merge_by_itself(effects& fx) {
  if (fx.look([](tx& t) { return queue_in_order(t).empty() && orphaned_runs(t).empty(); }))
    return;
  if (!batch_is_due(fx))
    return;
  auto ours = fx.store([](tx& t) {
    if (main_lock_refusal(t, the_queue_itself))
      return false;
    take_main_lock(t, the_queue_itself, kept_lock.count());
    return true;
  });
  if (!ours)
    return;
  auto give_back = [&] { fx.store([](tx& t) { release_main_lock_of(t, the_queue_itself); }); };
  try {
    while (!fx.given_up()) {
      fx.store([](tx& t) { take_main_lock(t, the_queue_itself, kept_lock.count()); });
      auto done = process_batch(fx, the_queue_itself, {}, steady::now() + std::chrono::hours{24});
      if (done.why_stopped && !done.requests.empty())
        log_warning("the merge queue stops for now: {}", *done.why_stopped);
      if (done.why_stopped || done.requests.empty())
        break;
    }
  } catch (...) {
    auto why = current_error();
    give_back();
    throw why;
  }
  give_back();
}

} // namespace orch
