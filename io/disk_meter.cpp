#include "io/disk_meter.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds measured_again_after{60};

} // namespace

/// What the files below a directory take, counted like `disk_use` but bit by bit.
class disk_walk {
public:
  explicit disk_walk(fs::path top) {
    struct stat found {};
    if (::lstat(top.c_str(), &found) == 0) {
      blocks_ = found.st_blocks;
      unseen_.push_back(std::move(top));
    }
  }

  /// Goes on until `end`; true once all is counted.
  bool go_on(std::chrono::steady_clock::time_point end) {
    for (auto steps = 1;; ++steps) {
      if (steps % 32 == 0 && std::chrono::steady_clock::now() >= end)
        return false;
      if (!open_ && !open_next())
        return true;
      auto entry = ::readdir(open_.get());
      if (entry)
        count(entry->d_name);
      else
        open_.reset();
    }
  }

  int64_t bytes() const { return blocks_ * 512; }

private:
  struct closer {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };

  bool open_next() {
    while (!open_ && !unseen_.empty()) {
      here_ = std::move(unseen_.back());
      unseen_.pop_back();
      open_.reset(::opendir(here_.c_str()));
    }
    return open_ != nullptr;
  }

  void count(std::string_view name) {
    struct stat found {};
    if (name == "." || name == ".."
        || ::fstatat(::dirfd(open_.get()), name.data(), &found, AT_SYMLINK_NOFOLLOW) != 0)
      return;
    auto below = S_ISDIR(found.st_mode);
    if (below || found.st_nlink < 2 || seen_.emplace(found.st_dev, found.st_ino).second)
      blocks_ += found.st_blocks;
    if (below)
      unseen_.push_back(here_ / name);
  }

  int64_t blocks_ = 0;
  std::vector<fs::path> unseen_;
  fs::path here_;
  std::unique_ptr<DIR, closer> open_;
  std::set<std::pair<dev_t, ino_t>> seen_; ///< files with several names
};

disk_meter::disk_meter() = default;
disk_meter::~disk_meter() = default;

std::map<fs::path, int64_t> disk_meter::measure(const std::set<fs::path>& directories,
                                                std::chrono::milliseconds budget) {
  auto now = clock::now();
  std::erase_if(known_, [&](const auto& one) { return !directories.contains(one.first); });
  std::vector<entry*> open;
  for (const auto& directory : directories) {
    auto& one = known_[directory];
    if (!one.walk && now >= one.stale_at)
      one.walk = std::make_unique<disk_walk>(directory);
    if (one.walk)
      open.push_back(&one);
  }
  auto end = now + budget;
  // Each gets a share, so that a huge one does not keep the others unknown.
  while (!open.empty() && clock::now() < end) {
    auto share = (end - clock::now()) / static_cast<int64_t>(open.size());
    auto here = open.front();
    open.erase(open.begin());
    if (!here->go_on(clock::now() + std::max(share, clock::duration{std::chrono::milliseconds{2}})))
      open.push_back(here);
  }
  std::map<fs::path, int64_t> found;
  for (const auto& [directory, one] : known_)
    if (one.bytes)
      found.emplace(directory, *one.bytes);
  return found;
}

bool disk_meter::entry::go_on(clock::time_point end) {
  if (!walk->go_on(end))
    return false;
  bytes = walk->bytes();
  walk.reset();
  stale_at = clock::now() + measured_again_after;
  return true;
}

} // namespace orch
