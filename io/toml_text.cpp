#include "io/toml_text.hpp"

#include "io/marked_block.hpp"

// Debian's package brings a shared library too, which would be one more to load at each start.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <fmt/format.h>
#include <toml++/toml.h>

namespace orch {

namespace {

constexpr std::size_t most_dots = 2'000;

/// Tables in tables are taken apart by recursion, and `[a.a.a.a]` is as many as it has dots.
void check_depth(const std::string& text) {
  std::size_t number = 1;
  std::size_t dots = 0;
  for (auto c : text) {
    dots = c == '\n' ? 0 : dots + (c == '.');
    number += c == '\n';
    if (dots > most_dots)
      throw bad_text{number, fmt::format("more than {} dots in a line, which may be tables in "
                                         "tables",
                                         most_dots)};
  }
}

toml::table parsed(const std::string& text) {
  check_depth(text);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    throw bad_text{e.source().begin.line, std::string{e.description()}};
  }
}

const toml::node* node_at(const toml::table& root, const std::vector<std::string_view>& keys) {
  const toml::node* here = &root;
  for (auto key : keys) {
    auto table = here->as_table();
    here = table ? table->get(key) : nullptr;
    if (!here)
      return nullptr;
  }
  return here;
}

} // namespace

void check_toml(const std::string& text) {
  parsed(text);
}

bool same_toml(const std::string& text, const std::string& other) {
  auto first = parsed(text);
  try {
    return first == parsed(other);
  } catch (const bad_text&) {
    return false;
  }
}

std::optional<std::size_t> toml_line_of(const std::string& text,
                                        const std::vector<std::string_view>& keys) {
  auto root = parsed(text);
  auto node = node_at(root, keys);
  if (!node)
    return {};
  return node->source().begin.line;
}

std::optional<std::string> toml_value_at(const std::string& text,
                                         const std::vector<std::string_view>& keys) {
  auto root = parsed(text);
  auto node = node_at(root, keys);
  if (!node)
    return {};
  if (auto truth = node->value_exact<bool>())
    return *truth ? "true" : "false";
  return node->value_exact<std::string>();
}

std::string toml_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (auto c : text) {
    auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted += fmt::format("\\{}", c);
    else if (code < 0x20 || code == 0x7f)
      quoted += fmt::format("\\u{:04x}", code);
    else
      quoted += c;
  }
  return quoted + '"';
}

} // namespace orch
