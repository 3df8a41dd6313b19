#include "io/git_private_index.hpp"

#include "messages/error.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <system_error>

namespace orch {

namespace fs = std::filesystem;

private_index::private_index(const fs::path& git_dir)
  : directory_{git_dir / "orchestrator-index-XXXXXX"} {
  auto name = directory_.string();
  if (::mkdtemp(name.data()) == nullptr)
    throw request_error{errc::unavailable,
                        fmt::format("cannot make a directory in {}", git_dir.string())};
  directory_ = name;
  // Those of processes that were killed.
  std::error_code none;
  auto before = fs::file_time_type::clock::now() - std::chrono::hours{1};
  for (const auto& entry : fs::directory_iterator{git_dir, none})
    if (entry.path().filename().string().starts_with("orchestrator-index-")
        && entry.last_write_time(none) < before && !none)
      fs::remove_all(entry.path(), none);
}

private_index::~private_index() {
  std::error_code harmless;
  fs::remove_all(directory_, harmless);
}

void private_index::copy(const fs::path& index) const {
  std::error_code error;
  auto time = fs::last_write_time(index, error);
  if (error)
    return; // a work tree without index has nothing staged
  fs::copy_file(index, file(), error);
  if (!error)
    fs::last_write_time(file(), time, error);
  if (error)
    throw request_error{errc::unavailable,
                        fmt::format("cannot copy {}: {}", index.string(), error.message())};
}

} // namespace orch
