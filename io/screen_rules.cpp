#include "io/screen_rules.hpp"

#include "io/files.hpp"
#include "io/log.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>
#include <tuple>

namespace orch {

namespace {

using nlohmann::json;

agent_turn turn_named(const std::string& word) {
  static const std::map<std::string, agent_turn> turns{
    {"starting", agent_turn::starting}, {"idle", agent_turn::idle},
    {"working", agent_turn::working},   {"waiting", agent_turn::waiting},
    {"failed", agent_turn::failed},     {"interrupted", agent_turn::interrupted},
    {"ended", agent_turn::ended}};
  auto found = turns.find(word);
  if (found == turns.end())
    throw std::runtime_error{fmt::format("unknown state {}", word)};
  return found->second;
}

std::regex pattern(const std::string& text) {
  return std::regex{text, std::regex::ECMAScript | std::regex::multiline};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// The last `count` lines that are not blank; all for 0.
std::string last_lines(const std::string& text, std::size_t count) {
  auto lines = lines_of(text);
  if (count == 0)
    return text;
  std::string out;
  std::size_t taken = 0;
  for (auto line = lines.rbegin(); line != lines.rend() && taken < count; ++line) {
    if (line->find_first_not_of(" \t") == std::string::npos)
      continue;
    out = fmt::format("{}\n{}", *line, out);
    ++taken;
  }
  return out;
}

/// What an SGR sequence does to dim: on, off, or nothing.
std::optional<bool> dim_after(std::string_view sequence) {
  std::vector<std::string_view> codes;
  for (std::size_t at = 0; at <= sequence.size();) {
    auto end = std::min(sequence.find(';', at), sequence.size());
    codes.push_back(sequence.substr(at, end - at));
    at = end + 1;
  }
  std::optional<bool> dim;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    auto code = codes[i];
    if (code == "38" || code == "48" || code == "58") // a colour follows: 5;N or 2;R;G;B
      i += i + 1 < codes.size() && codes[i + 1] == "2" ? 4 : 2;
    else if (code == "2")
      dim = true;
    else if (code.empty() || code == "0" || code == "22")
      dim = false;
  }
  return dim;
}

/// The text of a line without escapes and without what is dim.
std::string bright_text(std::string_view line) {
  std::string out;
  auto dim = false;
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] != '\x1b') {
      if (!dim)
        out += line[i];
      ++i;
      continue;
    }
    auto end = line.find_first_not_of("[0123456789;:", i + 1);
    auto codes = line.substr(std::min(i + 2, line.size()), end == line.npos ? 0 : end - i - 2);
    if (end != line.npos && line[end] == 'm')
      dim = dim_after(codes).value_or(dim);
    i = end == line.npos ? line.size() : end + 1;
  }
  return out;
}

} // namespace

screen_rules screen_rules::parse(const std::string& text) {
  screen_rules made;
  auto file = json::parse(text, nullptr, true, /*ignore_comments=*/true);
  std::size_t number = 0;
  try {
    for (const auto& entry : file.at("rules")) {
      ++number;
      rule one;
      one.state = turn_named(entry.at("state").get<std::string>());
      one.in_title = entry.value("in", "screen") == "title";
      one.last_lines = entry.value("last_lines", std::size_t{0});
      one.match = pattern(entry.at("match").get<std::string>());
      one.words = entry.value("words", "");
      made.rules_.push_back(std::move(one));
    }
    made.composer_ = file.value("composer", "");
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("rule {}: {}", number, e.what())};
  }
  return made;
}

namespace {

/// What tells one content of a file from another.
using file_stamp = std::tuple<ino_t, off_t, int64_t, int64_t>;

std::optional<file_stamp> stamp_of(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0)
    return {};
  return file_stamp{found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

screen_rules built_in(std::string_view provider) {
  for (const auto& file : screen_rules_files())
    if (file.name == provider)
      return screen_rules::parse(std::string{file.content});
  return {};
}

screen_rules read_rules(const std::filesystem::path& own, std::string_view provider) {
  try {
    if (auto text = read_file(own))
      return screen_rules::parse(*text);
  } catch (const std::exception& e) {
    log_warning("{} is not used: {}", own.string(), e.what());
  }
  return built_in(provider);
}

} // namespace

screen_rules screen_rules::load(const std::filesystem::path& state_dir, std::string_view provider) {
  struct loaded {
    std::optional<file_stamp> stamp;
    screen_rules rules;
  };
  static std::mutex mutex;
  static std::map<std::filesystem::path, loaded> known;
  auto own = state_dir / "screens" / (std::string{provider} + ".json");
  auto stamp = stamp_of(own);
  std::lock_guard guard{mutex};
  auto found = known.find(own);
  if (found == known.end() || found->second.stamp != stamp)
    found = known.insert_or_assign(own, loaded{stamp, read_rules(own, provider)}).first;
  return found->second.rules;
}

bool screen_rules::read_screens() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const rule& one) { return !one.in_title; });
}

std::optional<turn_fact> screen_rules::judge(const screen_view& seen) const {
  for (const auto& one : rules_) {
    auto text = one.in_title ? seen.title : last_lines(seen.text, one.last_lines);
    if (std::regex_search(text, one.match))
      return turn_fact{one.state, 0,
                       fmt::format("{}: {}", one.in_title ? "pane title" : "screen", one.words)};
  }
  return {};
}

std::optional<std::string> screen_rules::typed_text(std::string_view screen) const {
  if (composer_.empty())
    return {};
  std::optional<std::string> typed;
  for (const auto& line : lines_of(std::string{screen})) {
    auto bright = bright_text(line);
    auto begin = bright.find_first_not_of(' ');
    if (begin != std::string::npos && bright.compare(begin, composer_.size(), composer_) == 0)
      typed = bright.substr(begin + composer_.size());
  }
  if (!typed)
    return {};
  constexpr std::string_view no_break_space{"\xC2\xA0"};
  for (auto at = typed->find(no_break_space); at != std::string::npos;
       at = typed->find(no_break_space)) {
    typed->erase(at, 1);
    (*typed)[at] = ' ';
  }
  return typed;
}

std::optional<bool> screen_rules::is_typing(std::string_view screen) const {
  auto typed = typed_text(screen);
  if (!typed)
    return {};
  return typed->find_first_not_of(' ') != std::string::npos;
}

} // namespace orch
