#pragma once

#include "io/descriptor.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orch {

/// Tells of directory trees whether anything in them may have changed. Changes by other machines
/// and through mapped memory are not seen. Safe in any thread.
class tree_watch {
public:
  tree_watch();

  /// Of these directories (relative to the top), those that count.
  using filter = std::function<std::vector<std::string>(std::vector<std::string>)>;

  /// Watches `top` and what is below, but for `.git` and repositories of others. What changes from
  /// now on is noted, so look at the tree after this. False if it cannot be watched.
  bool watch(const std::filesystem::path& top, const filter& that_count);

  /// May something have changed since `watch`? True for what is not watched.
  bool changed(const std::filesystem::path& top);

  void forget(const std::filesystem::path& top);

private:
  void read_events();
  bool add(const std::filesystem::path& top, const std::filesystem::path& directory);
  void drop(const std::filesystem::path& top);

  std::mutex mutex_;
  descriptor inotify_;
  std::map<int, std::filesystem::path> tops_;
  std::set<std::filesystem::path> unchanged_;
};

} // namespace orch
