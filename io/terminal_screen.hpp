#pragma once

#include <poll.h>
#include <signal.h>
#include <termios.h>

#include <array>
#include <string_view>

namespace orch {

/// The terminal on stdin and stdout as a screen of its own; it is as before once this is gone.
/// Signals that would end or stop the program are read from a descriptor, so that nothing ends
/// without that. For the main thread of a program without other threads, one at a time.
class terminal_screen {
public:
  terminal_screen();
  ~terminal_screen();
  terminal_screen(const terminal_screen&) = delete;
  terminal_screen& operator=(const terminal_screen&) = delete;

  /// Shows these lines in place of what was shown; they are to fit. False if nobody can see it.
  bool draw(std::string_view text);

  /// What to poll for signals and keys.
  std::array<pollfd, 2> sources() const;

  /// Reads what has come; false if it is time to end: `q`, Ctrl-C, or a signal.
  bool go_on();

private:
  void enter();
  void leave();

  /// Ctrl-Z: the shell gets its terminal until we are continued.
  void pause();

  int signals_ = -1;
  sigset_t signals_before_{};
  termios before_{};
  bool has_keys_ = false;
};

} // namespace orch
