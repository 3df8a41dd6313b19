#pragma once

#include <filesystem>

namespace orch {

/// The subcommand `backup`: writes the state of the repository that `repo` is in to a new file,
/// also while servers run, and says so on stdout. Returns an exit code; throws `std::runtime_error`
/// with one clear line.
int back_up(const std::filesystem::path& repo, const std::filesystem::path& file);

/// The subcommand `restore`: puts such a file in the place of the state, which is kept beside it.
/// Not while servers run.
int restore(const std::filesystem::path& repo, const std::filesystem::path& file);

} // namespace orch
