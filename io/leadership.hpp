#pragma once

#include <filesystem>

namespace orch {

/// At most one holder among all processes: whoever runs a repository's loops. The kernel takes it
/// away when the process dies, however that happens.
class leadership {
public:
  /// `file` is created if it is missing. Throws `std::system_error`.
  explicit leadership(const std::filesystem::path& file);
  ~leadership();
  leadership(const leadership&) = delete;
  leadership& operator=(const leadership&) = delete;

  /// True once it is ours, and from then on until this object goes. Never waits.
  bool take();

private:
  int fd_;
  bool ours_ = false;
};

} // namespace orch
