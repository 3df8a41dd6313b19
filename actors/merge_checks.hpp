#pragma once

#include "actors/effects.hpp"
#include "io/check_command.hpp"

#include <functional>
#include <set>

namespace orch {

/// The checks of one merge run.
class merge_checks {
public:
  /// `give_up_in_time` throws when the run is to end; `unwanted` says so to a check that is
  /// running.
  merge_checks(effects& fx, int64_t run_id, std::function<void()> give_up_in_time,
               std::function<bool()> unwanted);

  /// Does that commit pass the configured command? A tree that has passed is not checked again.
  check_outcome check(const std::string& commit, const std::string& tree);

  /// The same without looking at what passed before.
  check_outcome check_now(const std::string& commit, const std::string& tree);

  /// Was it checked in this run, and passed?
  bool has_passed_now(const std::string& tree) const { return passed_now_.contains(tree); }

  /// Where the output of the last check is; empty if there is none.
  const std::string& log() const { return log_; }

  /// How many were run.
  int64_t count() const { return count_; }

private:
  std::filesystem::path new_log();

  effects& fx_;
  const merging_config& config_;
  int64_t run_id_;
  std::function<void()> give_up_in_time_;
  std::function<bool()> unwanted_;
  std::string log_;
  std::set<std::string> passed_now_; ///< trees
  int64_t count_ = 0;
};

} // namespace orch
