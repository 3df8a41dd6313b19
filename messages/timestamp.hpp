#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// A moment in wall time: microseconds since 1970-01-01 UTC. Stored and compared as an integer,
/// printed only at the borders.
struct timestamp {
  int64_t us = 0;

  auto operator<=>(const timestamp&) const = default;
};

/// `2026-11-22T21:20:30.395906Z`: always six digits, so that text order is time order.
/// Moments outside the years 0 to 9999 are clamped to those years.
std::string to_text(timestamp at);

/// Reads RFC 3339 with any number of fraction digits and any offset; nothing if it is not that.
std::optional<timestamp> parse_timestamp(std::string_view text);

/// `at` moved by `seconds`, stopping at the last moment that can be printed.
timestamp plus_seconds(timestamp at, int64_t seconds);

} // namespace orch
