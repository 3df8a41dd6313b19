#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// A file of `config/guides`, embedded when the program was built: `name`.md.
struct guide_file {
  std::string_view name;
  std::string_view content;
};

/// By name. Defined in a file that `cmake/embed_files.cmake` writes.
const std::vector<guide_file>& guide_files();

/// How an agent in a role works with the orchestrator; offered as MCP prompts and installed as
/// skills of the agents' command lines.
struct guide {
  std::string_view name;  ///< the role
  std::string_view skill; ///< what the installed skill is called
  std::string_view description;
  std::string_view text; ///< without the front matter
  std::string_view file; ///< all of it
};

/// Takes a guide apart: front matter (`name`, `description`) between lines of `---`, then the text.
/// Throws `std::logic_error` if it has no such front matter.
guide read_guide(const guide_file& file);

/// In the order in which prompts are listed.
const std::vector<guide>& guides();

} // namespace orch
