#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// Writes all of it, and waits where the reader of a non-blocking `fd` is slow. False, with
/// `errno`, if it cannot; what was written until then stays.
bool write_all(int fd, std::string_view text);

/// Writes `path` by a temporary file and a rename, so that readers see the old text or the new one
/// and never half of it. Missing parents are made. Throws `request_error` (unavailable).
void replace_file(const std::filesystem::path& path, const std::string& text, mode_t mode = 0644);

/// A regular file that is open for reading. Whoever names a file for us may name a FIFO or a device
/// too, which would keep us waiting: those are refused unread, and opening them waits for nobody.
class readable_file {
public:
  /// Throws `std::system_error`, for what is no regular file with `std::errc::not_supported`.
  explicit readable_file(const std::filesystem::path& path);
  readable_file(const readable_file&) = delete;
  readable_file& operator=(const readable_file&) = delete;
  ~readable_file();

  /// How long it was when it was opened.
  std::size_t size() const { return size_; }

  /// The bytes from `from` on, at most `most` of them. Throws `std::system_error`.
  std::string read(std::size_t from, std::size_t most) const;

private:
  int fd_ = -1;
  std::size_t size_ = 0;
};

/// More than this is in no file that people write by hand.
inline constexpr std::size_t longest_file = 64U << 20;

/// All of a file; nothing if there is none. Throws `std::runtime_error` that names it if it cannot
/// be read, is no regular file, or has more than `most` bytes. Never waits for anybody.
std::optional<std::string> read_file(const std::filesystem::path& path,
                                     std::size_t most = longest_file);

/// Does the file begin like the mirrors that this program writes?
bool is_mirror(const std::filesystem::path& path);

} // namespace orch
