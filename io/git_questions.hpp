#pragma once

#include "io/git.hpp"
#include "io/git_program.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The questions that `git` answers by asking the git program: those that libgit2 could not answer
/// this time, and those where only git knows about filters, drivers, sparse trees and submodules.
namespace orch::ask_git {

git_head head(const git_program& git, const std::filesystem::path& directory);
std::optional<std::string> commit_of(const git_program& git, std::string_view ref);
bool ref_exists(const git_program& git, const std::string& ref);
std::optional<std::string> symbolic_target(const git_program& git, const std::string& ref);
git_distance distance(const git_program& git, const std::string& from_commit,
                      const std::string& to_commit);
std::vector<std::string> changed_paths(const git_program& git, const std::string& base_commit,
                                       const std::string& commit);

std::optional<std::string> merge_base(const git_program& git, const std::string& one,
                                      const std::string& other);

/// Nothing if it is not configured.
std::optional<std::string> setting(const git_program& git, const std::string& key);

git_changes changes(const git_program& git, const std::filesystem::path& directory);
std::string diff(const git_program& git, const std::string& base_commit, const std::string& commit);
std::string diffstat(const git_program& git, const std::string& base_commit,
                     const std::string& commit);
git_merge merge(const git_program& git, const std::string& ours, const std::string& theirs);

/// The paths in conflict that the fields of an answer of `git merge-tree -z` (2.39) name, the tree
/// first.
std::vector<std::string> conflicts_in(const std::vector<std::string>& fields);

} // namespace orch::ask_git
