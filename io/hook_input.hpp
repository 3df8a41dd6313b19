#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// What an agent's command line told a hook on its standard input.
struct hook_input {
  std::string client; ///< codex or claude
  std::string event;  ///< PreToolUse, Stop, ...
  std::filesystem::path cwd;
  nlohmann::json payload;
};

/// Reads the payload. `event` may be empty: then the payload says it. What is nested deeper than
/// 500 levels is left out, and half a character becomes U+FFFD: whoever writes such a thing into an
/// edit must not escape judgement with it. Throws `std::exception` if it is no JSON object.
hook_input read_hook_input(const std::string& client, const std::string& event,
                           const std::string& text);

/// The files that a tool is about to write, as it names them; none for tools that are no editors.
std::vector<std::string> edited_paths(const nlohmann::json& payload);

/// The files of a patch in the format of `apply_patch`, or of the patches in a shell script, which
/// may `cd` first. No line is passed over that any version of Codex takes for a file's header; what
/// only one of them does may name a file twice, with blanks around it and without.
std::vector<std::string> patched_paths(std::string_view text);

/// Who runs the command line, from the environment that it was started with.
struct hook_origin {
  std::optional<std::string> thread;
  std::optional<std::string> incarnation;
};

/// One line for the event log, with its newline. Ids that are numbers are written as numbers.
std::string event_line(const hook_input& input, const hook_origin& origin, int64_t at_us);

} // namespace orch
