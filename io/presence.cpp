#include "io/presence.hpp"

#include "io/descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

namespace orch {

namespace {

descriptor open_file(const std::filesystem::path& file) {
  descriptor opened{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!opened.open())
    throw std::system_error{errno, std::generic_category(), file.string()};
  return opened;
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

bool take(const descriptor& file, int64_t byte) {
  auto lock = lock_on_byte(byte, F_WRLCK);
  return ::fcntl(file.number(), F_OFD_SETLK, &lock) == 0;
}

/// All bytes of the file that somebody has locked, each once.
std::optional<std::vector<int64_t>> locked_bytes(int fd) {
  constexpr auto last = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> locked;
  std::vector<std::pair<int64_t, int64_t>> unseen{{0, last}};
  while (!unseen.empty()) {
    auto [from, to] = unseen.back();
    unseen.pop_back();
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = from;
    lock.l_len = to == last ? 0 : to - from + 1;
    if (::fcntl(fd, F_OFD_GETLK, &lock) != 0)
      return {};
    if (lock.l_type == F_UNLCK)
      continue;
    auto found = static_cast<int64_t>(lock.l_start);
    locked.push_back(found);
    if (found > from)
      unseen.emplace_back(from, found - 1);
    if (lock.l_len > 0 && found + lock.l_len - 1 < to)
      unseen.emplace_back(found + lock.l_len, to);
  }
  return locked;
}

} // namespace

presence::presence(const std::filesystem::path& file, of whom)
  : own_{open_file(file)}, children_{open_file(file)} {
  std::random_device source;
  std::uniform_int_distribution<int64_t> halves{1, (int64_t{1} << 60) - 1};
  do
    id_ = 2 * halves(source) + (whom == of::client ? 1 : 0);
  while (!take(own_, 2 * id_));
  take(children_, 2 * id_ + 1);
}

bool presence::alive(int64_t server) const {
  if (server == id_)
    return true;
  auto lock = lock_on_byte(2 * server, F_WRLCK);
  // If the kernel cannot say, the careful answer is that it lives.
  return ::fcntl(children_.number(), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool presence::children_ended(int64_t server, std::chrono::milliseconds patience) const {
  auto deadline = std::chrono::steady_clock::now() + patience;
  do {
    auto lock = lock_on_byte(2 * server + 1, F_WRLCK);
    if (::fcntl(own_.number(), F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK)
      return true;
    // The kernel has no wait for a lock with an end; this happens once after a crash.
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

std::optional<std::vector<int64_t>> living_servers(const std::filesystem::path& file) {
  descriptor fd{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (fd.number() < 0)
    return errno == ENOENT ? std::optional{std::vector<int64_t>{}} : std::nullopt;
  auto bytes = locked_bytes(fd.number());
  if (!bytes)
    return {};
  std::vector<int64_t> servers;
  for (auto byte : *bytes)
    if (byte % 2 == 0) // the odd ones are of their child programs, which may outlive them
      servers.push_back(byte / 2);
  return servers;
}

} // namespace orch
