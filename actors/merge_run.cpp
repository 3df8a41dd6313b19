#include "actors/merge_run.hpp"

#include "actors/main_lock_keeper.hpp"
#include "actors/merge_checks.hpp"
#include "actors/merge_step.hpp"
#include "io/git_files.hpp"
#include "io/log.hpp"
#include "storage/merge_queue.hpp"
#include "storage/merge_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

namespace orch {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds between_looks{50};

/// Targets that move all the time: so often it is begun anew.
constexpr int most_new_starts = 10;

/// Nothing more can be done now; what is not decided stays queued.
struct run_stops {
  std::string why;
};

/// Is a commit part of what `tip` has?
bool is_on(git& repository, const std::string& commit, const std::string& tip) {
  return repository.distance(tip, commit).ahead == 0;
}

std::vector<int64_t> ids_of(const std::vector<main_merge_request>& entries) {
  std::vector<int64_t> ids;
  for (const auto& entry : entries)
    ids.push_back(entry.id);
  return ids;
}

/// When a run has written down its move, as files tell time; the kernel's clock for files is
/// coarse.
fs::file_time_type begun_at(const merge_run& run) {
  std::chrono::sys_time<std::chrono::microseconds> at{std::chrono::microseconds{run.updated_at.us}};
  return fs::file_time_type::clock::from_sys(at) - std::chrono::seconds{1};
}

/// One run: takes up requests, merges them one on the other, checks, moves the branch.
class merge_run_work {
public:
  merge_run_work(effects& fx, std::string target, int64_t holder, steady::time_point end)
    : fx_{fx}, end_{end}, holder_{holder} {
    done_.target_branch = std::move(target);
  }

  /// Nothing if another run goes on under the same lock.
  std::optional<processed_main_merges> work_on(const std::vector<int64_t>& ids) {
    auto ours = fx_.store([&](tx& t) {
      if (has_run(t, holder_))
        return false;
      run_ = begin_run(t, *done_.target_branch, holder_, ids);
      fx_.hold(name_of_run(run_.id));
      done_.requests = requests_of(t, run_.id);
      return true;
    });
    if (!ours)
      return {};
    put_in_order(done_.requests, ids);
    try {
      main_lock_keeper lock{fx_, run_.token};
      lock_ = &lock;
      checks_.emplace(
        fx_, run_.id, [this] { give_up_in_time(); },
        [this] { return fx_.given_up() || steady::now() >= end_ || lock_->lost(); });
      done_.target_before = tip();
      while (merge_some()) {
      }
      done_.target_after = tip();
    } catch (const run_stops& stop) {
      done_.why_stopped = stop.why;
    } catch (...) {
      auto why = current_error();
      clear_scratch();
      settle_run(fx_, run_.id, why.what());
      throw why;
    }
    if (!passed_over_.empty() && !done_.why_stopped)
      done_.why_stopped = passed_over_.begin()->second;
    clear_scratch();
    done_.checks = checks_->count();
    settle_run(fx_, run_.id, done_.why_stopped);
    fx_.look([&](tx& t) {
      for (auto& entry : done_.requests)
        entry = t.get<main_merge_request>("merge_main_queue", entry.id, "main merge request");
      return true;
    });
    if (!done_.target_after)
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
    // Whoever asked may ask the next server, which is to go on with it.
    if (fx_.given_up())
      throw request_error{errc::unavailable, "this server stops; what is not decided stays queued"};
    if (steady::now() >= end_)
      throw run_stops{"the time is over"};
    if (auto lost = lock_->lost())
      throw run_stops{*lost};
  }

  /// One round on the present tip; false if there is nothing left to do.
  bool merge_some() {
    give_up_in_time();
    auto undecided = fx_.store([&](tx& t) { return requests_of(t, run_.id); });
    std::erase_if(undecided, [&](const auto& x) { return passed_over_.contains(x.id); });
    put_in_order(undecided, ids_of(done_.requests));
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
  static void put_in_order(std::vector<main_merge_request>& entries,
                           const std::vector<int64_t>& ids) {
    auto place = [&](const main_merge_request& x) {
      return std::find(ids.begin(), ids.end(), x.id);
    };
    std::sort(entries.begin(), entries.end(),
              [&](const auto& a, const auto& b) { return place(a) < place(b); });
  }

  // --- Merging in memory ------------------------------------------------------------------------

  std::vector<merged_step> build(const std::string& base,
                                 const std::vector<main_merge_request>& entries) {
    std::vector<merged_step> steps;
    for (const auto& entry : entries) {
      give_up_in_time();
      try {
        add_step(base, steps, entry);
      } catch (const request_error& e) {
        if (!is_of_the_request(base, e))
          throw;
        fx_.store([&](tx& t) { put_aside(t, entry.id, {"failed", e.what()}); });
      }
    }
    return steps;
  }

  /// Is it the branch that cannot be merged, not git that does not work? So with branches without
  /// common history, and with objects that are gone.
  bool is_of_the_request(const std::string& base, const request_error& why) {
    if (why.code == errc::failed_precondition || why.code == errc::not_found)
      return true;
    try {
      return fx_.repository().merge(base, base).conflicts.empty();
    } catch (const request_error&) {
      return false;
    }
  }

  void add_step(const std::string& base, std::vector<merged_step>& steps,
                const main_merge_request& entry) {
    if (auto step = on_top_of(steps.empty() ? base : steps.back().commit, entry))
      steps.push_back(std::move(*step));
    else if (steps.empty() || !on_top_of(base, entry))
      set_conflict_aside(base, entry);
    // Else it conflicts with one before it, which may still fail: that is seen when it has moved.
  }

  /// Nothing if there are conflicts.
  std::optional<merged_step> on_top_of(const std::string& under, const main_merge_request& entry) {
    return put_on_top(fx_, under, entry);
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
    auto again = checks_->check(suspect.commit, suspect.tree);
    auto log = checks_->log();
    if (again.passed) {
      suspect.log = log;
      fx_.store([&](tx& t) { note_check(t, suspect.entry.id, log, true); });
      return bad;
    }
    if (good == 0)
      must_still_pass(base, fx_.repository().tree_of(base), *done_.target_branch + " itself");
    else
      must_still_pass(steps[good - 1].commit, steps[good - 1].tree,
                      fmt::format("what passed with request #{}", steps[good - 1].entry.id));
    fx_.store([&](tx& t) {
      if (!log.empty())
        note_check(t, suspect.entry.id, log, false);
      put_aside(t, suspect.entry.id,
                {"checks_failed",
                 log.empty() ? fmt::format("the check {}", again.words)
                             : fmt::format("the check {}; {} has its output, which ends:\n{}",
                                           again.words, log, again.tail)});
    });
    return good;
  }

  bool passes(merged_step& step) {
    auto ended = checks_->check(step.commit, step.tree);
    if (ended.passed)
      step.log = checks_->log();
    return ended.passed;
  }

  /// Nobody is blamed for what is wrong with the target itself, or for a command that does not work
  /// any more: that it passed some time ago says nothing of now.
  void must_still_pass(const std::string& commit, const std::string& tree,
                       const std::string& what) {
    if (checks_->has_passed_now(tree))
      return;
    auto ended = checks_->check_now(commit, tree);
    if (!ended.passed)
      throw run_stops{fmt::format("{} does not pass the check, which {}; {} has its output", what,
                                  ended.words, checks_->log())};
  }

  // --- Moving the branch ------------------------------------------------------------------------

  /// False if the branch is not at `base` any more; then nothing has changed.
  bool move(const std::string& base, const std::vector<merged_step>& steps) {
    const auto& to = steps.back().commit;
    // Whoever was stopped in here must not go on when somebody else has moved the branch.
    turnstile one_at_a_time{fx_.around.state_dir / "move.lock"};
    if (!enter_in_time(fx_, one_at_a_time, end_))
      throw run_stops{"another process is moving a branch, and does not end"};
    write_down_move(base, steps);
    std::optional<request_error> problem;
    try {
      if (base != to)
        fx_.repository().advance_branch(*done_.target_branch, base, to, [this] {
          fx_.store_anyway([this](tx& t) { note_update(t, run_.id); });
        });
    } catch (...) {
      problem = current_error();
    }
    auto now = fx_.repository().commit_of(ref());
    if (now && is_on(fx_.repository(), to, *now)) {
      fx_.store_anyway([&](tx& t) { finish_move(t, run_.id); });
      return true;
    }
    if (problem && problem->data.contains("half_done"))
      throw request_error{*problem}; // the run stays `moving` until that is undone
    fx_.store_anyway([&](tx& t) { give_up_move(t, run_.id); });
    if (now != base)
      return false;
    if (!problem)
      throw run_stops{fmt::format("{} has not moved", *done_.target_branch)};
    if (!pass_over(base, steps, *problem))
      throw run_stops{problem->what()};
    return true;
  }

  /// Those whose files somebody is changing wait; the others need not. False if none is to blame.
  bool pass_over(const std::string& base, const std::vector<merged_step>& steps,
                 const request_error& problem) {
    auto paths = problem.data.is_object() ? problem.data.value("paths", std::vector<std::string>{})
                                          : std::vector<std::string>{};
    std::set<std::string> taken{paths.begin(), paths.end()};
    auto some = false;
    auto before = base;
    for (const auto& step : steps) {
      auto changed = fx_.repository().changed_paths(before, step.commit);
      before = step.commit;
      if (std::none_of(changed.begin(), changed.end(), [&](const std::string& path) {
            return taken.contains(path) || is_below_any(taken, path);
          }))
        continue;
      passed_over_.emplace(step.entry.id, problem.what());
      some = true;
    }
    return some;
  }

  static bool is_below_any(const std::set<std::string>& taken, const std::string& path) {
    for (auto parent = fs::path{path}.parent_path(); !parent.empty(); parent = parent.parent_path())
      if (taken.contains(parent.string()))
        return true;
    return false;
  }

  /// Best effort: whoever begins the next run does it again.
  void clear_scratch() const { remove_scratch(scratch_directory_of(fx_.around, run_.id)); }

  void write_down_move(const std::string& base, const std::vector<merged_step>& steps) {
    try {
      fx_.store([&](tx& t) {
        std::vector<merged_request> merged;
        for (const auto& step : steps) {
          // The check of the last one is that of all of them.
          const auto& log = step.log.empty() ? steps.back().log : step.log;
          if (!log.empty())
            note_check(t, step.entry.id, log, false);
          merged.push_back({step.entry.id, step.commit});
        }
        begin_move(t, run_.id, base, steps.back().commit, merged);
      });
    } catch (const request_error& e) {
      if (e.code == errc::conflict) // the lock has gone to somebody else
        throw run_stops{e.what()};
      throw;
    }
  }

  effects& fx_;
  steady::time_point end_;
  int64_t holder_ = 0;
  merge_run run_;
  processed_main_merges done_;
  const main_lock_keeper* lock_ = nullptr;
  std::optional<merge_checks> checks_;
  std::map<int64_t, std::string> passed_over_; ///< requests in this run, and why
  int new_starts_ = 0;
};

} // namespace

std::optional<processed_main_merges> run_merge(effects& fx, const merge_batch& batch,
                                               int64_t holder, steady::time_point end) {
  return merge_run_work{fx, batch.target, holder, end}.work_on(batch.ids);
}

bool enter_in_time(const effects& fx, turnstile& turn, steady::time_point end) {
  while (!turn.try_enter()) {
    if (fx.given_up() || steady::now() >= end)
      return false;
    std::this_thread::sleep_for(between_looks);
  }
  return true;
}

void remove_scratch(const fs::path& directory) {
  std::error_code unreadable;
  if (!fs::is_directory(fs::symlink_status(directory, unreadable)))
    return;
  try {
    delete_tree(directory);
  } catch (const request_error& e) {
    log_warning("{}", e.what());
  }
}

void settle_run(effects& fx, int64_t run_id, const std::optional<std::string>& why) {
  auto run = fx.store_anyway([&](tx& t) { return t.find<merge_run>("merge_runs", run_id); });
  if (!run)
    return;
  auto& repository = fx.repository();
  auto moving = run->state != "merging" && run->base_commit && run->to_commit;
  auto tip = repository.commit_of("refs/heads/" + run->target_branch);
  auto moved = moving && tip && repository.commit_of(*run->to_commit)
               && is_on(repository, *run->to_commit, *tip);
  if (moving)
    repository.remove_stale_locks(run->target_branch, begun_at(*run));
  if (run->state == "updating" && tip == run->base_commit && !moved)
    repository.undo_advance(run->target_branch, *run->base_commit, *run->to_commit, begun_at(*run));
  fx.store_anyway([&](tx& t) {
    if (moved)
      finish_move(t, run_id);
    else if (moving)
      give_up_move(t, run_id);
    end_run(t, run_id, why);
  });
}

} // namespace orch
