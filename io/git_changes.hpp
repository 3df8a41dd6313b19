#pragma once

#include "io/git_program.hpp"

#include <optional>
#include <string>
#include <vector>

/// What `git` changes by telling the git program to: objects, refs and the files of one work tree.
/// Commits are given as full ids that exist.
namespace orch::tell_git {

/// The work trees that have a branch (full name) checked out, the main one first: usually one, more
/// only with --force.
std::vector<std::filesystem::path> users_of(const repository_layout& layout,
                                            const std::string& ref);

/// The commit that a ref is at.
std::optional<std::string> value_of(const git_program& git, const std::string& ref);

std::string commit(const git_program& git, const std::string& tree,
                   const std::vector<std::string>& parents, const std::string& message);
std::string copy_commit(const git_program& git, const std::string& original,
                        const std::string& tree, const std::string& parent);
void update_ref(const git_program& git, const std::string& ref, const std::string& commit,
                const std::optional<std::string>& expected);
void delete_branch(const git_program& git, const std::string& branch,
                   const std::optional<std::string>& only_at);

/// `commit` comes after what is checked out.
void fast_forward(const git_program& git, const std::filesystem::path& directory,
                  const std::string& commit);

/// See `git::kept_on` and `git::put_back`.
std::optional<std::string> kept_on(const git_program& git, const std::string& commit);
void put_back(const git_program& git, const std::filesystem::path& directory,
              const std::string& kept);

/// `git_dir`: that of the work tree. Returns the commit.
std::string keep(const git_program& git, const std::filesystem::path& directory,
                 const std::filesystem::path& git_dir, const git_head& head);

} // namespace orch::tell_git
