#include "io/tmux_version.hpp"

#include <charconv>
#include <limits>

namespace orch {

namespace {

/// Takes a number from the front of `text`.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{})
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

} // namespace

std::optional<tmux_version> parse_tmux_version(std::string_view text) {
  text = text.substr(0, text.find_last_not_of("\r\n ") + 1);
  tmux_version result{0, 0, "", std::string{text}};
  if (text.starts_with("tmux "))
    text.remove_prefix(5);
  if (text == "master") {
    result.major = std::numeric_limits<int>::max();
    return result;
  }
  if (text.starts_with("openbsd-")) {
    result.major = 3;
    result.minor = 3;
    return result;
  }
  if (text.starts_with("next-"))
    text.remove_prefix(5);
  auto major = take_number(text);
  if (!major || !text.starts_with('.'))
    return std::nullopt;
  text.remove_prefix(1);
  auto minor = take_number(text);
  if (!minor)
    return std::nullopt;
  result.major = *major;
  result.minor = *minor;
  result.letter = text;
  return result;
}

tmux_features::tmux_features(const tmux_version& version)
  : supported{version.at_least(2, 1)}, cancels_copy_mode{version.at_least(2, 4)},
    respawn_directory{version.at_least(2, 6)}, pane_environment{version.at_least(3, 0)},
    percent_length{version.at_least(3, 1)}, leaves_modes{version.at_least(3, 2)},
    pastes_escaped{version.at_least(3, 7)}, enter_is_a_key{version.at_least(3, 7)} {
}

} // namespace orch
