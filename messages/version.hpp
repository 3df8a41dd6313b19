#pragma once

#include <string_view>

namespace orch {

/// Semantic version of the program; CMakeLists.txt sets it.
constexpr std::string_view program_version = ORCH_VERSION;

} // namespace orch
