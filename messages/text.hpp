#pragma once

#include <string_view>

namespace orch {

/// The first bytes of a text, at most `most`, cut between characters of UTF-8.
constexpr std::string_view beginning_of(std::string_view text, std::size_t most) {
  if (text.size() <= most)
    return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U)
    --most;
  return text.substr(0, most);
}

} // namespace orch
