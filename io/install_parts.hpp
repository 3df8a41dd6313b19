#pragma once

// What an installation is made of. A part is one file and how its text changes; everything else
// (reading, writing, showing, looking what is there) is the same for all.

#include "io/install.hpp"
#include "io/json_text.hpp"

#include <functional>
#include <map>

namespace orch {

/// How a file was before it became part of an installation.
struct found_before {
  bool existed = false;
  std::optional<std::string> text; ///< if it said nothing: white space, {}
  std::filesystem::path keep;      ///< the innermost directory above that was there
  /// Objects and lists that we put something into, and how they are written when they are empty.
  std::map<json_path, std::string> containers;
};

struct install_part {
  std::string what;
  std::filesystem::path path;
  std::filesystem::path keep; ///< the directory above that is never removed
  mode_t mode = 0644;
  /// The text with our part or without it; "" stands for no file. `was` may be null. Throws
  /// `bad_text` or `std::runtime_error`.
  std::function<std::string(const std::string& text, install_action, const found_before* was)> edit;
  /// The program that our part of a text starts, if it says.
  std::function<std::optional<std::filesystem::path>(const std::string& text)> program_in{};
  std::vector<json_path> containers{}; ///< objects and lists of the file that we put something into
  bool stays = false;                  ///< another installation needs it
  bool foreign = false;                ///< it is there for that one alone
};

/// What one action does with one part.
file_change change_of(const install_part& part, install_action action, const found_before* was);

/// White space, or a JSON object without members.
bool says_nothing(std::string_view text);

/// The text of a settings file; what was there before stays there.
json_text settings_in(const std::string& text, const found_before* was);

std::vector<install_part> codex_parts(const install_request& request);
std::vector<install_part> claude_parts(const install_request& request);

/// What the user should know after the action.
std::vector<std::string> codex_notes(const install_request& request, install_action action);
std::vector<std::string> claude_notes(const install_request& request, install_action action);

/// One hook event: for which tools (empty: all of them, or the event has none), and how long it may
/// take.
struct hook_event {
  std::string_view name;
  std::string_view matcher;
  int64_t timeout_seconds;
};

const std::vector<hook_event>& hook_events(agent_client client);

/// The file in which the hooks of an installation are.
std::filesystem::path hooks_file(const install_request& request);

/// The command for all hooks, quoted for a shell.
std::string hook_command(const install_request& request);

/// The program in a command that is one of our hooks, whatever version wrote it; nothing if it is
/// somebody else's.
std::optional<std::filesystem::path> own_hook_program(std::string_view command);

/// The objects and lists that hold our hooks.
std::vector<json_path> hook_containers(agent_client client);

/// Adds our hooks to `hooks` of a settings file, or takes them out. Others keep their places.
void edit_hooks(json_text& settings, const install_request& request, install_action action);

/// Our handlers in the groups of one event.
std::vector<ordered_json> own_handlers_in(const ordered_json& groups);

/// The program of our first hook in a settings file.
std::optional<std::filesystem::path> program_in_hooks(const std::string& text);

/// The guides as skills below a directory.
std::vector<install_part> guide_parts(const std::filesystem::path& skills,
                                      const std::filesystem::path& keep);

/// Proves that the installed hook refuses what it must; prints what it finds and returns the exit
/// code.
int check_install(const install_request& request);

} // namespace orch
