#include "io/git_linked.hpp"

#include "io/git_layout.hpp"
#include "messages/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace orch {

namespace fs = std::filesystem;

namespace {

request_error refused(const fs::path& path, std::string_view why) {
  return {
    errc::failed_precondition, fmt::format("{} {}", path.string(), why), {{"path", path.string()}}};
}

/// Deleting the directory would delete these with it.
void check_contents(const repository_layout& layout, const fs::path& path,
                    const std::vector<linked_work_tree>& all) {
  if (path == layout.root)
    throw refused(path, "is the main work tree");
  if (is_within(layout.root, path) || is_within(layout.git_dir, path))
    throw refused(path, "contains the repository");
  for (const auto& other : all)
    if (other.work_tree != path && is_within(other.work_tree, path)
        && anything_at(other.work_tree / ".git"))
      throw refused(path, fmt::format("contains the work tree {}", other.work_tree.string()));
}

/// The metadata that the work tree's own `.git` file leads to, if they are its own: a copy of a
/// work tree leads to those of its original. They may be gone.
std::optional<fs::path> metadata_named_by(const repository_layout& layout, const fs::path& path,
                                          const std::vector<linked_work_tree>& all) {
  auto target = gitfile_target(path / ".git");
  if (!target || target->parent_path() != layout.git_dir / "worktrees")
    return std::nullopt;
  auto same = [&](const linked_work_tree& linked) { return linked.metadata == *target; };
  auto linked = std::ranges::find_if(all, same);
  auto elsewhere = linked != all.end() && !linked->work_tree.empty() && linked->work_tree != path;
  if (elsewhere && anything_at(linked->work_tree / ".git"))
    throw refused(path, fmt::format("is a copy of the work tree {}", linked->work_tree.string()));
  return target;
}

/// The metadata say that it is a work tree. Is something else there now?
void check_half_made(const fs::path& path) {
  std::error_code error;
  auto dot_git = path / ".git";
  auto kind = fs::symlink_status(dot_git, error).type();
  if (kind == fs::file_type::not_found)
    return;
  auto target = kind == fs::file_type::regular ? gitfile_target(dot_git) : std::nullopt;
  if (kind != fs::file_type::regular || (target && anything_at(*target)))
    throw refused(path, "belongs to another repository");
}

void check_kind(const fs::path& path) {
  std::error_code error;
  auto kind = fs::symlink_status(path, error).type();
  if (kind == fs::file_type::symlink)
    throw refused(path, "is a symbolic link");
  if (kind != fs::file_type::directory && kind != fs::file_type::not_found)
    throw refused(path, "is not a directory");
}

} // namespace

work_tree_remains remains_of(const repository_layout& layout, const fs::path& path) {
  check_kind(path);
  auto all = linked_work_trees(layout.git_dir);
  check_contents(layout, path, all);
  work_tree_remains result{path, {}, anything_at(path)};
  for (const auto& linked : all)
    if (linked.work_tree == path)
      result.metadata.push_back(linked.metadata);
  auto named = result.directory_exists ? metadata_named_by(layout, path, all) : std::nullopt;
  if (named && std::ranges::find(result.metadata, *named) == result.metadata.end())
    result.metadata.push_back(*named);
  if (result.metadata.empty() && !result.directory_exists)
    throw request_error{
      errc::not_found, fmt::format("no work tree {}", path.string()), {{"path", path.string()}}};
  if (result.metadata.empty())
    throw refused(path, "is not a linked work tree of this repository");
  if (!named && result.directory_exists)
    check_half_made(path);
  return result;
}

} // namespace orch
