#include "io/git_lock.hpp"

#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace orch {

namespace {

request_error cannot_lock(const std::filesystem::path& file, int error) {
  return {errc::unavailable,
          fmt::format("cannot lock {}: {}", file.string(), std::strerror(error))};
}

int open_lock(const std::filesystem::path& file) {
  std::error_code there_already;
  std::filesystem::create_directories(file.parent_path(), there_already);
  return ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

} // namespace

git_lock::git_lock(const std::filesystem::path& file) : file_{open_lock(file)} {
  if (file_ < 0)
    throw cannot_lock(file, errno);
  while (::flock(file_, LOCK_EX) != 0) {
    auto error = errno;
    if (error == EINTR)
      continue;
    ::close(file_);
    throw cannot_lock(file, error);
  }
}

git_lock::~git_lock() {
  ::close(file_);
}

} // namespace orch
