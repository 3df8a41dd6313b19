#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// Which tmux it is. OpenBSD numbers its own by the system's release: any is taken for 3.3, whose
/// commands all of this decade know. "tmux master" counts as newer than every release.
struct tmux_version {
  int major = 0;
  int minor = 0;
  std::string letter{}; ///< "a" of 3.3a
  std::string text{};   ///< what tmux said: "tmux 3.3a"

  bool at_least(int wanted_major, int wanted_minor) const {
    return major != wanted_major ? major > wanted_major : minor >= wanted_minor;
  }
};

/// Understands what `tmux -V` prints: "tmux 3.3a", "tmux next-3.5", "tmux openbsd-7.4". Nothing for
/// other text.
std::optional<tmux_version> parse_tmux_version(std::string_view text);

/// What differs between the releases that we run with: the only place that knows their numbers.
struct tmux_features {
  explicit tmux_features(const tmux_version& version);

  bool supported;         ///< 2.1: argument vectors, named buffers and exact names ("=name")
  bool cancels_copy_mode; ///< 2.4: send-keys -X; before, "q" does it
  bool respawn_directory; ///< 2.6: respawn-pane -c; before, a pane keeps its first directory
  bool pane_environment;  ///< 3.0: -e of split-window and respawn-pane
  bool percent_length;    ///< 3.1: split-window -l 30%; before, -p 30
  bool leaves_modes;      ///< 3.2: copy-mode -q leaves every mode and may be said without one
  bool pastes_escaped;    ///< 3.7: paste-buffer writes vis(3) escapes unless told -S
  bool enter_is_a_key;    ///< 3.7: what Enter sends depends on the program; a literal CR does not
};

} // namespace orch
