#pragma once

#include "io/provider.hpp"

#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// What a pane shows.
struct screen_view {
  std::string title;
  std::string text; ///< the last lines, without the blank ones at the end
};

/// How the screens of one agent CLI are read: data, so that a new release of the CLI needs no new
/// program. Used last, when nothing better says what the agent does.
class screen_rules {
public:
  /// Reads the rules: `{"rules": [{"state": ..., "in": "title"|"screen", "last_lines": N, "match":
  /// REGEX, "words": TEXT}, ...], "composer": GLYPH}`. The composer, where one types, begins with
  /// the last line that begins with that glyph; what is dim in it is a placeholder. Regular
  /// expressions are ECMAScript's. Throws `std::runtime_error` that says what is wrong where.
  static screen_rules parse(const std::string& text);

  /// The rules for a provider: REPO/.codex-orch/screens/PROVIDER.json if it is there and can be
  /// read (else that is logged), or those built in. Parsed again only after the file has changed.
  static screen_rules load(const std::filesystem::path& state_dir, std::string_view provider);

  /// What the first rule that matches says; rules for titles go by the title alone.
  std::optional<turn_fact> judge(const screen_view& seen) const;

  /// Has somebody typed something that is not submitted? Nothing if that cannot be told.
  /// `screen`: with escapes (`capture_request`).
  std::optional<bool> is_typing(std::string_view screen) const;

  /// What stands where one types, its first line; nothing if that place cannot be seen.
  std::optional<std::string> typed_text(std::string_view screen) const;

  /// Is it known where one types?
  bool knows_composer() const { return !composer_.empty(); }

  /// Do any speak of the text on the screen?
  bool read_screens() const;

private:
  struct rule {
    agent_turn state;
    bool in_title = false;
    std::size_t last_lines = 0; ///< 0: all
    std::regex match;
    std::string words;
  };

  std::vector<rule> rules_;
  std::string composer_; ///< empty: not known
};

/// A file of `config/screens`, embedded when the program was built.
struct screen_rules_file {
  std::string_view name; ///< the provider
  std::string_view content;
};

/// Defined in a file that `cmake/embed_files.cmake` writes.
const std::vector<screen_rules_file>& screen_rules_files();

} // namespace orch
