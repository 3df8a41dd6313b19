#pragma once

#include <string_view>
#include <vector>

namespace orch {

/// The methods that a role sees as MCP tools; of the profile `all`, all.
struct tool_profile {
  std::string_view name;
  std::vector<std::string_view> methods;
};

const std::vector<tool_profile>& tool_profiles();

/// The profile of that name, or null. `all` and `groups` are profiles too, with no list.
const tool_profile* find_profile(std::string_view name);

/// A tool that takes `{method, params}` for one family of methods, for setups written for it.
struct tool_group {
  std::string_view name;
  std::string_view doc;
  std::vector<std::string_view> prefixes; ///< of the methods in it
};

const std::vector<tool_group>& tool_groups();

/// Does the group hold the method?
bool in_group(const tool_group& group, std::string_view method);

} // namespace orch
