#pragma once

#include "io/git_program.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// Moving a branch that work trees have checked out, files and all. The ref, and with it HEAD, is
/// locked before the first file changes and moves after the last one, so that nobody can check out
/// something else meanwhile. Commits are given as full ids that exist.
namespace orch::tell_git {

/// See `git::advance_branch`.
void advance_branch(const git_program& git, const std::string& branch, const std::string& from,
                    const std::string& to, const std::function<void()>& before_files);

/// See `git::undo_advance`.
void undo_advance(const git_program& git, const std::string& branch, const std::string& from,
                  const std::string& to, std::filesystem::file_time_type since);

/// See `git::remove_stale_locks`.
void remove_stale_locks(const git_program& git, const std::string& branch,
                        std::filesystem::file_time_type since);

} // namespace orch::tell_git
