#pragma once

#include "io/git.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// libgit2 cannot answer this; the git program may.
struct beyond_library {};

/// The questions that libgit2 answers without starting a program. It is loaded when the first
/// instance is made, as linking it would cost every start 3 ms and 6 MB.
/// Everything throws `beyond_library` for what it cannot do.
class git_library {
public:
  explicit git_library(const repository_layout& layout);
  ~git_library();
  git_library(git_library&&) noexcept;
  git_library& operator=(git_library&&) noexcept;

  /// `git_dir`: that of the work tree.
  git_head head(const std::filesystem::path& git_dir) const;
  std::optional<std::string> commit_of(const std::string& ref) const;
  bool ref_exists(const std::string& ref) const;

  /// What a symbolic ref points to; nothing if it does not exist.
  std::optional<std::string> symbolic_target(const std::string& ref) const;

  git_distance distance(const std::string& from_commit, const std::string& to_commit) const;
  std::optional<std::string> merge_base(const std::string& one, const std::string& other) const;
  std::vector<std::string> changed_paths(const std::string& base_commit,
                                         const std::string& commit) const;

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace orch
