#include "io/files.hpp"
#include "io/git_layout.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace orch {

namespace {

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// A value as written: quotes and escapes undone, comment left out.
std::string plain_value(std::string_view text) {
  std::string result;
  auto quoted = false;
  std::size_t kept = 0; // blanks at the end go, unless they are quoted
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (!quoted && (c == '#' || c == ';'))
      break;
    if (c == '"') {
      quoted = !quoted;
      kept = result.size();
      continue;
    }
    if (c == '\\' && i + 1 < text.size()) {
      c = text[++i];
      c = c == 't' ? '\t' : c == 'n' ? '\n' : c;
    }
    result += c;
    if (quoted || (c != ' ' && c != '\t'))
      kept = result.size();
  }
  result.resize(kept);
  return result;
}

bool is_true(std::string_view value) {
  auto word = lower(value);
  return word == "true" || word == "yes" || word == "on" || word == "1";
}

void take(git_placement& placement, std::string_view key, const std::string& value) {
  if (key == "core.bare")
    placement.bare = is_true(value);
  else if (key == "core.worktree")
    placement.work_tree = value;
  else if (key == "extensions.worktreeconfig")
    placement.per_work_tree = is_true(value);
}

} // namespace

git_placement read_placement(const std::filesystem::path& config, git_placement known) {
  // Not by its name: nobody who may write here can make us wait for a FIFO.
  std::istringstream stream;
  try {
    stream.str(read_file(config).value_or(""));
  } catch (const std::runtime_error&) {
    return known;
  }
  std::string section;
  for (std::string written; std::getline(stream, written);) {
    auto line = trimmed(written);
    auto end = line.find(']');
    if (line.starts_with('[') && end != std::string_view::npos) {
      section = lower(trimmed(line.substr(1, end - 1)));
      line = trimmed(line.substr(end + 1));
    }
    if (line.empty() || line.front() == '#' || line.front() == ';')
      continue;
    auto equals = line.find('=');
    auto key = section + "." + lower(trimmed(line.substr(0, equals)));
    // A key without a value is true.
    auto value =
      equals == std::string_view::npos ? "true" : plain_value(trimmed(line.substr(equals + 1)));
    take(known, key, value);
  }
  return known;
}

} // namespace orch
