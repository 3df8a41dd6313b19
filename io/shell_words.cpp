#include "io/shell_words.hpp"

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

} // namespace orch
