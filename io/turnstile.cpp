#include "io/turnstile.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace orch {

turnstile::turnstile(const std::filesystem::path& file)
  : fd_{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
  if (fd_ < 0)
    throw std::system_error{errno, std::generic_category(), file.string()};
}

turnstile::~turnstile() {
  ::close(fd_);
}

void turnstile::enter() {
  while (::flock(fd_, LOCK_EX) != 0)
    if (errno != EINTR)
      throw std::system_error{errno, std::generic_category(), "flock"};
}

bool turnstile::try_enter() {
  return ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
}

void turnstile::leave() {
  ::flock(fd_, LOCK_UN);
}

} // namespace orch
