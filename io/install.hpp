#pragma once

#include "io/file_changes.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// A command line of coding agents that this program can be installed into.
enum class agent_client : uint8_t { codex, claude };

/// "codex", "claude".
std::string_view word_for(agent_client client);

/// Where command lines look for what they are told, for one user and perhaps one repository.
struct install_places {
  std::filesystem::path home;
  std::filesystem::path codex_home;            ///< CODEX_HOME or ~/.codex
  std::filesystem::path claude_home;           ///< CLAUDE_CONFIG_DIR or ~/.claude
  std::filesystem::path claude_state;          ///< the .claude.json beside it
  std::optional<std::filesystem::path> repo{}; ///< the main work tree; nothing: for the user
  std::filesystem::path state_home{};          ///< XDG_STATE_HOME; empty: ~/.local/state
};

/// The places of the user who runs this, from the environment. `repo` is a directory in the
/// repository, or nothing. Throws `std::runtime_error` without HOME or a repository.
install_places places_of_user(const std::optional<std::filesystem::path>& repo);

/// This program's file, absolute.
std::filesystem::path own_program();

/// What to install, and into what.
struct install_request {
  agent_client client = agent_client::codex;
  install_places places;
  std::filesystem::path program;
};

enum class install_action : uint8_t { add, remove };

/// All files that an installation consists of, also those that need no change, and what the user
/// should know.
struct install_plan {
  std::vector<file_change> files;
  file_change record; ///< of what was there before; not part of the installation itself
  std::vector<std::string> notes;

  bool changes() const;
};

/// Reads the files and says what to do with them; writes nothing. Throws `std::runtime_error` that
/// names file, line and key if one of them cannot be changed safely.
install_plan plan_install(const install_request& request, install_action action);

/// Makes all changes of a plan or none. Throws `std::runtime_error` that names the file.
void carry_out(const install_plan& plan, install_action action);

/// One part of an installation as it is found: for `runtime.bundle.info`.
struct installed_part {
  std::vector<std::string> paths;
  std::string what; ///< "MCP server", "hooks", "guide root", ...
  bool present = false;
  bool stale = false;   ///< present, but not as this program would write it
  std::string reason{}; ///< why it is stale or cannot be looked at; empty if all is well
};

/// Throws nothing for what is wrong with a file: that is the reason of its part.
std::vector<installed_part> installed_state(const install_request& request);

/// `codex-orchestrator install`.
struct install_options {
  agent_client client = agent_client::codex;
  std::optional<std::filesystem::path> repo;
  bool dry_run = false;
  bool uninstall = false;
  bool check = false;
};

/// Prints to standard output; returns the exit code. Throws `std::exception` with one clear line.
int run_install(const install_options& options);

} // namespace orch
