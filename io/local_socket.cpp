#include "io/local_socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace orch {

namespace {

/// As many as may wait to be accepted.
constexpr int backlog = 128;

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw std::system_error{errno, std::generic_category(), file.string()};
}

descriptor new_socket() {
  return descriptor{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

/// The address of a socket. A path that is too long for one (107 bytes) is said through its
/// directory, which `keep` holds open.
sockaddr_un address_of(const std::filesystem::path& file, descriptor& keep) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto path = file.string();
  if (path.size() >= sizeof address.sun_path) {
    keep = descriptor{::open(file.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    path = fmt::format("/proc/self/fd/{}/{}", keep.number(), file.filename().string());
  }
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

bool is_of_this_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0
         && peer.uid == ::geteuid();
}

} // namespace

descriptor listen_on(const std::filesystem::path& file) {
  auto listening = new_socket();
  if (!listening.open())
    fail(file);
  descriptor directory;
  auto address = address_of(file, directory);
  ::unlink(address.sun_path);
  // Linux gives the file the mode that the socket has when it gets its name.
  if (::fchmod(listening.number(), 0600) != 0
      || ::bind(listening.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address)
           != 0
      || ::listen(listening.number(), backlog) != 0)
    fail(file);
  return listening;
}

descriptor accept_from(const descriptor& listening) {
  while (true) {
    descriptor client{
      ::accept4(listening.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (client.open())
      return is_of_this_user(client.number()) ? std::move(client) : descriptor{};
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      throw std::system_error{errno, std::generic_category(), "accept"};
    if (errno != EINTR)
      return {};
  }
}

descriptor connect_to(const std::filesystem::path& file) {
  auto client = new_socket();
  descriptor directory;
  auto address = address_of(file, directory);
  // Local sockets are connected at once or not at all.
  if (!client.open()
      || ::connect(client.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address)
           != 0
      || !is_of_this_user(client.number()))
    return {};
  return client;
}

} // namespace orch
