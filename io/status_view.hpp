#pragma once

// One page of text from what is known of repositories. Decides nothing and looks at nothing.

#include "storage/overview.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch {

struct page_style {
  int width = 0;  ///< columns; 0: as many as it takes
  int height = 0; ///< lines; 0: as many as it takes
  bool colours = false;
  std::string corner{}; ///< shown at the right of the first line
};

/// The page, a newline after each line. Lines fit the width; if all would not fit the height,
/// sections end with how many rows they leave out.
std::string render_page(const std::vector<overview>& repositories, const page_style& style,
                        timestamp now);

/// `text` on one line and harmless to a terminal: white space becomes a blank, other control
/// characters, what changes the direction of text, and what is not UTF-8 becomes U+FFFD.
std::string printable(std::string_view text);

/// How many columns of a terminal a printable text takes.
int display_width(std::string_view text);

/// A printable text cut to so many columns, with "…" at the cut.
std::string fitted(std::string_view text, int columns);

/// "4 s", "3 m", "2 h", "5 d".
std::string age_text(int64_t seconds);

/// "812 B", "12 MB", "1.4 GB".
std::string size_text(int64_t bytes);

} // namespace orch
