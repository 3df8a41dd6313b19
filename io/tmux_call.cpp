#include "io/tmux_call.hpp"

#include "io/git_program.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace orch {

namespace {

std::string escaped(std::string argument) {
  if (argument.ends_with(';'))
    argument.insert(argument.size() - 1, 1, '\\');
  return argument;
}

errc kind_of(const outcome& result) {
  if (result.timed_out)
    return errc::timeout;
  if (tmux_said(result,
                {"duplicate session", "still active", "no space for new pane", "pane too small"}))
    return errc::conflict;
  if (tmux_said(result, {"command too long"}))
    return errc::too_large;
  return nothing_there(result) ? errc::not_found : errc::unavailable;
}

} // namespace

std::vector<std::string> tmux_arguments(const std::vector<std::vector<std::string>>& commands) {
  std::vector<std::string> result;
  for (const auto& command : commands) {
    if (!result.empty())
      result.emplace_back(";");
    std::ranges::transform(command, std::back_inserter(result), escaped);
  }
  return result;
}

void check_pane(std::string_view id) {
  if (id.size() < 2 || id[0] != '%' || id.find_first_not_of("0123456789", 1) != id.npos)
    throw bad_param("tmux_pane_id", fmt::format("\"{}\" is no id of a pane", id));
}

std::string format_literal(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto count = std::min(text.find_first_not_of('#'), text.size());
    auto before_bracket = count < text.size() && text[count] == '[';
    // Signs before a bracket begin a style, which formats leave alone, doubled or not.
    result.append(before_bracket ? count : 2 * count, '#');
    text.remove_prefix(count);
    auto plain = text.substr(0, text.find('#'));
    result += plain;
    text.remove_prefix(plain.size());
  }
  return result;
}

bool tmux_said(const outcome& result, std::initializer_list<std::string_view> phrases) {
  return std::ranges::any_of(
    phrases, [&](std::string_view phrase) { return result.err.find(phrase) != std::string::npos; });
}

bool no_server(const outcome& result) {
  auto refused = tmux_said(result, {"No such file or directory", "Connection refused"});
  return tmux_said(result, {"no server running"})
         || (refused && tmux_said(result, {"error connecting to", "failed to connect to server"}));
}

bool nothing_there(const outcome& result) {
  return no_server(result) || tmux_said(result, {"can't find ", " not found: "});
}

request_error tmux_failed(std::string_view command, const outcome& result) {
  auto text = readable(result.err);
  auto why = result.timed_out     ? std::string{"it did not end in time"}
             : result.signal != 0 ? fmt::format("killed by signal {}", result.signal)
             : text.empty()       ? fmt::format("exit code {}", result.exit_code)
                                  : text.substr(0, text.find('\n'));
  return {kind_of(result),
          fmt::format("tmux {} failed: {}", command, why),
          {{"stderr", text}, {"exit_code", result.exit_code}}};
}

std::string unique_word() {
  std::random_device random;
  return fmt::format("orch-{}-{:08x}{:08x}", ::getpid(), random(), random());
}

} // namespace orch
