#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// Throws `bad_text` (io/marked_block) with the line if the text is no TOML.
void check_toml(const std::string& text);

/// Does the other text say the same? The first one must be TOML.
bool same_toml(const std::string& text, const std::string& other);

/// The line (from 1) in which a key is defined, `{"mcp_servers", "orchestrator"}` for
/// `[mcp_servers.orchestrator]`; nothing if it is not. The text must be TOML.
std::optional<std::size_t> toml_line_of(const std::string& text,
                                        const std::vector<std::string_view>& keys);

/// The text, or the truth value ("true", "false"), at a key; nothing if there is none.
std::optional<std::string> toml_value_at(const std::string& text,
                                         const std::vector<std::string_view>& keys);

/// A basic string: quoted, with escapes.
std::string toml_quoted(std::string_view text);

} // namespace orch
