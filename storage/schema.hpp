#pragma once

#include "storage/database.hpp"

#include <filesystem>
#include <memory>

namespace orch {

/// The schema this program writes, kept in `PRAGMA user_version`.
constexpr int64_t schema_version = 6;

/// Opens the state of a repository for writing. Makes it if it is missing; brings an older one, the
/// first implementation's included, up to date and keeps a copy of it beside it
/// (`state.db.before-vN`). Callers hold the turnstile, so that one process does it.
/// Throws `std::runtime_error` with one clear line if the file is newer than the program, corrupt
/// or no database at all; then nothing was changed.
std::unique_ptr<database> open_state(const std::filesystem::path& path);

/// Copies the rows of the first implementation's tables, which were renamed to `old_<name>`, into
/// the new ones, ids and all. Times become integers, JSON columns are made valid.
void import_first_implementation(database& db);

} // namespace orch
