#pragma once

#include "io/git.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// The keys of a git configuration file that say where a repository's parts are.
struct git_placement {
  bool bare = false;
  bool per_work_tree = false; ///< config.worktree counts too
  std::string work_tree;      ///< core.worktree as written; empty if not set
};

/// Reads them on top of `known`; a missing file changes nothing. Includes are not followed.
git_placement read_placement(const std::filesystem::path& config, git_placement known = {});

/// The first line of a file; nothing if it cannot be read.
std::optional<std::string> first_line(const std::filesystem::path& file);

/// What a `.git` file ("gitdir: ...") points to, absolute, whether it is there or not.
std::optional<std::filesystem::path> gitfile_target(const std::filesystem::path& file);

/// The git directory of a work tree: `.git` in it or what that points to. Nothing if there is none.
std::optional<std::filesystem::path> git_dir_of(const std::filesystem::path& work_tree);

/// The common git directory that a git directory belongs to: itself but for linked work trees.
/// Nothing if it is no git directory.
std::optional<std::filesystem::path> common_dir_of(const std::filesystem::path& git_dir);

/// The git directory of `directory`, which must be the top of one of this repository's work trees;
/// throws `request_error` (not_found, failed_precondition) if it is not.
std::filesystem::path require_work_tree(const repository_layout& layout,
                                        const std::filesystem::path& directory);

/// What git knows about a linked work tree.
struct linked_work_tree {
  std::filesystem::path metadata;  ///< .git/worktrees/NAME
  std::filesystem::path work_tree; ///< empty if the metadata do not say
};

std::vector<linked_work_tree> linked_work_trees(const std::filesystem::path& git_dir);

/// Something has this name, if only a symlink that leads nowhere.
bool anything_at(const std::filesystem::path& path);

/// Absolute, without symlinks in what exists of it and without a slash at the end.
std::filesystem::path settled(const std::filesystem::path& path);

/// `inner` is `outer` or below it; both settled.
bool is_within(const std::filesystem::path& inner, const std::filesystem::path& outer);

} // namespace orch
