#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace orch {

enum class log_level : uint8_t { error, warn, info, debug };

/// Sets what is logged and where to besides stderr (`file` may be empty). Call before any thread.
/// Throws `std::system_error` if the file cannot be opened.
void set_up_log(log_level most, const std::filesystem::path& file);

/// Writes one line, newlines and control characters escaped. Safe in any thread.
void write_log(log_level level, std::string_view text);

template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  write_log(log_level::error, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  write_log(log_level::warn, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  write_log(log_level::info, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace orch
