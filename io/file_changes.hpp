#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace orch {

/// What is to become of one file. `before` and `after` are nothing where there is no file.
struct file_change {
  std::filesystem::path path;
  std::optional<std::string> before;
  std::optional<std::string> after;
  std::string reason;           ///< what this part of the file is for
  mode_t mode = 0644;           ///< of a file that is new; others keep theirs
  std::filesystem::path keep{}; ///< directories below it that become empty go; empty: none goes

  bool changes() const { return before != after; }
};

/// Makes all changes or none: every new text is written beside its file before the first file is
/// replaced, and what was replaced is put back if a later one fails. Symlinks are followed: the
/// file they lead to is replaced and keeps its mode, or made if there is none. What a killed
/// process left half written goes. Throws `std::runtime_error` that names the file; also if one no
/// longer holds its `before`.
void apply_changes(const std::vector<file_change>& changes);

/// An absolute path with no symlink on the way, whether or not something is there. Throws
/// `std::runtime_error` if they lead in a circle.
std::filesystem::path followed(const std::filesystem::path& path);

/// The innermost directory above the place that `path` leads to that is there.
std::filesystem::path directory_above(const std::filesystem::path& path);

/// The change as a unified diff under the file's own name; empty if nothing changes.
std::string diff_of(const file_change& change);

} // namespace orch
