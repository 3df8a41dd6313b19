#include "io/shell_words.hpp"

#include "messages/error.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace orch {

namespace {

// Neither '=', which makes an assignment and which zsh expands, nor '~'.
constexpr std::string_view plain_characters{"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "abcdefghijklmnopqrstuvwxyz"
                                            "0123456789_@%+:,./-"};

} // namespace

std::string shell_quote(std::string_view text) {
  if (!text.empty() && text.find_first_not_of(plain_characters) == std::string_view::npos)
    return std::string{text};
  std::string result{"'"};
  for (auto character : text)
    if (character == '\'')
      result += R"('\'')";
    else
      result += character;
  return result + '\'';
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string result;
  for (const auto& word : words) {
    if (!result.empty())
      result += ' ';
    result += shell_quote(word);
  }
  return result;
}

std::vector<std::string> shell_words(std::string_view field, std::string_view line) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    auto c = line[i];
    auto escapes = c == '\\' && quote != '\'' && i + 1 < line.size()
                   && (quote == 0 || std::string_view{"\"\\$`\n"}.find(line[i + 1]) != line.npos);
    if (escapes && line[i + 1] == '\n') {
      ++i; // two lines become one
    } else if (escapes) {
      word = word.value_or("") + line[++i];
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      word = word.value_or("");
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (word)
        words.push_back(*std::exchange(word, {}));
    } else {
      word = word.value_or("") + c;
    }
  }
  if (quote != 0)
    throw bad_param(field, fmt::format("{} has a quote that does not end", field));
  if (word)
    words.push_back(*word);
  return words;
}

} // namespace orch
