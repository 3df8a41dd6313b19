#include "io/tmux.hpp"
#include "io/tmux_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch {

namespace {

/// What a new session runs until its program can start. Should we die before that, it goes away.
constexpr std::array placeholder{"sleep", "60"};

/// The ids by which the session is known from then on, and the name that it got.
constexpr auto made_format = "#{session_id} #{pane_id} #{session_name}";

/// Names that tmux sets itself after it has read -e.
bool set_by_tmux(std::string_view name) {
  return name == "PATH" || name == "SHELL" || name == "PWD" || name == "TMUX_PANE";
}

void check_text(std::string_view field, std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw bad_param(field, fmt::format("{} must not contain a NUL", field));
}

void check(const pane_command& what) {
  if (what.argv.empty() || what.argv.front().empty())
    throw bad_param("argv", "argv must name a program");
  for (const auto& argument : what.argv)
    check_text("argv", argument);
  for (const auto& [name, value] : what.environment) {
    check_text("environment", value);
    if (name.empty() || name.find_first_of(std::string_view{"=\0", 2}) != std::string::npos)
      throw bad_param("environment", fmt::format("\"{}\" is no name of a variable", name));
  }
  std::error_code missing;
  if (!what.directory.is_absolute() || !std::filesystem::is_directory(what.directory, missing))
    throw request_error{errc::failed_precondition,
                        fmt::format("no directory {}", what.directory.string()),
                        {{"directory", what.directory.string()}}};
}

std::string without_newline(std::string text) {
  if (text.ends_with('\n'))
    text.pop_back();
  return text;
}

std::string exact(std::string_view session) {
  return fmt::format("={}", safe_name(session));
}

/// The same where tmux wants a window or pane.
std::string active_pane_of(std::string_view session) {
  return exact(session) + ':';
}

} // namespace

bool tmux::has_session(std::string_view name) const {
  command ask{"has-session", "-t", exact(name)};
  auto result = attempt({{ask}});
  if (!result.ok() && !nothing_there(result))
    throw tmux_failed(ask[0], result);
  return result.ok();
}

std::vector<std::string> tmux::list_sessions() const {
  command list{"list-sessions", "-F", "#{session_name}"};
  auto result = attempt({{list}});
  if (!result.ok() && !no_server(result))
    throw tmux_failed(list[0], result);
  std::vector<std::string> names;
  std::string_view rest = result.out;
  while (result.ok() && !rest.empty()) {
    auto end = std::min(rest.find('\n'), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

void tmux::append(command& to, const pane_command& what) const {
  auto by_tmux = features().pane_environment;
  command by_env{"env"};
  for (const auto& [name, value] : what.environment) {
    auto setting = fmt::format("{}={}", name, value);
    if (by_tmux && !set_by_tmux(name))
      to.insert(to.end(), {"-e", setting});
    else
      by_env.push_back(setting);
  }
  to.emplace_back("--");
  // A single argument would be a line for the user's shell.
  if (by_env.size() > 1 || what.argv.size() == 1) {
    if (what.argv.front().find('=') != std::string::npos)
      throw bad_param("argv", "the name of a program that env(1) starts must not contain =");
    to.insert(to.end(), by_env.begin(), by_env.end());
  }
  to.insert(to.end(), what.argv.begin(), what.argv.end());
}

std::string tmux::new_session(const session_request& request) const {
  check(request.command);
  auto target = active_pane_of(request.name);
  auto directory = format_literal(request.command.directory.string());
  // The program starts only when its pane is sure to stay, and its environment goes to its own
  // pane, not to the session and so to all later ones.
  command make{"new-session", "-d", "-P", "-F", made_format};
  make.insert(make.end(), {"-s", safe_name(request.name), "-n", safe_name(request.window)});
  make.insert(make.end(), {"-x", fmt::format("{}", request.width), "-y",
                           fmt::format("{}", request.height), "-c", directory, "--"});
  make.insert(make.end(), placeholder.begin(), placeholder.end());
  command keep_pane{"set-option", "-w", "-t", target, "remain-on-exit", "on"};
  command keep_session{"set-option", "-t", target, "destroy-unattached", "off"};
  command start{"respawn-pane", "-k", "-t", target};
  append(start, request.command);

  auto result = attempt({{make, keep_pane, keep_session, start}});
  auto end_of_id = result.out.find(' ');
  auto id = result.out.substr(0, end_of_id);
  auto pane = result.out.substr(std::min(end_of_id, result.out.size() - 1) + 1);
  pane.erase(std::min(pane.find(' '), pane.size()));
  if (result.ok() && result.out == fmt::format("{} {} {}\n", id, pane, safe_name(request.name)))
    return pane;
  if (!id.empty())
    attempt({{{"kill-session", "-t", id}}});
  if (result.ok())
    throw bad_param("name", fmt::format("tmux does not take the session name {}", request.name));
  if (tmux_said(result, {"duplicate session"}))
    throw request_error{errc::conflict,
                        fmt::format("there is a tmux session {} already", safe_name(request.name)),
                        {{"tmux_session", safe_name(request.name)}}};
  throw tmux_failed(make[0], result);
}

bool tmux::kill_session(std::string_view name) const {
  command kill{"kill-session", "-t", exact(name)};
  auto result = attempt({{kill}});
  if (!result.ok() && !nothing_there(result))
    throw tmux_failed(kill[0], result);
  return result.ok();
}

std::string tmux::split(const split_request& request) const {
  check(request.command);
  if (!request.target.starts_with('@'))
    check_pane(request.target);
  command keep_panes{"set-option", "-w", "-t", request.target, "remain-on-exit", "on"};
  command split{"split-window", "-d", "-P", "-F", "#{pane_id}", "-t", request.target};
  split.emplace_back(request.direction == split_direction::horizontal ? "-h" : "-v");
  if (request.percent && features().percent_length)
    split.insert(split.end(), {"-l", fmt::format("{}%", *request.percent)});
  else if (request.percent)
    split.insert(split.end(), {"-p", fmt::format("{}", *request.percent)});
  split.insert(split.end(), {"-c", format_literal(request.command.directory.string())});
  append(split, request.command);
  return without_newline(output_of({{keep_panes, split}}));
}

void tmux::respawn(std::string_view pane, const pane_command& what) const {
  check_pane(pane);
  check(what);
  command start{"respawn-pane", "-t", std::string{pane}};
  if (features().respawn_directory)
    start.insert(start.end(), {"-c", format_literal(what.directory.string())});
  append(start, what);
  output_of({{start}});
}

bool tmux::kill_pane(std::string_view pane) const {
  check_pane(pane);
  command kill{"kill-pane", "-t", std::string{pane}};
  auto result = attempt({{kill}});
  if (!result.ok() && !nothing_there(result))
    throw tmux_failed(kill[0], result);
  return result.ok();
}

void tmux::tile(std::string_view pane) const {
  check_pane(pane);
  output_of({{{"select-layout", "-t", std::string{pane}, "tiled"}}});
}

} // namespace orch
