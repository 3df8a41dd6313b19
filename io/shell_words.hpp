#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// The text as one word of a POSIX shell. Plain words stay as they are, so that people can read
/// them; everything else goes between single quotes. A NUL cannot be part of a word.
std::string shell_quote(std::string_view text);

/// The words of a line as a POSIX shell would take it apart, quotes and backslashes respected;
/// nothing is expanded or run. Throws `request_error` (invalid_params, `field`) for a quote without
/// its end.
std::vector<std::string> shell_words(std::string_view field, std::string_view line);

/// A line that a shell takes apart into exactly these words.
std::string shell_line(const std::vector<std::string>& words);

} // namespace orch
