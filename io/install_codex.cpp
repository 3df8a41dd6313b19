#include "io/files.hpp"
#include "io/install_parts.hpp"
#include "io/marked_block.hpp"
#include "io/toml_text.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// Codex reads the time limits as floating point numbers; one version ignored whole ones in
/// silence. What waits longer than a call may take (lock.acquire, threads) is asked for again by
/// the agent.
std::string server_table(const fs::path& program, bool for_user) {
  return fmt::format(R"([mcp_servers.orchestrator]
command = {0}
args = ["serve"{1}]
env_vars = ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "ORCH_EVENT_LOG", "ORCH_INCARNATION", "ORCH_SESSION", "ORCH_THREAD", "TMUX", "TMUX_PANE", "TMUX_TMPDIR"]
required = true
startup_timeout_sec = 20.0
tool_timeout_sec = 120.0
default_tools_approval_mode = "approve"
)",
                     toml_quoted(program.string()), for_user ? R"(, "--optional-repo")" : "");
}

/// Lines that look like our marks may be part of a text over several lines; then what is between
/// them is not ours. Comments are what can be left out without changing a value.
void require_comments(const std::string& text) {
  auto line = line_of_block(text, hash_marks);
  if (line && !same_toml(text, without_marks(text, hash_marks)))
    throw bad_text{*line,
                   "what looks like the block of codex-orchestrator begins or ends inside of "
                   "another value; change that value"};
}

std::string edit_config(const fs::path& program, bool for_user, const std::string& text,
                        install_action action) {
  require_comments(text);
  if (action == install_action::remove)
    return without_block(text, hash_marks);
  auto others = with_blank_block(text, hash_marks);
  check_toml(others);
  if (auto line = toml_line_of(others, {"mcp_servers", "orchestrator"}))
    throw bad_text{*line, "mcp_servers.orchestrator is defined here, outside of what this program "
                          "writes; remove it or rename it"};
  auto changed = with_block(text, hash_marks, server_table(program, for_user));
  try {
    check_toml(changed);
  } catch (const bad_text& e) {
    throw bad_text{e.line,
                   fmt::format("with [mcp_servers.orchestrator] this would be no valid TOML: "
                               "{}",
                               e.what())};
  }
  return changed;
}

std::optional<fs::path> program_in_config(const std::string& text) {
  auto block = block_in(text, hash_marks);
  if (!block)
    return {};
  return toml_value_at(*block, {"mcp_servers", "orchestrator", "command"});
}

install_part config_part(const install_request& request, const fs::path& directory,
                         const fs::path& keep) {
  return {"MCP server",
          directory / "config.toml",
          keep,
          request.places.repo ? mode_t{0644} : mode_t{0600},
          [program = request.program, for_user = !request.places.repo](
            const std::string& text, install_action action, const found_before*) {
            return edit_config(program, for_user, text, action);
          },
          program_in_config};
}

/// Does a configuration name our server? Who cannot tell says yes: then what belongs to it stays.
bool has_server(const fs::path& directory) {
  try {
    auto text = read_file(directory / "config.toml");
    return text && block_in(*text, hash_marks).has_value();
  } catch (const std::runtime_error&) {
    return true;
  }
}

/// Is the program installed for the user too, so that the hooks have to stay?
bool for_user_too(const install_request& request) {
  return request.places.repo && has_server(request.places.codex_home);
}

install_part hooks_part(const install_request& request, const fs::path& keep) {
  return {"hooks",
          hooks_file(request),
          keep,
          0600,
          [request](const std::string& text, install_action action, const found_before* was) {
            auto settings = settings_in(text, was);
            edit_hooks(settings, request, action);
            return settings.text();
          },
          program_in_hooks,
          hook_containers(agent_client::codex),
          for_user_too(request),
          for_user_too(request) && !has_server(*request.places.repo / ".codex")};
}

} // namespace

std::vector<install_part> codex_parts(const install_request& request) {
  const auto& places = request.places;
  // A home that the user made for Codex must stay: Codex does not start without it.
  auto keep = places.codex_home == places.home / ".codex" ? places.home : places.codex_home;
  std::vector<install_part> parts;
  if (places.repo)
    parts.push_back(config_part(request, *places.repo / ".codex", *places.repo));
  else
    parts.push_back(config_part(request, places.codex_home, keep));
  parts.push_back(hooks_part(request, keep));
  auto base = places.repo.value_or(places.home);
  for (auto& part : guide_parts(base / ".agents" / "skills", base))
    parts.push_back(std::move(part));
  return parts;
}

std::vector<std::string> codex_notes(const install_request& request, install_action action) {
  auto file = hooks_file(request).string();
  if (action == install_action::remove)
    return for_user_too(request)
             ? std::vector{fmt::format("the hooks in {} stay: they serve the installation for the "
                                       "user too (install --client codex --uninstall)",
                                       file)}
             : std::vector<std::string>{};
  std::vector notes{fmt::format("Codex runs the hooks in {} only once you trust them: start codex, "
                                "choose \"Trust all and continue\" (or /hooks). codex exec skips "
                                "untrusted hooks without a word.",
                                file)};
  if (request.places.repo) {
    notes.emplace_back(
      "the hooks are the user's, not the repository's: Codex does not run a "
      "repository's hooks in its linked worktrees. Elsewhere they let everything pass.");
    notes.emplace_back("Codex reads the repository's .codex/config.toml only where it trusts the "
                       "folder, and worktrees have it only once it is committed.");
  }
  return notes;
}

} // namespace orch
