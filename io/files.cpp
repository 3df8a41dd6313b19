#include "io/files.hpp"

#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace orch {

namespace {

constexpr std::string_view mirror_head = "# codex-orchestrator: ";

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw request_error{errc::unavailable,
                      fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)),
                      {{"path", path.string()}}};
}

bool write_all(int fd, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    auto count = ::write(fd, text.data() + at, text.size() - at);
    if (count < 0 && errno != EINTR)
      return false;
    at += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  return true;
}

} // namespace

void replace_file(const std::filesystem::path& path, const std::string& text) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  auto temporary = path.string() + ".XXXXXX";
  auto fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0)
    fail(path);
  auto written = write_all(fd, text) && ::fchmod(fd, 0644) == 0;
  written = ::close(fd) == 0 && written;
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    auto problem = errno;
    ::unlink(temporary.c_str());
    errno = problem;
    fail(path);
  }
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::error_code failed;
  auto status = std::filesystem::status(path, failed);
  if (status.type() == std::filesystem::file_type::not_found)
    return {};
  if (status.type() != std::filesystem::file_type::regular)
    throw std::runtime_error{fmt::format("{} is no file that can be read", path.string())};
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  if (!in || text.bad())
    throw std::runtime_error{fmt::format("{} cannot be read", path.string())};
  return text.str();
}

bool is_mirror(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::string head(mirror_head.size(), '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  return file && head == mirror_head;
}

} // namespace orch
