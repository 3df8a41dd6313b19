#pragma once

#include <filesystem>

namespace orch {

/// Writes the state as it is at one moment to `copy`, which must not be there yet, for its owner
/// only. Servers may go on meanwhile. Throws `std::runtime_error` with one clear line; then there
/// is no copy.
void back_up_state(const std::filesystem::path& state, const std::filesystem::path& copy);

/// Puts a copy in the place of the state; the state that was there is kept as `former` (must not be
/// there yet). Nobody may have the state open. Throws `std::runtime_error` with one clear line if
/// the copy is damaged, no state, or newer than this program; then nothing has changed. Whenever it
/// is killed, the state is the former or the new one.
void restore_state(const std::filesystem::path& copy, const std::filesystem::path& state,
                   const std::filesystem::path& former);

} // namespace orch
