#include "io/presence.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>

namespace orch {

namespace {

int open_file(const std::filesystem::path& file) {
  auto fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    throw std::system_error{errno, std::generic_category(), file.string()};
  return fd;
}

/// Open file description locks: unlike POSIX locks they do not vanish when some other descriptor
/// of the file is closed, and children share them.
struct flock lock_on_byte(int64_t byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool take(int fd, int64_t byte) {
  auto lock = lock_on_byte(byte, F_WRLCK);
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

} // namespace

presence::presence(const std::filesystem::path& file)
  : own_{open_file(file)}, children_{open_file(file)} {
  std::random_device source;
  std::uniform_int_distribution<int64_t> ids{1, (int64_t{1} << 61) - 1};
  do
    id_ = ids(source);
  while (!take(own_, 2 * id_));
  take(children_, 2 * id_ + 1);
}

presence::~presence() {
  ::close(children_);
  ::close(own_);
}

bool presence::alive(int64_t server) const {
  if (server == id_)
    return true;
  auto lock = lock_on_byte(2 * server, F_WRLCK);
  // If the kernel cannot say, the careful answer is that it lives.
  return ::fcntl(children_, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

void presence::wait_for_children_of(int64_t server) const {
  auto byte = 2 * server + 1;
  auto lock = lock_on_byte(byte, F_WRLCK);
  while (::fcntl(own_, F_OFD_SETLKW, &lock) != 0)
    if (errno != EINTR)
      return;
  lock = lock_on_byte(byte, F_UNLCK);
  ::fcntl(own_, F_OFD_SETLK, &lock);
}

} // namespace orch
