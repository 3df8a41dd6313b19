#include "messages/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace orch {

namespace {

struct code_row {
  std::string_view word;
  int number;
};

constexpr std::array<code_row, 13> codes{{
  {"none", 0},
  {"parse_error", -32700},
  {"invalid_request", -32600},
  {"method_not_found", -32601},
  {"invalid_params", -32602},
  {"too_large", -32602},
  {"not_found", -32000},
  {"conflict", -32000},
  {"failed_precondition", -32000},
  {"permission_denied", -32000},
  {"unavailable", -32000},
  {"timeout", -32000},
  {"internal", -32603},
}};
static_assert(codes.size() == static_cast<std::size_t>(errc::internal) + 1);

/// How many letters must be put in, taken out or changed to make one word of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto corner = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto changed = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
      corner = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

} // namespace

std::string_view error_word(errc code) {
  return codes.at(static_cast<std::size_t>(code)).word;
}

errc error_of_word(std::string_view word) {
  auto found =
    std::find_if(codes.begin(), codes.end(), [&](const auto& x) { return x.word == word; });
  return found == codes.end() ? errc::internal : static_cast<errc>(found - codes.begin());
}

int error_number(errc code) {
  return codes.at(static_cast<std::size_t>(code)).number;
}

request_error bad_param(std::string_view field, const std::string& message) {
  return {errc::invalid_params, message, {{"field", field}}};
}

request_error no_such(std::string_view what, int64_t id) {
  return {errc::not_found, fmt::format("{} #{} does not exist", what, id)};
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
  // A longer word is no typing mistake, and comparing it would cost its length squared.
  if (word.size() > 64)
    return {};
  std::string_view best;
  auto least = std::max<std::size_t>(3, word.size() / 2) + 1;
  for (auto candidate : known) {
    auto distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

} // namespace orch
