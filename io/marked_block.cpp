#include "io/marked_block.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

/// Where a block is: from the first byte of its first line to behind its last line.
struct place {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t body = 0;     ///< behind the begin line
  std::size_t body_end = 0; ///< before the end line
};

/// The part of a mark by which it is known, so that its explanation may change.
std::string_view name_of(std::string_view mark) {
  auto name = mark.substr(0, mark.find("codex-orchestrator") + 18);
  return name;
}

struct line {
  std::size_t number = 0;
  std::size_t begin = 0;
  std::size_t end = 0; ///< behind its line end
};

/// The line that begins at `at`.
line line_at(const std::string& text, std::size_t at, std::size_t number) {
  auto end = text.find('\n', at);
  return {number, at, end == std::string::npos ? text.size() : end + 1};
}

bool is_mark(const std::string& text, const line& of, std::string_view mark) {
  return std::string_view{text}.substr(of.begin, of.end - of.begin).starts_with(name_of(mark));
}

std::optional<place> find_block(const std::string& text, const block_marks& marks) {
  std::optional<line> begin;
  std::optional<place> found;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto here = line_at(text, at, ++number);
    at = here.end;
    if (is_mark(text, here, marks.begin)) {
      if (begin)
        throw bad_text{number, fmt::format("a second block of codex-orchestrator begins here; the "
                                           "first one began in line {}",
                                           begin->number)};
      begin = here;
    } else if (is_mark(text, here, marks.end)) {
      if (!begin || found)
        throw bad_text{number, "a block of codex-orchestrator ends here that never began"};
      found = place{begin->begin, here.end, begin->end, here.begin};
    }
  }
  if (begin && !found)
    throw bad_text{begin->number, "the block of codex-orchestrator that begins here never ends"};
  return found;
}

std::size_t line_at_byte(const std::string& text, std::size_t byte) {
  auto end = text.begin() + static_cast<std::ptrdiff_t>(byte);
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

std::string block_of(const block_marks& marks, const std::string& body, std::string_view line_end) {
  auto text =
    fmt::format("{}\n{}{}{}", marks.begin, body, body.ends_with('\n') ? "" : "\n", marks.end);
  return with_line_ends(text, line_end);
}

} // namespace

std::string_view line_end_of(std::string_view text) {
  auto end = text.find('\n');
  return end != std::string_view::npos && end > 0 && text[end - 1] == '\r' ? "\r\n" : "\n";
}

std::string with_line_ends(std::string_view text, std::string_view line_end) {
  std::string changed;
  for (auto c : text)
    if (c == '\n')
      changed += line_end;
    else
      changed += c;
  return changed;
}

std::optional<std::size_t> line_of_block(const std::string& text, const block_marks& marks) {
  auto found = find_block(text, marks);
  if (!found)
    return {};
  return line_at_byte(text, found->begin);
}

std::optional<std::string> block_in(const std::string& text, const block_marks& marks) {
  auto found = find_block(text, marks);
  if (!found)
    return {};
  auto body = text.substr(found->body, found->body_end - found->body);
  std::erase(body, '\r');
  return body;
}

std::string with_block(const std::string& text, const block_marks& marks, const std::string& body) {
  auto line_end = line_end_of(text);
  auto block = block_of(marks, body, line_end);
  if (auto found = find_block(text, marks)) {
    auto ended = text[found->end - 1] == '\n';
    return text.substr(0, found->begin) + block + std::string{ended ? line_end : ""}
           + text.substr(found->end);
  }
  // Behind a line without an end the block has none either: so it is known, when the block is taken
  // out again, that the line before it had none.
  if (!text.empty() && text.back() != '\n')
    return text + std::string{line_end} + block;
  return text + block + std::string{line_end};
}

std::string without_marks(const std::string& text, const block_marks& marks) {
  auto found = find_block(text, marks);
  if (!found)
    return text;
  return text.substr(0, found->begin) + "\n"
         + text.substr(found->body, found->body_end - found->body) + "\n" + text.substr(found->end);
}

std::string without_block(const std::string& text, const block_marks& marks) {
  auto found = find_block(text, marks);
  if (!found)
    return text;
  auto before = text.substr(0, found->begin);
  if (text[found->end - 1] != '\n' && before.ends_with('\n')) {
    before.pop_back();
    if (before.ends_with('\r') && line_end_of(text) == "\r\n")
      before.pop_back();
  }
  return before + text.substr(found->end);
}

std::string with_blank_block(const std::string& text, const block_marks& marks) {
  auto found = find_block(text, marks);
  if (!found)
    return text;
  auto lines = std::count(text.begin() + static_cast<std::ptrdiff_t>(found->begin),
                          text.begin() + static_cast<std::ptrdiff_t>(found->end), '\n');
  return text.substr(0, found->begin) + std::string(static_cast<std::size_t>(lines), '\n')
         + text.substr(found->end);
}

} // namespace orch
