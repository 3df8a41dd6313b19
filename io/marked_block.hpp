#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace orch {

/// The lines around what this program wrote into a text file that also holds other things.
struct block_marks {
  std::string_view begin;
  std::string_view end;
};

/// For TOML, shell and the like.
inline constexpr block_marks hash_marks{
  "# >>> codex-orchestrator >>> (written by \"codex-orchestrator install\")",
  "# <<< codex-orchestrator <<<"};

/// For Markdown.
inline constexpr block_marks markdown_marks{
  "<!-- >>> codex-orchestrator >>> (written by \"codex-orchestrator install\") -->",
  "<!-- <<< codex-orchestrator <<< -->"};

/// A text that cannot be edited safely, and the line (from 1) that says why.
struct bad_text : std::runtime_error {
  bad_text(std::size_t line, const std::string& what) : std::runtime_error{what}, line{line} {}

  std::size_t line;
};

/// The line (from 1) in which the block begins; nothing if there is none. This and the following
/// throw `bad_text` if the marks are damaged: one without the other, or more than one block.
std::optional<std::size_t> line_of_block(const std::string& text, const block_marks& marks);

/// What stands between the marks, with "\n" at the end of each line; nothing if there is no block.
std::optional<std::string> block_in(const std::string& text, const block_marks& marks);

/// The text with `body` between the marks: where the block is, or at the end. Everything else keeps
/// its bytes. The lines of the block end as the first line of the text does.
std::string with_block(const std::string& text, const block_marks& marks, const std::string& body);

/// The text without its block, as it was before `with_block`.
std::string without_block(const std::string& text, const block_marks& marks);

/// The text with the lines of its block empty: what is left keeps its line numbers.
std::string with_blank_block(const std::string& text, const block_marks& marks);

/// The text with empty lines for its marks.
std::string without_marks(const std::string& text, const block_marks& marks);

/// "\r\n" if the first line of the text ends so, else "\n".
std::string_view line_end_of(std::string_view text);

/// `text` with each "\n" replaced by `line_end`.
std::string with_line_ends(std::string_view text, std::string_view line_end);

} // namespace orch
