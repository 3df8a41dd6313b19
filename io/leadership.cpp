#include "io/leadership.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace orch {

leadership::leadership(const std::filesystem::path& file)
  : fd_{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
  if (fd_ < 0)
    throw std::system_error{errno, std::generic_category(), file.string()};
}

leadership::~leadership() {
  ::close(fd_);
}

bool leadership::take() {
  if (!ours_)
    ours_ = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
  return ours_;
}

} // namespace orch
