#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// How an agent in a role works with the orchestrator; offered as MCP prompts.
struct guide {
  std::string_view name;
  std::string_view description;
  std::string_view text;
};

const std::vector<guide>& guides();

} // namespace orch
