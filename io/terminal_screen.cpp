#include "io/terminal_screen.hpp"

#include "io/files.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <string>

namespace orch {

terminal_screen::terminal_screen() {
  sigset_t signals;
  sigemptyset(&signals);
  for (auto signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP})
    sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &signals_before_);
  signals_ = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  has_keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
  enter();
}

terminal_screen::~terminal_screen() {
  leave();
  ::close(signals_);
  ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
}

bool terminal_screen::draw(std::string_view text) {
  if (text.ends_with('\n'))
    text.remove_suffix(1); // in the last line of the screen it would move all of it
  std::string frame = "\x1b[H";
  for (auto c : text)
    frame += c == '\n' ? std::string{"\x1b[K\r\n"} : std::string{c};
  return write_all(STDOUT_FILENO, frame + "\x1b[K\x1b[J");
}

std::array<pollfd, 2> terminal_screen::sources() const {
  return {{{signals_, POLLIN, 0}, {has_keys_ ? STDIN_FILENO : -1, POLLIN, 0}}};
}

bool terminal_screen::go_on() {
  signalfd_siginfo signal{};
  while (::read(signals_, &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGTSTP)
      pause();
    else if (signal.ssi_signo != SIGWINCH)
      return false;
  }
  pollfd key{has_keys_ ? STDIN_FILENO : -1, POLLIN, 0};
  while (::poll(&key, 1, 0) > 0 && key.revents != 0) {
    char c = 0;
    auto got = ::read(STDIN_FILENO, &c, 1);
    if (got <= 0) { // no more keys; signals still end it
      has_keys_ = false;
      return true;
    }
    if (c == 'q' || c == 'Q' || c == '\x03')
      return false;
  }
  return true;
}

void terminal_screen::enter() {
  if (has_keys_) {
    auto raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  write_all(STDOUT_FILENO, "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
}

void terminal_screen::leave() {
  write_all(STDOUT_FILENO, "\x1b[?7h\x1b[?25h\x1b[?1049l");
  if (has_keys_)
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void terminal_screen::pause() {
  leave();
  ::raise(SIGSTOP);
  enter();
}

} // namespace orch
