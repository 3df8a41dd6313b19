#pragma once

#include "io/git_program.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// What is asked in passing: nothing in the repository changes, and new objects go to a directory
/// of their own (`objects`). See `git`.
namespace orch::preview_git {

using commit_pairs = std::vector<std::pair<std::string, std::string>>;

/// `git_dir`: that of the work tree.
git_snapshot snapshot(const git_program& git, const std::filesystem::path& directory,
                      const std::filesystem::path& git_dir, const git_head& head,
                      const std::filesystem::path& objects);
std::vector<git_tree_changes> changes_between(const git_program& git, const commit_pairs& commits,
                                              const std::filesystem::path& objects);
std::vector<git_merge> merge_all(const git_program& git, const commit_pairs& commits,
                                 const std::filesystem::path& objects);
std::vector<std::string> not_ignored(const git_program& git, const std::filesystem::path& directory,
                                     const std::vector<std::string>& paths);
std::set<std::string> tracked_directories(const git_program& git,
                                          const std::filesystem::path& directory);

} // namespace orch::preview_git
