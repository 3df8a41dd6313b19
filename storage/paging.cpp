#include "storage/paging.hpp"

#include <fmt/format.h>

#include <charconv>

namespace orch {

std::string make_cursor(const std::vector<int64_t>& key) {
  return fmt::format("{}", fmt::join(key, "."));
}

std::vector<int64_t> read_cursor(const std::string& cursor, std::size_t parts) {
  std::vector<int64_t> key;
  auto at = cursor.data();
  auto end = at + cursor.size();
  while (at <= end) {
    auto [stop, failed] = std::from_chars(at, end, key.emplace_back());
    if (failed != std::errc{} || (stop != end && *stop != '.'))
      break;
    at = stop + 1;
    if (stop == end && key.size() == parts)
      return key;
  }
  throw bad_param("cursor", "cursor must be the next_cursor of the page before");
}

std::vector<condition> behind_by_urgency(const std::optional<std::vector<int64_t>>& after) {
  if (!after)
    return {condition{}};
  auto priority = after->at(0);
  auto updated_at = after->at(1);
  return {{"priority = ? AND updated_at = ? AND id > ?", {priority, updated_at, after->at(2)}},
          {"priority = ? AND updated_at > ?", {priority, updated_at}},
          {"priority < ?", {priority}}};
}

} // namespace orch
