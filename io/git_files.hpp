#pragma once

#include <filesystem>
#include <string>

namespace orch {

/// Adds `line` to a text file unless it is one of its lines; the file changes in one step and keeps
/// its mode. Others that do the same must be kept out meanwhile.
void add_line(const std::filesystem::path& file, const std::string& line);

/// Deletes a directory with all that is in it, also where its owner may not write.
/// Throws `request_error` (unavailable) if something stays.
void delete_tree(const std::filesystem::path& directory);

} // namespace orch
