#include "io/files.hpp"

#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace orch {

namespace {

constexpr std::string_view mirror_head = "# codex-orchestrator: ";

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw request_error{errc::unavailable,
                      fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)),
                      {{"path", path.string()}}};
}

} // namespace

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto count = ::write(fd, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd reader{fd, POLLOUT, 0};
      ::poll(&reader, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void replace_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  auto temporary = path.string() + ".XXXXXX";
  auto fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0)
    fail(path);
  auto written = write_all(fd, text) && ::fchmod(fd, mode) == 0;
  written = ::close(fd) == 0 && written;
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    auto problem = errno;
    ::unlink(temporary.c_str());
    errno = problem;
    fail(path);
  }
}

readable_file::readable_file(const std::filesystem::path& path)
  : fd_{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)} {
  // ENXIO: a socket, or a device without a driver.
  if (fd_ < 0 && errno != ENXIO)
    throw std::system_error{errno, std::generic_category()};
  struct stat found {};
  if (fd_ < 0 || ::fstat(fd_, &found) != 0 || !S_ISREG(found.st_mode)) {
    if (fd_ >= 0)
      ::close(fd_);
    throw std::system_error{std::make_error_code(std::errc::not_supported)};
  }
  size_ = static_cast<std::size_t>(found.st_size);
}

readable_file::~readable_file() {
  ::close(fd_);
}

std::string readable_file::read(std::size_t from, std::size_t most) const {
  std::string text;
  char part[1 << 16];
  while (text.size() < most) {
    auto count = ::pread(fd_, part, std::min(sizeof part, most - text.size()),
                         static_cast<off_t>(from + text.size()));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      throw std::system_error{errno, std::generic_category()};
    if (count == 0)
      break;
    text.append(part, static_cast<std::size_t>(count));
  }
  return text;
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t most) {
  try {
    readable_file file{path};
    // It may grow meanwhile, hence the look at what was read.
    auto text = file.size() > most ? std::string{} : file.read(0, most + 1);
    if (std::max(file.size(), text.size()) > most)
      throw std::runtime_error{
        fmt::format("{} has more than {} bytes and was not read", path.string(), most)};
    return text;
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::no_such_file_or_directory || e.code() == std::errc::not_a_directory)
      return {};
    if (e.code() == std::errc::not_supported)
      throw std::runtime_error{fmt::format("{} is no file that can be read", path.string())};
    throw std::runtime_error{
      fmt::format("{} cannot be read: {}", path.string(), e.code().message())};
  }
}

bool is_mirror(const std::filesystem::path& path) {
  try {
    return readable_file{path}.read(0, mirror_head.size()) == mirror_head;
  } catch (const std::system_error&) {
    return false;
  }
}

} // namespace orch
