#include "io/file_changes.hpp"

#include "io/files.hpp"
#include "io/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace orch {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(std::string_view what, const fs::path& path) {
  throw std::runtime_error{
    fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno))};
}

/// Where a symlink leads, whether something is there or not.
fs::path target_of(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_symlink(fs::symlink_status(path, failed)))
    return path;
  auto target = fs::weakly_canonical(path, failed);
  if (failed)
    throw std::runtime_error{fmt::format("cannot follow {}: {}", path.string(), failed.message())};
  return target;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR)
      return false;
    text.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
  }
  return true;
}

/// A text on disk beside the file that it is to replace; gone with this object.
class prepared_file {
public:
  prepared_file(const fs::path& target, const std::string& text, mode_t mode) : target_{target} {
    struct stat old {};
    auto exists = ::stat(target.c_str(), &old) == 0;
    fs::create_directories(target.parent_path());
    auto name = target.string() + ".XXXXXX";
    auto fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0)
      fail("write", target);
    name_ = name;
    auto done = write_all(fd, text) && ::fchmod(fd, exists ? old.st_mode & 07777U : mode) == 0
                && ::fsync(fd) == 0;
    // Whoever may replace the file but not give it away becomes its owner, as with any editor.
    if (done && exists && ::fchown(fd, old.st_uid, old.st_gid) != 0)
      errno = 0;
    if (::close(fd) != 0 || !done)
      fail("write", target);
  }
  prepared_file(prepared_file&& other) noexcept
    : target_{std::move(other.target_)}, name_{std::exchange(other.name_, {})} {}
  prepared_file& operator=(prepared_file&&) = delete;
  ~prepared_file() {
    if (!name_.empty())
      ::unlink(name_.c_str());
  }

  void put() {
    if (::rename(name_.c_str(), target_.c_str()) != 0)
      fail("replace", target_);
    name_.clear();
  }

private:
  fs::path target_;
  std::string name_;
};

/// Directories that are empty now, from the one of `path` up to but without `keep`.
void remove_empty_directories(const fs::path& path, const fs::path& keep) {
  std::error_code stays;
  for (auto here = path.parent_path(); here != keep && here.has_relative_path();
       here = here.parent_path())
    if (!fs::is_empty(here, stays) || stays || !fs::remove(here, stays))
      return;
}

void put_back(const file_change& change) {
  try {
    auto target = target_of(change.path);
    if (change.before)
      prepared_file{target, *change.before, change.mode}.put();
    else
      ::unlink(target.c_str());
  } catch (const std::exception&) {
    // The first failure is the one to report; its file is named there.
  }
}

/// The new text, ready to be put in place; nothing for a file that goes.
std::optional<prepared_file> prepared(const file_change& change) {
  if (read_file(change.path) != change.before)
    throw std::runtime_error{
      fmt::format("{} was changed by somebody else meanwhile; nothing was written, run this again",
                  change.path.string())};
  if (!change.after)
    return {};
  return std::optional<prepared_file>{std::in_place, target_of(change.path), *change.after,
                                      change.mode};
}

void apply(const file_change& change, prepared_file* text) {
  if (text) {
    text->put();
  } else if (::unlink(target_of(change.path).c_str()) != 0) {
    fail("remove", change.path);
  }
}

/// What git says of two files, without its header.
std::string hunks_of(const std::string& before, const std::string& after) {
  auto pattern = (fs::temp_directory_path() / "orch-diff-XXXXXX").string();
  if (!::mkdtemp(pattern.data()))
    fail("make", pattern);
  fs::path directory = pattern;
  std::ofstream{directory / "before", std::ios::binary} << before;
  std::ofstream{directory / "after", std::ios::binary} << after;
  program git{
    {"git", "diff", "--no-index", "--no-color", "--no-ext-diff", "--text", "before", "after"},
    directory};
  git.environment = {{"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", "/dev/null"}};
  git.unset = {"GIT_DIR", "GIT_WORK_TREE", "GIT_EXTERNAL_DIFF"};
  auto said = run(git).out;
  std::error_code left;
  fs::remove_all(directory, left);
  auto first = said.find("\n@@");
  return first == std::string::npos ? std::string{} : said.substr(first + 1);
}

} // namespace

void apply_changes(const std::vector<file_change>& changes) {
  std::vector<const file_change*> wanted;
  for (const auto& change : changes)
    if (change.changes())
      wanted.push_back(&change);
  std::size_t done = 0;
  try {
    std::vector<std::optional<prepared_file>> texts;
    texts.reserve(wanted.size());
    for (const auto* change : wanted)
      texts.push_back(prepared(*change));
    for (; done < wanted.size(); ++done)
      apply(*wanted[done], texts[done] ? &*texts[done] : nullptr);
  } catch (...) {
    while (done > 0)
      put_back(*wanted[--done]);
    for (const auto* change : wanted)
      if (!change->before)
        remove_empty_directories(change->path, change->keep);
    throw;
  }
  for (const auto* change : wanted)
    if (!change->after)
      remove_empty_directories(change->path, change->keep);
}

std::string diff_of(const file_change& change) {
  if (!change.changes())
    return {};
  auto name = change.path.string();
  return fmt::format("--- {}\n+++ {}\n{}", change.before ? name : "/dev/null",
                     change.after ? name : "/dev/null",
                     hunks_of(change.before.value_or(""), change.after.value_or("")));
}

} // namespace orch
