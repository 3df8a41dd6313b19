#pragma once

#include "io/git_program.hpp"

#include <filesystem>
#include <string>

namespace orch {

/// Makes and removes linked work trees, next to other processes that do the same.
class git_work_trees {
public:
  /// `serial`: the file to lock while metadata change.
  git_work_trees(const git_program& git, const std::filesystem::path& serial);

  /// See `git::add_worktree`; `commit` is the full id of one that exists.
  void add(const std::filesystem::path& path, const std::string& branch,
           const std::string& commit) const;

  /// See `git::remove_worktree`.
  void remove(const std::filesystem::path& path) const;

private:
  struct addition;

  void register_work_tree(addition& made) const;
  void undo(const addition& made) const noexcept;
  void forget(const std::filesystem::path& path,
              const std::vector<std::filesystem::path>& metadata) const;

  const git_program& git_;
  const std::filesystem::path& serial_;
};

} // namespace orch
