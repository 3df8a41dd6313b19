#include "io/git_program.hpp"
#include "io/tmux.hpp"

namespace orch {

namespace {

/// What begins an id, an exact name, an option or a special target ("$1", "=a", "-t", "{last}").
constexpr std::string_view special_first{"=$@%-+!^~{"};

/// What tmux changes in names, or expands in formats.
constexpr std::string_view special{":.#\\"};

bool is_control(char byte) {
  return (byte >= 0 && byte < ' ') || byte == '\x7f';
}

/// The second byte of the control characters U+0080 to U+009F, of which the first is C2.
bool ends_c1(char byte) {
  auto value = static_cast<unsigned char>(byte);
  return value >= 0x80 && value < 0xA0;
}

} // namespace

std::string safe_name(std::string_view name) {
  std::string result;
  for (auto byte : readable(name))
    if (!result.empty() && result.back() == '\xC2' && ends_c1(byte))
      result.back() = '_';
    else
      result += is_control(byte) || special.find(byte) != special.npos ? '_' : byte;
  if (result.empty())
    return "_";
  if (special_first.find(result[0]) != special_first.npos)
    result[0] = '_';
  return result;
}

std::string typeable(std::string_view text) {
  std::string result;
  char before = 0;
  for (auto byte : readable(text)) {
    if (byte == '\r' || (byte == '\n' && before != '\r'))
      result += '\n';
    else if (before == '\xC2' && ends_c1(byte))
      result.pop_back();
    else if (byte == '\t' || !is_control(byte))
      result += byte;
    before = byte;
  }
  return result;
}

} // namespace orch
