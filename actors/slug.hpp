#pragma once

#include <string>
#include <string_view>

namespace orch {

/// One or two lower-case words that say what `text` is about ("login-fix"), for branch and
/// directory names. Common words are dropped. Empty if nothing is left.
std::string make_slug(std::string_view text);

/// A branch as a directory name: `/` becomes `-`.
std::string directory_name(std::string_view branch);

} // namespace orch
