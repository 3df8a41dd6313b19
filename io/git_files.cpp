#include "io/git_files.hpp"

#include "io/files.hpp"
#include "io/git_layout.hpp"
#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr int64_t block_size = 512; // the unit of st_blocks, whatever the file system's is

request_error cannot_write(const fs::path& file, int error) {
  return {errc::unavailable,
          fmt::format("cannot write {}: {}", file.string(), std::strerror(error))};
}

std::string content_of(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  if (!stream && errno != ENOENT)
    throw request_error{errc::unavailable,
                        fmt::format("cannot read {}: {}", file.string(), std::strerror(errno))};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

bool has_line(std::string_view text, std::string_view wanted) {
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line == wanted || (line.ends_with('\r') && line.substr(0, line.size() - 1) == wanted))
      return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

/// Gives `file` this content in one step, and the mode it has already.
void replace(const fs::path& file, std::string_view text) {
  auto fresh = file;
  fresh += fmt::format(".{}.new", ::getpid());
  struct stat old {};
  auto known = ::stat(file.c_str(), &old) == 0;
  auto to = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (to < 0)
    throw cannot_write(file, errno);
  auto done =
    write_all(to, text) && (!known || ::fchmod(to, old.st_mode & 07777) == 0) && ::fsync(to) == 0;
  auto error = errno;
  ::close(to);
  if (done && ::rename(fresh.c_str(), file.c_str()) == 0)
    return;
  error = done ? errno : error;
  ::unlink(fresh.c_str());
  throw cannot_write(file, error);
}

/// Lets the owner change every directory in it, as deleting needs.
void open_up(const fs::path& directory) {
  std::error_code error;
  auto allow = [](const fs::path& path) {
    std::error_code not_ours;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, not_ours);
  };
  allow(directory);
  for (fs::recursive_directory_iterator entry{directory, error}, end; !error && entry != end;
       entry.increment(error)) {
    std::error_code vanished;
    if (fs::is_directory(entry->symlink_status(vanished)))
      allow(entry->path());
  }
}

} // namespace

void add_line(const fs::path& file, const std::string& line) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  auto real = fs::is_symlink(fs::symlink_status(file, error)) ? settled(file) : file;
  auto text = content_of(real);
  if (has_line(text, line))
    return;
  if (!text.empty() && !text.ends_with('\n'))
    text += '\n';
  replace(real, text + line + '\n');
}

void delete_tree(const fs::path& directory) {
  std::error_code error;
  // A program may still be writing there, so that one pass can leave something.
  for (auto attempt = 0; attempt < 3; ++attempt) {
    fs::remove_all(directory, error);
    if (!error)
      return;
    open_up(directory);
  }
  throw request_error{errc::unavailable,
                      fmt::format("cannot delete {}: {}", directory.string(), error.message()),
                      {{"path", directory.string()}}};
}

int64_t disk_use(const fs::path& directory) {
  auto name = directory.string();
  std::array<char*, 2> starts{name.data(), nullptr};
  std::unique_ptr<FTS, int (*)(FTS*)> walk{
    ::fts_open(starts.data(), FTS_PHYSICAL | FTS_NOCHDIR, nullptr), ::fts_close};
  std::set<std::pair<dev_t, ino_t>> seen;
  int64_t blocks = 0;
  while (auto entry = walk ? ::fts_read(walk.get()) : nullptr) {
    auto kind = entry->fts_info;
    // The second visit of a directory, and what vanished meanwhile.
    if (kind == FTS_DP || kind == FTS_NS || kind == FTS_ERR || kind == FTS_DNR)
      continue;
    const auto& about = *entry->fts_statp;
    if (kind == FTS_D || about.st_nlink < 2 || seen.emplace(about.st_dev, about.st_ino).second)
      blocks += about.st_blocks;
  }
  return blocks * block_size;
}

} // namespace orch
