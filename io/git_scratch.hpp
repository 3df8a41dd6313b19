#pragma once

#include "io/git_program.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace orch::tell_git {

/// See `git::make_scratch`; `commit` is the full id of one that exists.
void make_scratch(const git_program& git, const std::filesystem::path& path,
                  const std::string& commit, const std::function<bool()>& given_up);

} // namespace orch::tell_git
