#include "io/git_scratch.hpp"

#include "io/git_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace orch::tell_git {

namespace fs = std::filesystem;

namespace {

request_error cannot_make(const fs::path& path, const std::string& why) {
  return {errc::unavailable,
          fmt::format("cannot make {}: {}", path.string(), why),
          {{"path", path.string()}}};
}

void write(const fs::path& file, const std::string& text) {
  std::ofstream out{file, std::ios::binary};
  if (!(out << text) || !out.flush())
    throw cannot_make(file, std::strerror(errno));
}

/// A directory that was not there before, in one that is no link to somewhere else.
void make_directory(const fs::path& path) {
  auto parent = path.parent_path();
  if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST)
    throw cannot_make(parent, std::strerror(errno));
  if (!fs::is_directory(fs::symlink_status(parent)))
    throw cannot_make(parent, "something else is there");
  std::error_code none;
  if (fs::is_directory(fs::symlink_status(path)))
    delete_tree(path);
  else
    fs::remove(path, none); // a link, not what it leads to
  if (::mkdir(path.c_str(), 0700) != 0)
    throw cannot_make(path, std::strerror(errno));
}

/// What the repository has set for filters, line ends and identities goes for this one too; where
/// its parts are does not.
std::string config_for(const git_program& git, const fs::path& path) {
  auto format = git.line_of({{"rev-parse", "--show-object-format"}});
  auto partial = git.attempt({{"config", "--get", "extensions.partialClone"}});
  auto promisor = partial.out.substr(0, partial.out.find('\n'));
  std::string extensions;
  if (format != "sha1")
    extensions += fmt::format("\tobjectFormat = {}\n", format);
  if (partial.ok())
    extensions += fmt::format("\tpartialClone = {}\n", in_git_quotes(promisor));
  return fmt::format("[include]\n\tpath = {}\n[core]\n\trepositoryformatversion = {}\n\tbare = "
                     "false\n\tworktree = {}\n\thooksPath = /dev/null\n{}{}",
                     in_git_quotes((git.layout().git_dir / "config").string()),
                     extensions.empty() ? 0 : 1, in_git_quotes(path.string()),
                     extensions.empty() ? "" : "[extensions]\n", extensions);
}

} // namespace

void make_scratch(const git_program& git, const fs::path& path, const std::string& commit,
                  const std::function<bool()>& given_up) {
  make_directory(path);
  const auto& common = git.layout().git_dir;
  auto git_dir = path / ".git";
  for (const auto* part : {"", "objects", "objects/info", "refs", "info"})
    fs::create_directory(git_dir / part);
  write(git_dir / "objects" / "info" / "alternates", (common / "objects").string() + "\n");
  write(git_dir / "config", config_for(git, path));
  write(git_dir / "HEAD", commit + "\n");
  // Copies: whatever a check does to them changes nothing for anybody.
  write(git_dir / "packed-refs",
        git.output_of({{"for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/",
                        "refs/tags/", "refs/remotes/"}}));
  std::error_code none;
  for (const auto* part : {"shallow", "info/attributes"})
    fs::copy_file(common / part, git_dir / part, none);
  git_command fill{{"read-tree", "--reset", "-u", "--no-recurse-submodules", commit}, path};
  fill.settings = {"core.sparseCheckout=false"};
  fill.environment = {{"GIT_DIR", git_dir.string()}, {"GIT_WORK_TREE", path.string()}};
  fill.timeout = checkout_patience;
  fill.given_up = given_up;
  git.output_of(fill);
}

} // namespace orch::tell_git
