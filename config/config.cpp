#include "config/config.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace orch {

repository_config read_repository_config(const std::filesystem::path& file) {
  std::ifstream in{file};
  if (!in)
    return {};
  std::stringstream text;
  text << in.rdbuf();
  try {
    auto parsed = json::parse(text.str(), nullptr, true, /*ignore_comments=*/true);
    if (!parsed.is_object())
      throw request_error{errc::invalid_params, "the file must hold an object"};
    return from_json<repository_config>(parsed);
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("bad config {}: {}", file.string(), e.what())};
  }
}

} // namespace orch
