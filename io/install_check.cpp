#include "io/files.hpp"
#include "io/install_parts.hpp"
#include "io/marked_block.hpp"
#include "io/process.hpp"
#include "io/toml_text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace orch {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// What a check found; `good` as long as nothing is wrong.
struct findings {
  bool good = true;

  void fine(const std::string& what) { std::cout << "ok    " << what << "\n"; }
  void wrong(const std::string& what) {
    good = false;
    std::cout << "WRONG " << what << "\n";
  }
  void note(const std::string& what) { std::cout << "note  " << what << "\n"; }
};

/// A repository with nothing in it but a lease of somebody else on `leased.txt`; gone with this.
class proving_ground {
public:
  explicit proving_ground(const fs::path& orchestrator) {
    auto pattern = (fs::temp_directory_path() / "orch-check-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      throw std::runtime_error{fmt::format("cannot make {}: {}", pattern, std::strerror(errno))};
    path = fs::canonical(pattern);
    must({"git", "init", "--quiet", path.string()});
    json lease{{"scope_type", "file"}, {"scope_path", "leased.txt"}, {"owner_session", "check"}};
    must({orchestrator.string(), "once", "--repo", path.string(), "--method", "lock.acquire",
          "--params", lease.dump()});
  }
  proving_ground(const proving_ground&) = delete;
  proving_ground& operator=(const proving_ground&) = delete;
  ~proving_ground() {
    std::error_code left;
    fs::remove_all(path, left);
  }

  fs::path path;

private:
  void must(std::vector<std::string> argv) const {
    auto name = argv.front();
    auto result = run({std::move(argv), path});
    if (!result.ok())
      throw std::runtime_error{fmt::format("{} failed: {}{}", name, result.err, result.out)};
  }
};

/// The payload of an edit, as the command line would send it.
json edit_of(agent_client client, const fs::path& directory, const std::string& file) {
  json payload{
    {"session_id", "check"}, {"cwd", directory.string()}, {"hook_event_name", "PreToolUse"}};
  if (client == agent_client::claude) {
    payload["tool_name"] = "Edit";
    payload["tool_input"] = {{"file_path", (directory / file).string()}};
  } else {
    payload["turn_id"] = "check";
    payload["tool_name"] = "apply_patch";
    payload["tool_input"] = {
      {"command", fmt::format("*** Begin Patch\n*** Add File: {}\n+x\n*** End Patch\n", file)}};
  }
  return payload;
}

outcome fire(const std::string& command, const json& payload, const fs::path& directory) {
  program shell{{"/bin/sh", "-c", command}, directory};
  shell.input = payload.dump();
  shell.timeout = std::chrono::seconds{30};
  shell.unset = {"ORCH_EVENT_LOG", "ORCH_SESSION", "ORCH_HOOK_WAIT_SECONDS"};
  return run(shell);
}

std::string words_of(const outcome& said) {
  auto text = said.err + said.out;
  while (text.ends_with('\n'))
    text.pop_back();
  return text;
}

/// The command of our hook for edits, exactly as the settings have it; empty if there is none.
std::string installed_command(const ordered_json& settings) {
  if (!settings.is_object() || !settings.contains("hooks"))
    return {};
  const auto& hooks = settings["hooks"];
  if (!hooks.is_object() || !hooks.contains("PreToolUse"))
    return {};
  for (const auto& handler : own_handlers_in(hooks["PreToolUse"]))
    return handler["command"].get<std::string>();
  return {};
}

void check_hook(const install_request& request, findings& found) {
  auto file = hooks_file(request);
  auto command = installed_command(json_text{read_file(file).value_or("")}.at({}));
  if (command.empty()) {
    found.wrong(fmt::format("{} has no hook of codex-orchestrator for PreToolUse; run "
                            "codex-orchestrator install --client {}",
                            file.string(), word_for(request.client)));
    return;
  }
  proving_ground ground{request.program};
  auto begin = std::chrono::steady_clock::now();
  auto leased = fire(command, edit_of(request.client, ground.path, "leased.txt"), ground.path);
  auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  auto free = fire(command, edit_of(request.client, ground.path, "free.txt"), ground.path);
  if (leased.exit_code != 2)
    found.wrong(fmt::format("the hook let an edit of a leased file pass (exit code {}): {}\n      "
                            "its command: {}",
                            leased.exit_code, words_of(leased), command));
  else if (!free.ok())
    found.wrong(
      fmt::format("the hook refused an edit of a file that nobody holds: {}", words_of(free)));
  else
    found.fine(fmt::format("the hook in {} refuses an edit of a leased file ({} ms with its shell) "
                           "and lets others pass\n      its words: {}",
                           file.string(), took.count(), words_of(leased)));
}

/// The program that the user's shell would find; empty if there is none.
fs::path on_path(std::string_view name) {
  auto search = std::getenv("PATH");
  std::string_view rest = search ? search : "";
  while (!rest.empty()) {
    auto end = std::min(rest.find(':'), rest.size());
    auto candidate = fs::path{rest.substr(0, end)} / name;
    if (::access(candidate.c_str(), X_OK) == 0)
      return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

void check_codex(const install_request& request, findings& found) {
  auto config = read_file(request.places.codex_home / "config.toml").value_or("");
  check_toml(config);
  if (toml_value_at(config, {"features", "hooks"}) == "false")
    found.wrong("Codex runs no hooks at all: features.hooks = false in its config.toml");
  // Codex keeps a hash of each hook that was trusted under its file, event and place.
  auto file = hooks_file(request);
  auto trusted = false;
  for (const auto& name : {file, fs::weakly_canonical(file)})
    trusted = trusted || config.find(name.string() + ":pre_tool_use:") != std::string::npos;
  if (!trusted)
    found.note(
      "Codex was not told to trust the hook yet: start codex once and choose \"Trust all "
      "and continue\" (or /hooks), or start it with --dangerously-bypass-hook-trust. Until "
      "then it skips the hook without a word.");
  else
    found.fine("Codex has a record of trust for it; after each change of the hook it asks again");
}

void check_claude(const install_request& request, findings& found) {
  for (const auto& file : {hooks_file(request), request.places.claude_home / "settings.json"})
    if (json_text{read_file(file).value_or("")}.at({"disableAllHooks"}) == true)
      found.wrong(
        fmt::format("Claude Code runs no hooks at all: disableAllHooks in {}", file.string()));
  found.note(
    "Claude Code asks for no trust in hooks of its own settings; those of a repository run "
    "once its folder is trusted");
}

} // namespace

int check_install(const install_request& request) {
  findings found;
  for (const auto& part : installed_state(request)) {
    auto where = fmt::format("{}: {}", part.what, part.paths.front());
    if (!part.present)
      found.wrong(fmt::format("{} is not installed{}{}", where, part.reason.empty() ? "" : ": ",
                              part.reason));
    else if (part.stale)
      found.wrong(fmt::format("{} {}; run install again", where, part.reason));
    else
      found.fine(where);
  }
  check_hook(request, found);
  auto client = on_path(word_for(request.client));
  if (client.empty())
    found.note(fmt::format("there is no {} on PATH", word_for(request.client)));
  else
    found.note(fmt::format("{} is on PATH", client.string()));
  if (request.client == agent_client::codex)
    check_codex(request, found);
  else
    check_claude(request, found);
  std::cout << (found.good ? "All is well.\n" : "Something is wrong.\n");
  return found.good ? 0 : 1;
}

} // namespace orch
