#include "io/file_changes.hpp"

#include "io/files.hpp"
#include "io/git_layout.hpp"
#include "io/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace orch {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(std::string_view what, const fs::path& path) {
  throw std::runtime_error{
    fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno))};
}

constexpr int most_links = 40;

/// What the temporary name of a file begins with. Six more characters follow.
std::string temporary_prefix(const fs::path& target) {
  return fmt::format(".{}.codex-orch-", target.filename().string());
}

/// Removes what killed processes of this user left beside a file. Whoever still writes holds a
/// lock.
void remove_leftovers(const fs::path& target) {
  auto prefix = temporary_prefix(target);
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator{target.parent_path(), unreadable}) {
    auto name = entry.path().filename().string();
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 6)
      continue;
    auto fd = ::open(entry.path().c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat found {};
    if (fd >= 0 && ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == ::geteuid()
        && ::flock(fd, LOCK_EX | LOCK_NB) == 0)
      ::unlink(entry.path().c_str());
    if (fd >= 0)
      ::close(fd);
  }
}

/// A text on disk beside the file that it is to replace; gone with this object.
class prepared_file {
public:
  prepared_file(const fs::path& target, const std::string& text, mode_t mode) : target_{target} {
    struct stat old {};
    auto exists = ::stat(target.c_str(), &old) == 0;
    fs::create_directories(target.parent_path());
    auto name = (target.parent_path() / (temporary_prefix(target) + "XXXXXX")).string();
    fd_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd_ < 0)
      fail("write", target);
    name_ = name;
    // Where there are no locks, nobody takes anything for a leftover either.
    static_cast<void>(::flock(fd_, LOCK_EX | LOCK_NB));
    auto done = write_all(fd_, text) && ::fchmod(fd_, exists ? old.st_mode & 07777U : mode) == 0
                && ::fsync(fd_) == 0;
    // Whoever may replace the file but not give it away becomes its owner, as with any editor.
    if (done && exists && ::fchown(fd_, old.st_uid, old.st_gid) != 0)
      errno = 0;
    if (!done) {
      discard();
      fail("write", target);
    }
  }
  prepared_file(prepared_file&& other) noexcept
    : target_{std::move(other.target_)}, name_{std::exchange(other.name_, {})}, fd_{std::exchange(
                                                                                  other.fd_, -1)} {}
  prepared_file& operator=(prepared_file&&) = delete;
  ~prepared_file() { discard(); }

  void put() {
    if (::rename(name_.c_str(), target_.c_str()) != 0)
      fail("replace", target_);
    name_.clear();
  }

private:
  void discard() {
    auto problem = errno;
    if (!name_.empty())
      ::unlink(std::exchange(name_, {}).c_str());
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
    errno = problem;
  }

  fs::path target_;
  std::string name_;
  int fd_ = -1; ///< locked, so that nobody takes the file for a leftover
};

/// Directories that are empty now, from the one of `path` up to but without `keep`.
void remove_empty_directories(const fs::path& path, const fs::path& keep) {
  if (keep.empty())
    return;
  auto last = followed(keep);
  std::error_code stays;
  for (auto here = followed(path).parent_path(); here != last && is_within(here, last);
       here = here.parent_path()) {
    // Who was killed while making them may have come to the outer ones only.
    if (!fs::exists(here, stays))
      continue;
    if (!fs::is_empty(here, stays) || stays || !fs::remove(here, stays))
      return;
  }
}

void put_back(const file_change& change) {
  try {
    auto target = followed(change.path);
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
  return std::optional<prepared_file>{std::in_place, followed(change.path), *change.after,
                                      change.mode};
}

void apply(const file_change& change, prepared_file* text) {
  if (text) {
    text->put();
  } else if (::unlink(followed(change.path).c_str()) != 0) {
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
  for (const auto& change : changes) {
    remove_leftovers(followed(change.path));
    if (change.changes())
      wanted.push_back(&change);
  }
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
  // Also those that somebody who was killed had made for a file that never came.
  for (const auto& change : changes)
    if (!change.after)
      remove_empty_directories(change.path, change.keep);
}

fs::path followed(const fs::path& path) {
  auto whole = fs::absolute(path);
  std::deque<fs::path> left{whole.begin(), whole.end()};
  fs::path done;
  for (auto links = 0; !left.empty();) {
    auto name = left.front();
    left.pop_front();
    if (name == "..")
      done = done.parent_path();
    if (name.empty() || name == "." || name == "..")
      continue;
    std::error_code no_link;
    auto leads_to = fs::read_symlink(done / name, no_link);
    if (no_link) {
      done /= name;
      continue;
    }
    if (++links > most_links)
      throw std::runtime_error{
        fmt::format("cannot follow {}: too many symbolic links", path.string())};
    left.insert(left.begin(), leads_to.begin(), leads_to.end());
  }
  return done;
}

fs::path directory_above(const fs::path& path) {
  auto here = followed(path).parent_path();
  std::error_code unreadable;
  while (here.has_relative_path() && !fs::is_directory(here, unreadable))
    here = here.parent_path();
  return here;
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
