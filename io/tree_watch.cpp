#include "io/tree_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace orch {

namespace fs = std::filesystem;

tree_watch::tree_watch() : inotify_{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)} {
}

bool tree_watch::watch(const fs::path& top, const filter& that_count) {
  {
    std::lock_guard lock{mutex_};
    read_events();
    unchanged_.insert(top);
    if (!add(top, top)) {
      drop(top);
      return false;
    }
  }
  // A directory is watched before it is read, so that none that comes meanwhile is missed.
  std::vector<std::string> level{""};
  while (!level.empty()) {
    std::vector<std::string> found;
    for (const auto& directory : level) {
      std::error_code gone;
      for (const auto& entry : fs::directory_iterator{top / directory, gone}) {
        std::error_code ignored;
        if (entry.path().filename() != ".git" && entry.is_directory(ignored)
            && !entry.is_symlink(ignored) && !fs::exists(entry.path() / ".git", ignored))
          found.push_back((fs::path{directory} / entry.path().filename()).string());
      }
    }
    level = found.empty() ? found : that_count(std::move(found));
    std::lock_guard lock{mutex_};
    for (const auto& directory : level)
      if (!add(top, top / directory)) {
        drop(top);
        return false;
      }
  }
  return true;
}

bool tree_watch::changed(const fs::path& top) {
  std::lock_guard lock{mutex_};
  read_events();
  return !unchanged_.contains(top);
}

void tree_watch::forget(const fs::path& top) {
  std::lock_guard lock{mutex_};
  drop(top);
}

bool tree_watch::add(const fs::path& top, const fs::path& directory) {
  constexpr uint32_t changes = IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM
                               | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
  if (!inotify_.open())
    return false;
  auto number = ::inotify_add_watch(inotify_.number(), directory.c_str(),
                                    changes | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK);
  if (number >= 0)
    tops_[number] = top;
  return number >= 0 || errno == ENOENT || errno == ENOTDIR; // gone again: its parent tells
}

void tree_watch::drop(const fs::path& top) {
  unchanged_.erase(top);
  for (auto it = tops_.begin(); it != tops_.end();) {
    if (it->second != top) {
      ++it;
      continue;
    }
    ::inotify_rm_watch(inotify_.number(), it->first);
    it = tops_.erase(it);
  }
}

void tree_watch::read_events() {
  alignas(inotify_event) std::array<char, 65'536> buffer;
  ssize_t count = 0;
  while (inotify_.open() && (count = ::read(inotify_.number(), buffer.data(), buffer.size())) > 0)
    for (ssize_t at = 0; at < count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0)
        unchanged_.clear();
      auto top = tops_.find(event->wd);
      if (top == tops_.end())
        continue;
      unchanged_.erase(top->second);
      if ((event->mask & IN_IGNORED) != 0)
        tops_.erase(top);
    }
}

} // namespace orch
