#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace orch {

/// Writes `path` by a temporary file and a rename, so that readers see the old text or the new one
/// and never half of it. Missing parents are made. Throws `request_error` (unavailable).
void replace_file(const std::filesystem::path& path, const std::string& text);

/// All of a file; nothing if there is none. Throws `std::runtime_error` that names it if it cannot
/// be read or is no regular file.
std::optional<std::string> read_file(const std::filesystem::path& path);

/// Does the file begin like the mirrors that this program writes?
bool is_mirror(const std::filesystem::path& path);

} // namespace orch
