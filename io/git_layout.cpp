#include "io/git_layout.hpp"

#include "io/files.hpp"
#include "messages/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace orch {

namespace fs = std::filesystem;

namespace {

bool directory_at(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool file_at(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::runtime_error no_repository(const fs::path& path, std::string_view why) {
  return std::runtime_error{fmt::format("{} {}", path.string(), why)};
}

/// The main work tree as the common directory itself tells it; empty if there is none.
fs::path main_work_tree(const fs::path& common_dir, const git_placement& placement) {
  if (placement.bare)
    return {};
  if (common_dir.filename() == ".git")
    return common_dir.parent_path();
  if (placement.work_tree.empty())
    return {};
  auto root = settled(common_dir / placement.work_tree);
  return git_dir_of(root) == common_dir ? root : fs::path{};
}

/// `found`: a git directory; `work_tree`: where its `.git` was, or empty.
repository_layout layout_of(const fs::path& found, const fs::path& work_tree) {
  auto common_dir = common_dir_of(found).value();
  auto placement = read_placement(common_dir / "config");
  if (placement.per_work_tree)
    placement = read_placement(common_dir / "config.worktree", placement);
  auto main = !work_tree.empty() && found == common_dir;
  auto root = main && !placement.bare ? work_tree : main_work_tree(common_dir, placement);
  if (root.empty())
    return {common_dir, common_dir, true};
  return {root, common_dir, false};
}

std::optional<repository_layout> repository_at(const fs::path& directory) {
  auto dot_git = directory / ".git";
  if (auto git_dir = git_dir_of(directory))
    return layout_of(*git_dir, directory);
  if (file_at(dot_git)) {
    auto target = gitfile_target(dot_git);
    throw no_repository(
      dot_git, target ? fmt::format("points to {}, which is no git directory", target->string())
                      : std::string{"is no valid .git file"});
  }
  if (common_dir_of(directory))
    return layout_of(directory, {});
  return std::nullopt;
}

void check_readable(const fs::path& directory) {
  std::error_code error;
  auto status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found)
    throw no_repository(directory, "does not exist");
  if (error)
    throw no_repository(directory, fmt::format("cannot be read: {}", error.message()));
  if (!fs::is_directory(status))
    throw no_repository(directory, "is not a directory");
  fs::directory_iterator entries{directory, error};
  if (error)
    throw no_repository(directory, fmt::format("cannot be read: {}", error.message()));
}

} // namespace

std::optional<std::string> first_line(const fs::path& file) {
  constexpr std::size_t longest = 64U << 10;
  try {
    auto text = read_file(file, longest);
    if (!text)
      return std::nullopt;
    auto line = text->substr(0, text->find('\n'));
    if (line.ends_with('\r'))
      line.pop_back();
    return line;
  } catch (const std::runtime_error&) {
    return std::nullopt; // nothing that git would write
  }
}

std::optional<fs::path> gitfile_target(const fs::path& file) {
  constexpr std::string_view mark = "gitdir: ";
  auto line = first_line(file);
  if (!line || !line->starts_with(mark) || line->size() == mark.size())
    return std::nullopt;
  return settled(file.parent_path() / line->substr(mark.size()));
}

std::optional<fs::path> git_dir_of(const fs::path& work_tree) {
  auto dot_git = work_tree / ".git";
  auto git_dir = directory_at(dot_git) ? settled(dot_git) : gitfile_target(dot_git);
  if (!git_dir || !common_dir_of(*git_dir))
    return std::nullopt;
  return git_dir;
}

std::optional<fs::path> common_dir_of(const fs::path& git_dir) {
  if (!anything_at(git_dir / "HEAD"))
    return std::nullopt;
  auto line = first_line(git_dir / "commondir");
  auto common_dir = line ? settled(git_dir / *line) : git_dir;
  if (!directory_at(common_dir / "objects") || !directory_at(common_dir / "refs"))
    return std::nullopt;
  return common_dir;
}

fs::path require_work_tree(const repository_layout& layout, const fs::path& directory) {
  if (!directory_at(directory))
    throw request_error{errc::not_found,
                        fmt::format("no directory {}", directory.string()),
                        {{"path", directory.string()}}};
  auto git_dir = git_dir_of(directory);
  auto main = git_dir == layout.git_dir && !layout.bare;
  if (!main && (!git_dir || git_dir->parent_path() != layout.git_dir / "worktrees"))
    throw request_error{
      errc::failed_precondition,
      fmt::format("{} is not a work tree of {}", directory.string(), layout.root.string()),
      {{"path", directory.string()}}};
  return *git_dir;
}

std::vector<linked_work_tree> linked_work_trees(const fs::path& git_dir) {
  std::vector<linked_work_tree> result;
  std::error_code error;
  for (fs::directory_iterator entry{git_dir / "worktrees", error}, end; !error && entry != end;
       entry.increment(error)) {
    linked_work_tree linked{entry->path(), {}};
    auto line = first_line(linked.metadata / "gitdir");
    if (line && !line->empty())
      linked.work_tree = settled((linked.metadata / *line).parent_path());
    result.push_back(std::move(linked));
  }
  return result;
}

bool anything_at(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

fs::path settled(const fs::path& path) {
  std::error_code error;
  auto result = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error)
    result = fs::absolute(path, error).lexically_normal();
  return result.has_filename() ? result : result.parent_path();
}

bool is_within(const fs::path& inner, const fs::path& outer) {
  auto [left, right] = std::ranges::mismatch(outer, inner);
  return left == outer.end();
}

repository_layout find_repository(const fs::path& directory) {
  check_readable(directory);
  auto start = settled(directory);
  for (auto here = start;; here = here.parent_path()) {
    if (auto found = repository_at(here))
      return *found;
    if (here == here.root_path())
      throw no_repository(start, "is not in a git repository");
  }
}

} // namespace orch
