#pragma once

#include "actors/effects.hpp"
#include "io/tree_watch.hpp"
#include "messages/merge_queue.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <set>

namespace orch {

/// What a live work tree has changed since it left the target branch, committed or not.
struct changed_worktree {
  worktree row;
  std::set<std::string> paths;
};

/// Sees conflicts before the merge queue does: merges in memory what the live work trees of a
/// repository are like now. It remembers what it has seen, and watches the work trees to know what
/// is still so. One for each process and repository; safe in any thread, one look at a time.
class conflict_radar {
public:
  /// `directory`: of this process alone, for objects; made when needed, removed with this. Beside
  /// it those of dead processes are removed.
  explicit conflict_radar(std::filesystem::path directory);
  ~conflict_radar();
  conflict_radar(const conflict_radar&) = delete;
  conflict_radar& operator=(const conflict_radar&) = delete;

  conflict_preview preview(effects& fx, const merge_conflicts_preview& request);

  /// Against the main branch.
  std::vector<changed_worktree> changed(effects& fx);

private:
  using clock = std::chrono::steady_clock;
  using commit_pair = std::pair<std::string, std::string>;

  /// How two commits differ.
  struct difference {
    std::set<std::string> paths;
    std::set<std::string> added;
    std::set<std::string> deleted;
  };

  /// A work tree as it was when it was looked at.
  struct sight {
    git_snapshot snapshot;
    std::set<std::string> uncommitted;
    std::string stamp; ///< of what is not watched: HEAD, the index, the list of ignored files
    clock::time_point at{};
    std::optional<std::string> unreadable;
  };

  struct participant {
    worktree row;
    const sight* seen = nullptr;
    const difference* changes = nullptr; ///< since it left the target
  };

  struct outlook {
    std::string target_branch;
    std::string target;
    std::vector<participant> trees;
  };

  outlook look(effects& fx, const std::optional<std::string>& target);
  void see(effects& fx, const std::vector<worktree>& rows);
  sight look_at(git& repository, const worktree& row);
  const std::optional<std::string>& base_of(git& repository, const std::string& one,
                                            const std::string& other);
  void learn_differences(git& repository, const std::vector<commit_pair>& wanted);
  void learn_merges(git& repository, const std::vector<commit_pair>& wanted);
  void make_room(git& repository);
  void prepare_directory(const surroundings& around);
  void forget_all();

  static bool may_conflict(const difference& one, const difference& other);

  std::mutex mutex_;
  std::filesystem::path directory_;
  tree_watch watch_;
  std::map<std::filesystem::path, sight> sights_;
  std::map<commit_pair, std::optional<std::string>> bases_;
  std::map<commit_pair, difference> differences_;
  std::map<commit_pair, std::vector<std::string>> conflicts_;
  bool remains_removed_ = false;
  std::string settings_;      ///< a stamp of the files that they are in
  std::size_t snapshots_ = 0; ///< made since the directory was empty
};

/// See `merge_conflicts_preview`.
conflict_preview preview_conflicts(effects& fx, const merge_conflicts_preview& request);

} // namespace orch
