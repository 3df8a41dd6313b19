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
  std::filesystem::path keep{}; ///< directories above `path` that become empty go, this one stays

  bool changes() const { return before != after; }
};

/// Makes all changes or none: every new text is written beside its file before the first file is
/// replaced, and what was replaced is put back if a later one fails. Symlinks are followed: the
/// file they lead to is replaced and keeps its mode. Throws `std::runtime_error` that names the
/// file; also if one no longer holds its `before`.
void apply_changes(const std::vector<file_change>& changes);

/// The change as a unified diff under the file's own name; empty if nothing changes.
std::string diff_of(const file_change& change);

} // namespace orch
