#include "io/install_parts.hpp"
#include "io/marked_block.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

const json_path server{"mcpServers", "orchestrator"};
const json_path allowed_tools{"permissions", "allow"};

/// All tools of the server, as permission rules name them.
constexpr std::string_view our_tools = "mcp__orchestrator";

bool starts_us(const ordered_json& entry) {
  return entry.is_object() && entry.contains("command") && entry["command"].is_string()
         && fs::path{entry["command"].get<std::string>()}.filename() == "codex-orchestrator";
}

/// The user's server is started everywhere, also where there is no repository.
ordered_json server_arguments(bool for_user) {
  auto arguments = ordered_json::array({"serve"});
  if (for_user)
    arguments.push_back("--optional-repo");
  return arguments;
}

std::string edit_servers(const fs::path& program, bool for_user, json_text settings,
                         install_action action) {
  auto entry = settings.at(server);
  auto ours =
    starts_us(entry) || (entry.is_object() && entry.value("command", "") == program.string());
  if (action == install_action::remove) {
    if (ours)
      settings.erase(server);
    return settings.text();
  }
  if (!entry.is_null() && !ours)
    throw bad_text{settings.line_of(server), "mcpServers.orchestrator is another program's server; "
                                             "remove it or rename it"};
  // One by one: what the user added to the entry, such as env, stays.
  if (entry.is_null()) {
    entry = ordered_json::object();
    entry["type"] = "stdio";
    entry["command"] = program.string();
    entry["args"] = server_arguments(for_user);
    settings.set(server, entry);
    return settings.text();
  }
  settings.set({"mcpServers", "orchestrator", "command"}, program.string());
  settings.set({"mcpServers", "orchestrator", "args"}, server_arguments(for_user));
  return settings.text();
}

std::optional<fs::path> program_in_servers(const std::string& text) {
  auto entry = json_text{text}.at(server);
  if (!starts_us(entry))
    return {};
  return entry["command"].get<std::string>();
}

void edit_permissions(json_text& settings, install_action action) {
  auto rules = settings.at(allowed_tools);
  for (std::size_t i = 0; rules.is_array() && i < rules.size(); ++i)
    if (rules[i] == our_tools) {
      if (action == install_action::remove)
        settings.erase({"permissions", "allow", std::to_string(i)});
      return;
    }
  if (action == install_action::add)
    settings.append(allowed_tools, our_tools);
}

} // namespace

std::vector<install_part> claude_parts(const install_request& request) {
  const auto& places = request.places;
  auto own_home = places.claude_home != places.home / ".claude";
  auto keep = places.repo ? *places.repo : own_home ? places.claude_home : places.home;
  auto mode = places.repo ? mode_t{0644} : mode_t{0600};
  std::vector<install_part> parts;
  parts.push_back({"MCP server",
                   places.repo ? *places.repo / ".mcp.json" : places.claude_state,
                   keep,
                   mode,
                   [program = request.program, for_user = !places.repo](
                     const std::string& text, install_action action, const found_before* was) {
                     return edit_servers(program, for_user, settings_in(text, was), action);
                   },
                   program_in_servers,
                   {{"mcpServers"}}});
  auto containers = hook_containers(agent_client::claude);
  containers.push_back({"permissions"});
  containers.push_back(allowed_tools);
  parts.push_back(
    {"hooks and permissions", hooks_file(request), keep, mode,
     [request](const std::string& text, install_action action, const found_before* was) {
       auto settings = settings_in(text, was);
       edit_hooks(settings, request, action);
       edit_permissions(settings, action);
       return settings.text();
     },
     program_in_hooks, containers});
  auto base = places.repo ? *places.repo / ".claude" : places.claude_home;
  for (auto& part : guide_parts(base / "skills", keep))
    parts.push_back(std::move(part));
  return parts;
}

std::vector<std::string> claude_notes(const install_request& request, install_action action) {
  if (action == install_action::remove)
    return {};
  if (!request.places.repo)
    return {"restart Claude Code: it reads its settings when it starts, and writes .claude.json "
            "itself while it runs"};
  return {"commit .mcp.json and .claude: sessions work in worktrees, and a worktree has only what "
          "is committed. Without --repo the installation works everywhere at once.",
          "the files name this program by its path on this machine",
          "Claude Code asks once whether it may use the servers in .mcp.json"};
}

fs::path hooks_file(const install_request& request) {
  const auto& places = request.places;
  if (request.client == agent_client::codex)
    return places.codex_home / "hooks.json";
  return places.repo ? *places.repo / ".claude" / "settings.json"
                     : places.claude_home / "settings.json";
}

} // namespace orch
