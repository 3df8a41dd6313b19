#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// The text as one word of a POSIX shell. Plain words stay as they are, so that people can read
/// them; everything else goes between single quotes. A NUL cannot be part of a word.
std::string shell_quote(std::string_view text);

/// A line that a shell takes apart into exactly these words.
std::string shell_line(const std::vector<std::string>& words);

} // namespace orch
