#include "io/tmux.hpp"
#include "io/tmux_call.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace orch {

namespace {

/// What tmux prints for a pane that takes no input: it has no terminal any more, or is read-only.
constexpr std::string_view closed_format{"#{?pane_dead,1,#{pane_input_off}}"};

constexpr std::array key_names{
  "Enter", "Escape", "Tab",    "BTab",     "BSpace", "Space",  "Up",  "Down", "Left", "Right",
  "Home",  "End",    "PageUp", "PageDown", "Insert", "Delete", "F1",  "F2",   "F3",   "F4",
  "F5",    "F6",     "F7",     "F8",       "F9",     "F10",    "F11", "F12",
};

/// The word that tmux has for a key.
std::string tmux_key(std::string_view key) {
  std::size_t modifiers = 0;
  while (key.size() - modifiers > 2 && key[modifiers + 1] == '-'
         && std::string_view{"CMS"}.find(key[modifiers]) != std::string_view::npos)
    modifiers += 2;
  auto name = key.substr(modifiers);
  auto is_character = name.size() == 1 && name[0] > ' ' && name[0] <= '~';
  if (!is_character && std::ranges::find(key_names, name) == key_names.end())
    throw bad_param("key", fmt::format("there is no key {}", key));
  auto spelled = name == "Insert" ? "IC" : name == "Delete" ? "DC" : name;
  return fmt::format("{}{}", key.substr(0, modifiers), spelled);
}

request_error closed(std::string_view pane) {
  return {errc::failed_precondition,
          fmt::format("pane {} takes no input: its program has ended or its input is off", pane),
          {{"tmux_pane_id", pane}}};
}

} // namespace

std::vector<std::string> tmux::key_command(std::string_view pane, std::string_view key) const {
  command send{"send-keys", "-t", std::string{pane}};
  if (key == "Enter" && features().enter_is_a_key)
    send.insert(send.end(), {"-l", "--", "\r"});
  else
    send.insert(send.end(), {"--", tmux_key(key)});
  return send;
}

std::optional<std::size_t> longest_line(const pane_info& pane) {
  constexpr std::size_t canonical = 4'095;
  auto fd = ::open(pane.terminal.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return {};
  termios settings{};
  auto known = ::tcgetattr(fd, &settings) == 0;
  ::close(fd);
  return known && (settings.c_lflag & ICANON) != 0 ? std::optional{canonical} : std::nullopt;
}

void tmux::type_text(std::string_view pane, std::string_view text, bool then_enter) const {
  check_pane(pane);
  auto input = typeable(text);
  if (input.empty()) {
    if (then_enter)
      press(pane, "Enter");
    return;
  }
  auto buffer = unique_word();
  // -r: newlines stay newlines; else tmux makes them CR, which submits.
  auto paste = fmt::format("paste-buffer -p -r {}-d -b {} -t {}",
                           features().pastes_escaped ? "-S " : "", buffer, pane);
  // tmux up to 3.3 crashes when told to paste into a dead pane, so it must look in the same breath.
  command load{"load-buffer", "-b", buffer, "-"};
  command paste_if_open{"if-shell",
                        "-F",
                        "-t",
                        std::string{pane},
                        std::string{closed_format},
                        "display-message -p closed",
                        paste};
  call typing{{load, paste_if_open}, input};
  // To a dead pane tmux sends nothing.
  if (then_enter)
    typing.commands.push_back(key_command(pane, "Enter"));
  auto result = attempt_paste(typing, buffer);
  if (!result.ok())
    throw tmux_failed("paste-buffer", result);
  if (!result.out.empty())
    throw closed(pane);
}

outcome tmux::attempt_paste(const call& c, const std::string& buffer) const {
  auto forget = [&] { attempt({{{"delete-buffer", "-b", buffer}}}); };
  try {
    auto result = attempt(c);
    if (!result.ok() || !result.out.empty())
      forget();
    return result;
  } catch (const request_error& error) {
    if (error.code == errc::timeout)
      forget();
    throw;
  }
}

void tmux::press(std::string_view pane, std::string_view key) const {
  check_pane(pane);
  command ask{"display-message", "-p", "-t", std::string{pane}, std::string{closed_format}};
  // To a dead pane tmux sends nothing, without a word.
  if (output_of({{ask, key_command(pane, key)}}) != "0\n")
    throw closed(pane);
}

void tmux::leave_copy_mode(std::string_view pane) const {
  check_pane(pane);
  auto known = features();
  if (known.leaves_modes) {
    output_of({{{"copy-mode", "-q", "-t", std::string{pane}}}});
    return;
  }
  auto found = this->pane(pane);
  if (!found || !found->in_mode)
    return;
  if (known.cancels_copy_mode)
    output_of({{{"send-keys", "-X", "-t", std::string{pane}, "cancel"}}});
  else
    output_of({{{"send-keys", "-t", std::string{pane}, "q"}}});
}

} // namespace orch
