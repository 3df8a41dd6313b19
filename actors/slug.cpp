#include "actors/slug.hpp"

#include "messages/text.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace orch {

namespace {

constexpr std::size_t longest_word = 24;

// Words that most requests have in common (our own list).
constexpr std::array<std::string_view, 46> stop_words{
  "a",      "about",  "add",   "all",  "an",    "and",  "are",  "as",   "at", "be",
  "by",     "can",    "could", "do",   "for",   "from", "i",    "if",   "in", "into",
  "is",     "it",     "its",   "let",  "me",    "my",   "of",   "on",   "or", "our",
  "please", "should", "so",    "some", "that",  "the",  "then", "this", "to", "us",
  "want",   "we",     "will",  "with", "would", "you"};

bool is_word_byte(unsigned char c) {
  // Bytes from 0x80 on belong to letters of other scripts; git takes them in branch names.
  return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (char c : text) {
    if (is_word_byte(static_cast<unsigned char>(c))) {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty())
    words.push_back(std::move(word));
  return words;
}

bool is_stop_word(const std::string& word) {
  return std::find(stop_words.begin(), stop_words.end(), word) != stop_words.end();
}

} // namespace

std::string make_slug(std::string_view text) {
  std::string slug;
  int taken = 0;
  for (auto& word : words_of(text)) {
    if (is_stop_word(word))
      continue;
    slug += (taken > 0 ? "-" : "") + std::string{beginning_of(word, longest_word)};
    if (++taken == 2)
      break;
  }
  return slug;
}

std::string directory_name(std::string_view branch) {
  std::string name{branch};
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

} // namespace orch
