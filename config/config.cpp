#include "config/config.hpp"

#include "io/files.hpp"

#include <fmt/format.h>

namespace orch {

repository_config read_repository_config(const std::filesystem::path& file, const json& over) {
  try {
    auto text = read_file(file);
    if (!text)
      return from_json<repository_config>(over);
    auto parsed = json::parse(*text, nullptr, true, /*ignore_comments=*/true);
    if (!parsed.is_object())
      throw request_error{errc::invalid_params, "the file must hold an object"};
    parsed.merge_patch(over);
    return from_json<repository_config>(parsed);
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("bad config {}: {}", file.string(), e.what())};
  }
}

} // namespace orch
