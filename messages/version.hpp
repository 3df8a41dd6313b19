#pragma once

#include <string_view>

namespace orch {

/// Semantic version of the program; CMakeLists.txt sets it.
constexpr std::string_view program_version = ORCH_VERSION;

/// The commit that it was built from, shortened, with "-dirty" if files had changed; empty where
/// the sources came without their repository.
std::string_view program_commit();

} // namespace orch
