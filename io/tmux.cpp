#include "io/tmux.hpp"

#include "io/shell_words.hpp"
#include "io/tmux_call.hpp"

#include <fmt/format.h>

#include <cerrno>

namespace orch {

namespace {

/// How often to ask again when the server ended while it was asked, as it does with its last
/// session. Nothing of what it was told is left then.
constexpr int most_attempts = 5;

request_error no_tmux(const request_error& error) {
  auto data = error.data;
  data["instructions"] = "install tmux 2.1 or newer where PATH of this server finds it, "
                         "for example by: apt-get install tmux";
  return {errc::unavailable, error.what(), data};
}

} // namespace

tmux::tmux(tmux_options options) : options_{std::move(options)} {
}

std::optional<tmux_version> tmux::version() const {
  std::lock_guard guard{mutex_};
  if (version_)
    return version_;
  program p{{options_.program, "-V"}, "/"};
  p.timeout = options_.timeout;
  try {
    auto result = run(p);
    if (!result.ok())
      throw tmux_failed("-V", result);
    version_ = parse_tmux_version(result.out);
  } catch (const request_error& error) {
    if (error.data.is_object() && error.data.value("errno", 0) == ENOENT)
      return std::nullopt;
    throw;
  }
  if (!version_)
    throw request_error{errc::unavailable, fmt::format("{} -V says no version", options_.program)};
  return version_;
}

bool tmux::is_usable() const {
  auto found = version();
  return found && tmux_features{*found}.supported;
}

tmux_features tmux::features() const {
  auto found = version();
  if (!found)
    throw no_tmux({errc::unavailable,
                   fmt::format("cannot run {}: not found", options_.program),
                   {{"program", options_.program}}});
  tmux_features result{*found};
  if (!result.supported)
    throw no_tmux({errc::unavailable,
                   fmt::format("{} is too old", found->text),
                   {{"program", options_.program}}});
  return result;
}

outcome tmux::attempt(const call& c) const {
  // From "/": the server keeps the directory in which it was started, and no worktree may be that.
  program p{{options_.program, "-u"}, "/"};
  if (!options_.socket_name.empty())
    p.argv.insert(p.argv.end(), {"-L", options_.socket_name});
  if (!options_.configuration.empty())
    p.argv.insert(p.argv.end(), {"-f", options_.configuration.string()});
  auto arguments = tmux_arguments(c.commands);
  p.argv.insert(p.argv.end(), arguments.begin(), arguments.end());
  p.unset = {"TMUX_PANE"};
  if (!options_.socket_name.empty())
    p.unset.emplace_back("TMUX");
  p.input = c.input;
  p.timeout = options_.timeout;
  try {
    auto result = run(p);
    for (auto i = 1; i < most_attempts && tmux_said(result, {"server exited", "lost server"}); ++i)
      result = run(p);
    if (result.timed_out)
      throw tmux_failed(c.commands.at(0).at(0), result);
    return result;
  } catch (const request_error& error) {
    auto number = error.data.is_object() ? error.data.value("errno", 0) : 0;
    if (number == ENOENT)
      throw no_tmux(error);
    if (number == E2BIG)
      throw request_error{errc::too_large, error.what(), error.data};
    throw;
  }
}

std::string tmux::output_of(const call& c) const {
  auto result = attempt(c);
  if (!result.ok())
    throw tmux_failed(c.commands.at(0).at(0), result);
  return std::move(result.out);
}

std::vector<std::string> tmux::words(std::string_view verb, std::string_view session) const {
  std::vector<std::string> result{options_.program};
  if (!options_.socket_name.empty())
    result.insert(result.end(), {"-L", options_.socket_name});
  result.insert(result.end(), {std::string{verb}, "-t", safe_name(session)});
  return result;
}

std::string tmux::attach_command(std::string_view session, attachment kind) const {
  auto result = words("attach-session", session);
  if (kind == attachment::read_only)
    result.emplace_back("-r");
  return shell_line(result);
}

std::string tmux::switch_command(std::string_view session) const {
  return shell_line(words("switch-client", session));
}

} // namespace orch
