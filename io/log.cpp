#include "io/log.hpp"

#include "messages/timestamp.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace orch {

namespace {

// Set before any thread starts and only read afterwards.
log_level most_logged = log_level::warn;
int log_file = -1;

constexpr std::array<std::string_view, 4> level_words{"error", "warn", "info", "debug"};

} // namespace

void set_up_log(log_level most, const std::filesystem::path& file) {
  most_logged = most;
  if (file.empty())
    return;
  log_file = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_file < 0)
    throw std::system_error{errno, std::generic_category(),
                            "cannot open log file " + file.string()};
}

void write_log(log_level level, std::string_view text) {
  if (level > most_logged)
    return;
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  auto now = std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count();
  auto line =
    fmt::format("{} {} ", to_text({now}), level_words.at(static_cast<std::size_t>(level)));
  for (char c : text)
    line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f
              ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c))
              : std::string(1, c);
  line += '\n';
  // One write a line, so that the lines of several processes in one file stay whole. A log that
  // cannot be written must not stop the server.
  for (auto fd : {STDERR_FILENO, log_file})
    if (fd >= 0) [[maybe_unused]]
      auto ignored = ::write(fd, line.data(), line.size());
}

} // namespace orch
