#pragma once

#include "messages/record.hpp"

namespace orch {

/// Rows of a list answer when the caller does not say (contract, section 2).
constexpr int64_t default_page = 1'000;
constexpr int64_t largest_page = 10'000;

inline field limit_field(int64_t& limit) {
  return optional("limit", limit, "at most so many").range(1, largest_page);
}

inline field cursor_field(std::optional<std::string>& cursor) {
  return optional("cursor", cursor, "next_cursor of the page before");
}

inline field next_cursor_field(std::optional<std::string>& next_cursor) {
  return optional("next_cursor", next_cursor, "there is more: give it as cursor");
}

} // namespace orch
