#include "io/tmux.hpp"
#include "io/tmux_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

namespace orch {

namespace {

/// Numbers and ids: none contains a space, and the last is never empty.
constexpr std::string_view facts_format{
  "#{pid} #{window_id} #{pane_pid} #{pane_dead} #{pane_dead_status} #{pane_dead_signal} "
  "#{pane_in_mode} #{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{window_activity} ."};

/// Texts that may be anything but more than one line, so each gets a line.
struct text_field {
  std::string_view format;
  std::string pane_info::*member;
};

constexpr std::array text_fields{
  text_field{"#{session_name}", &pane_info::session},
  text_field{"#{window_name}", &pane_info::window},
  text_field{"#{pane_title}", &pane_info::title},
  text_field{"#{pane_current_command}", &pane_info::current_command},
  text_field{"#{pane_tty}", &pane_info::terminal},
};

/// Cuts off what comes before `separator`, or all.
std::string_view take(std::string_view& text, char separator) {
  auto end = std::min(text.find(separator), text.size());
  auto result = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return result;
}

std::optional<int64_t> take_number(std::string_view& facts) {
  auto word = take(facts, ' ');
  int64_t number = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (word.empty() || error != std::errc{})
    return std::nullopt;
  return number;
}

int take_int(std::string_view& facts) {
  return static_cast<int>(take_number(facts).value_or(0));
}

void read_facts(std::string_view facts, pane_info& pane) {
  pane.server = take_number(facts).value_or(0);
  pane.window_id = take(facts, ' ');
  pane.pid = take_number(facts).value_or(0);
  pane.dead = take_int(facts) != 0;
  pane.dead_status = take_number(facts);
  pane.dead_signal = take(facts, ' ');
  pane.in_mode = take_int(facts) != 0;
  pane.width = take_int(facts);
  pane.height = take_int(facts);
  pane.cursor_x = take_int(facts);
  pane.cursor_y = take_int(facts);
  pane.activity = take_number(facts).value_or(0);
}

/// The lines of one list: the ids of the panes in tmux's order, with what was asked for.
using listing = std::vector<std::pair<std::string_view, std::string_view>>;

/// Lines begin with a word that nobody can guess: a program can put a newline into its name.
listing lines_of(std::string_view output, std::string_view word, std::size_t number) {
  listing result;
  auto start = fmt::format("{} {} ", word, number);
  while (!output.empty()) {
    auto line = take(output, '\n');
    if (!line.starts_with(start))
      continue;
    line.remove_prefix(start.size());
    auto id = take(line, ' ');
    result.emplace_back(id, line);
  }
  return result;
}

/// tmux before 3.7 can miss that a program ended: utempter takes its SIGCHLD away at the wrong
/// moment. A second one makes it look again, and means nothing to any other process.
void remind_of_the_dead(const std::vector<pane_info>& panes) {
  for (const auto& pane : panes)
    if (pane.dead && !pane.dead_status && pane.dead_signal.empty() && pane.server > 0) {
      ::kill(static_cast<pid_t>(pane.server), SIGCHLD);
      return;
    }
}

std::string trimmed(std::string_view text, int lines) {
  auto is_blank = [](std::string_view line) {
    return line.find_first_not_of(' ') == std::string_view::npos;
  };
  std::vector<std::string_view> all;
  while (!text.empty())
    all.push_back(take(text, '\n'));
  while (!all.empty() && is_blank(all.back()))
    all.pop_back();
  auto wanted = static_cast<std::size_t>(std::max(lines, 0));
  std::string result;
  for (auto i = all.size() - std::min(wanted, all.size()); i < all.size(); ++i)
    result.append(all[i]).push_back('\n');
  return result;
}

} // namespace

std::vector<pane_info> tmux::panes_of(const command& selection) const {
  auto word = unique_word();
  call lists;
  auto add = [&](std::string_view format) {
    command list{"list-panes", "-F"};
    list.push_back(fmt::format("{} {} #{{pane_id}} {}", word, lists.commands.size(), format));
    list.insert(list.end(), selection.begin(), selection.end());
    lists.commands.push_back(std::move(list));
  };
  add(facts_format);
  for (const auto& field : text_fields)
    add(field.format);

  auto result = attempt(lists);
  if (!result.ok() && nothing_there(result))
    return {};
  if (!result.ok())
    throw tmux_failed("list-panes", result);
  std::vector<pane_info> panes;
  for (auto [id, facts] : lines_of(result.out, word, 0)) {
    panes.emplace_back().id = id;
    read_facts(facts, panes.back());
  }
  for (std::size_t i = 0; i < text_fields.size(); ++i) {
    auto texts = lines_of(result.out, word, i + 1);
    // tmux answers all lists in one go, so they are in the same order.
    for (std::size_t row = 0; row < std::min(panes.size(), texts.size()); ++row)
      panes[row].*text_fields.at(i).member = texts[row].second;
  }
  remind_of_the_dead(panes);
  return panes;
}

std::vector<pane_info> tmux::list_panes(std::string_view session) const {
  if (session.empty())
    return panes_of({"-a"});
  return panes_of({"-s", "-t", fmt::format("={}:", safe_name(session))});
}

std::optional<pane_info> tmux::pane(std::string_view id) const {
  check_pane(id);
  auto around = panes_of({"-t", std::string{id}});
  auto found = std::ranges::find(around, id, &pane_info::id);
  if (found == around.end())
    return std::nullopt;
  return std::move(*found);
}

std::string tmux::capture(std::string_view pane, const capture_request& request) const {
  check_pane(pane);
  command capture{"capture-pane", "-p", "-t", std::string{pane}};
  capture.insert(capture.end(), {"-S", fmt::format("-{}", std::max(request.lines, 0))});
  if (request.escapes)
    capture.emplace_back("-e");
  if (request.unwrapped)
    capture.emplace_back("-J");
  return trimmed(output_of({{capture}}), request.lines);
}

} // namespace orch
