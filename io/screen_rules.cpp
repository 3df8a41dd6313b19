#include "io/screen_rules.hpp"

#include "io/log.hpp"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <sstream>

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
  return std::regex{text, std::regex::ECMAScript | std::regex::optimize};
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
    out = *line + "\n" + out;
    ++taken;
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
    if (auto composer = file.find("composer"); composer != file.end()) {
      made.composer_ = pattern(composer->at("match").get<std::string>());
      made.nothing_typed_ = pattern(composer->at("empty").get<std::string>());
    }
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("rule {}: {}", number, e.what())};
  }
  return made;
}

screen_rules screen_rules::load(const std::filesystem::path& state_dir, std::string_view provider) {
  auto own = state_dir / "screens" / (std::string{provider} + ".json");
  if (std::ifstream in{own}) {
    std::stringstream text;
    text << in.rdbuf();
    try {
      return parse(text.str());
    } catch (const std::exception& e) {
      log_warning("{} is not used: {}", own.string(), e.what());
    }
  }
  for (const auto& file : screen_rules_files())
    if (file.name == provider)
      return parse(std::string{file.content});
  return {};
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

std::optional<bool> screen_rules::is_typing(const screen_view& seen) const {
  if (!composer_)
    return {};
  auto lines = lines_of(seen.text);
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    std::smatch found;
    if (std::regex_search(*line, found, *composer_))
      return !std::regex_match(found.str(1), *nothing_typed_);
  }
  return {};
}

} // namespace orch
