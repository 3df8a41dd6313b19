#pragma once

#include "io/git.hpp"

#include <filesystem>
#include <vector>

namespace orch {

/// What belongs to one linked work tree.
struct work_tree_remains {
  std::filesystem::path directory;
  std::vector<std::filesystem::path> metadata; ///< directories in .git/worktrees, usually one
  bool directory_exists = false;
};

/// Finds what may be deleted when the work tree at `path` (settled but for the last name) is to go.
/// Throws `request_error`: not_found if there is nothing, failed_precondition if what is there is
/// not a linked work tree of this repository or holds more than itself.
work_tree_remains remains_of(const repository_layout& layout, const std::filesystem::path& path);

} // namespace orch
