#include "client.hpp"
#include "io/guides.hpp"
#include "io/install.hpp"
#include "io/install_parts.hpp"
#include "io/marked_block.hpp"
#include "io/toml_text.hpp"

#include <sys/stat.h>

#include <csignal>
#include <map>
#include <thread>

namespace {

using namespace orch::test;
using orch::agent_client;
using orch::install_action;

/// A user with an empty home.
struct user : sandbox {
  ended install(const words& more) const {
    words all{"install"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }

  ended done(const words& more) const {
    auto result = install(more);
    INFO(result.out << result.err);
    REQUIRE(result.code == 0);
    return result;
  }

  path home() const { return base / "home"; }

  /// Every file below the user's directory and what is in it.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{base}) {
      auto name = entry.path().lexically_relative(base).string();
      if (name.find(".git/") == std::string::npos && !name.starts_with("home/stderr-"))
        all[name] = entry.is_regular_file() ? read(entry.path()) : "directory";
    }
    return all;
  }

  json parsed(const path& file) const { return json::parse(read(file)); }

  orch::install_request request(agent_client client) const {
    return {client,
            {home(), home() / ".codex", home() / ".claude", home() / ".claude.json"},
            ORCH_PROGRAM};
  }
};

const words codex{"--client", "codex"};
const words claude{"--client", "claude"};

words with(words some, const words& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

constexpr std::string_view settings =
  "{\n    \"model\": \"x\",\n    \"hooks\": {\n        \"Stop\": "
  "[{\"hooks\": [{\"type\": \"command\", \"command\": "
  "\"mine\"}]}]\n    }\n}";

std::vector<std::string> stale_parts(const orch::install_request& request) {
  std::vector<std::string> names;
  for (const auto& part : orch::installed_state(request))
    if (part.stale)
      names.push_back(part.what);
  return names;
}

} // namespace

TEST_CASE_METHOD(user, "install: Codex gets a server, hooks and guides", "[install]") {
  done(codex);
  auto config = read(home() / ".codex" / "config.toml");
  CHECK(orch::toml_value_at(config, {"mcp_servers", "orchestrator", "command"}) == ORCH_PROGRAM);
  CHECK(orch::toml_value_at(config, {"mcp_servers", "orchestrator", "required"}) == "true");
  CHECK_THAT(config, Catch::Contains("tool_timeout_sec = 120.0"));
  auto hooks = parsed(home() / ".codex" / "hooks.json")["hooks"];
  for (const auto& event : orch::hook_events(agent_client::codex))
    CHECK(hooks[std::string{event.name}][0]["hooks"][0]["command"]
          == "\"" ORCH_PROGRAM "\" hook --client codex");
  CHECK(hooks["PreToolUse"][0]["matcher"] == "apply_patch|Edit|Write|Bash");
  for (const auto& guide : orch::guides()) {
    auto skill = read(home() / ".agents/skills" / guide.skill / "SKILL.md");
    CHECK_THAT(skill, Catch::StartsWith("---\nname: " + std::string{guide.skill} + "\n"));
    CHECK_THAT(skill, Catch::EndsWith(std::string{guide.text}));
  }
}

TEST_CASE_METHOD(user, "install: Claude Code gets a server, hooks, permissions and guides",
                 "[install]") {
  done(claude);
  auto server = parsed(home() / ".claude.json")["mcpServers"]["orchestrator"];
  CHECK(server["type"] == "stdio");
  CHECK(server["command"] == ORCH_PROGRAM);
  CHECK(server["args"] == json::array({"serve", "--optional-repo"}));
  auto set = parsed(home() / ".claude/settings.json");
  CHECK(set["permissions"]["allow"] == json{"mcp__orchestrator"});
  CHECK(set["hooks"]["PreToolUse"][0]["matcher"] == "Edit|Write|MultiEdit|NotebookEdit");
  CHECK(set["hooks"]["Stop"][0]["hooks"][0]["command"]
        == "\"" ORCH_PROGRAM "\" hook --client claude");
  CHECK(std::filesystem::exists(home() / ".claude/skills/orchestrator-worker/SKILL.md"));
}

TEST_CASE_METHOD(user, "install: a second time changes nothing", "[install]") {
  auto client = GENERATE(codex, claude);
  auto where = GENERATE(as<words>{}, words{}, words{"--repo", "repo"});
  done(with(client, where));
  auto before = files();
  CHECK_THAT(done(with(client, where)).out, Catch::StartsWith("Everything is installed already."));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: what is uninstalled is as if it never was", "[install]") {
  auto client = GENERATE(codex, claude);
  auto where = GENERATE(as<words>{}, words{}, words{"--repo", "repo"});
  auto earlier = GENERATE(false, true);
  if (earlier) {
    write(home() / ".codex/config.toml", "model = \"m\"\r\n[mcp_servers.other]\r\ncommand = \"o\"");
    write(home() / ".codex/hooks.json", settings);
    write(home() / ".claude/settings.json", settings);
    write(home() / ".claude.json", "{\"numStartups\": 1.50}");
    write(home() / ".agents/skills/mine/SKILL.md", "mine");
    write(root / ".mcp.json", "{\n\t\"mcpServers\": {\"o\": {\"command\": \"o\"}}\n}\n");
  }
  auto before = files();
  done(with(client, where));
  CHECK(files() != before);
  done(with(with(client, where), {"--uninstall"}));
  CHECK(files() == before);
  CHECK_THAT(done(with(with(client, where), {"--uninstall"})).out, Catch::StartsWith("Nothing of"));
}

TEST_CASE_METHOD(user, "install: what was empty before is empty again, byte for byte",
                 "[install]") {
  auto client = GENERATE(codex, claude);
  auto where = GENERATE(as<words>{}, words{}, words{"--repo", "repo"});
  auto [json_text, toml_text] = GENERATE(table<std::string, std::string>({
    {"", ""},
    {"{}", "\n"},
    {" {\r\n } \n", "\r\n\r\n"},
    {"\xef\xbb\xbf{}", "# mine"},
    {R"({ "mcpServers": {}, "hooks": { }, "permissions": {"allow": []} })", "[mcp_servers]\n"},
    {"{\"mcpServers\": {\r\n },\r\n\"hooks\":{\"PreToolUse\":[],\"Stop\": [\r\n\r\n]},"
     "\"permissions\": {\r\n}}\r\n",
     "[features]\r\nhooks = true"},
    {R"({"hooks":{"PreToolUse":[]}})", " "},
  }));
  for (const auto& place : {home(), root}) {
    write(place / ".codex/config.toml", toml_text);
    write(place / ".codex/hooks.json", json_text);
    write(place / ".claude/settings.json", json_text);
    write(place / ".claude.json", json_text);
    write(place / ".mcp.json", json_text);
    write(place / ".claude/skills/orchestrator-root/SKILL.md", "");
    std::filesystem::create_directories(place / ".agents/skills/orchestrator-worker");
  }
  auto before = files();
  done(with(client, where));
  done(with(client, where));
  done(with(with(client, where), {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: empty directories that were there stay", "[install]") {
  for (auto name : {".codex", ".claude", ".agents", ".local/state/codex"})
    std::filesystem::create_directories(home() / name);
  std::filesystem::create_directories(root / ".claude/skills");
  auto before = files();
  auto client = GENERATE(codex, claude);
  auto where = GENERATE(as<words>{}, words{}, words{"--repo", "repo"});
  done(with(with(client, where), {"--uninstall"}));
  CHECK(files() == before);
  done(with(client, where));
  done(with(with(client, where), {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: what others add meanwhile stays", "[install]") {
  write(home() / ".claude.json", R"({"mcpServers": { }})");
  done(claude);
  auto servers = parsed(home() / ".claude.json");
  servers["mcpServers"]["other"] = {{"command", "o"}};
  servers["numStartups"] = 2;
  write(home() / ".claude.json", servers.dump());
  auto set = parsed(home() / ".claude/settings.json");
  set["model"] = "m";
  write(home() / ".claude/settings.json", set.dump());
  done(with(claude, {"--uninstall"}));
  servers["mcpServers"].erase("orchestrator");
  CHECK(parsed(home() / ".claude.json") == servers);
  CHECK(parsed(home() / ".claude/settings.json") == json{{"model", "m"}});
}

TEST_CASE_METHOD(user, "install: what an older version installed goes as it did", "[install]") {
  auto client = GENERATE(codex, claude);
  auto before = files();
  done(client);
  std::filesystem::remove_all(home() / ".local");
  done(with(client, {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: a record that is damaged is said and stops nobody", "[install]") {
  auto record = home() / ".local/state/codex-orchestrator/before-install.json";
  auto text = GENERATE(as<std::string>{}, "", "[]", "{", "{\"keep\": 1, \"files\": {}}",
                       "{\"keep\": \"\", \"files\": {\"x\": {\"existed\": 1}}}");
  write(record, text);
  CHECK_THAT(done(codex).out, Catch::Contains("Note: " + record.string()));
  CHECK(parsed(record)["files"].size() == 7);
  done(with(codex, {"--uninstall"}));
  CHECK_FALSE(std::filesystem::exists(home() / ".codex"));
  CHECK_FALSE(std::filesystem::exists(record));
}

TEST_CASE_METHOD(user, "install: a dry run shows the changes and writes nothing", "[install]") {
  write(home() / ".codex/config.toml", "model = \"m\"\n");
  auto before = files();
  auto out = done(with(codex, {"--dry-run"})).out;
  CHECK(files() == before);
  CHECK_THAT(out, Catch::Contains("--- " + (home() / ".codex/config.toml").string()));
  CHECK_THAT(out, Catch::Contains("\n model = \"m\"\n+# >>> codex-orchestrator"));
  CHECK_THAT(out, Catch::Contains("--- /dev/null\n+++ " + (home() / ".codex/hooks.json").string()));
}

TEST_CASE_METHOD(user, "install: what others wrote keeps its bytes", "[install]") {
  write(home() / ".claude/settings.json", settings);
  done(claude);
  auto text = read(home() / ".claude/settings.json");
  std::string kept{settings.substr(0, settings.find("\n    }\n}"))};
  CHECK_THAT(text, Catch::StartsWith(kept.substr(0, kept.size() - 2)));
  auto hooks = json::parse(text)["hooks"];
  CHECK(hooks["Stop"].size() == 2);
  CHECK(hooks["Stop"][0]["hooks"][0]["command"] == "mine");
}

TEST_CASE_METHOD(user, "install: a definition of somebody else is refused with file and line",
                 "[install]") {
  auto [file, text, line, key] = GENERATE(table<std::string, std::string, int, std::string>({
    {".codex/config.toml", "a = 1\n\n[mcp_servers.orchestrator]\ncommand = \"x\"\n", 3,
     "mcp_servers.orchestrator"},
    {".codex/config.toml", "mcp_servers = {orchestrator = {command = \"x\"}}\n", 1,
     "mcp_servers.orchestrator"},
    {".codex/config.toml", "mcp_servers = {other = {command = \"x\"}}\n", 4, "no valid TOML"},
    {".codex/config.toml", "a = \n", 1, ""},
    {".codex/config.toml", "# <<< codex-orchestrator <<<\n", 1, "never began"},
    {".codex/hooks.json", "{\n  // mine\n}\n", 2, "not plain JSON"},
    {".codex/hooks.json", "[]", 1, "not a JSON object"},
    {".claude.json", "{\n\"mcpServers\": {\n\"orchestrator\": {\"command\": \"x\"}}}", 3,
     "mcpServers.orchestrator"},
    {".claude/settings.json", "{\"hooks\": 1", 1, "not plain JSON"},
  }));
  write(home() / file, text);
  auto before = files();
  auto refused = install(file.starts_with(".codex") ? codex : claude);
  INFO(refused.err);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains((home() / file).string() + ":" + std::to_string(line))
                            && Catch::Contains(key) && Catch::Contains("nothing was written"));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: a wrong kind of member is refused with its name", "[install]") {
  auto [text, key] = GENERATE(table<std::string, std::string>({
    {"{\"hooks\": []}", "hooks is a list and has to be an object: {...}"},
    {"{\"hooks\": {\"Stop\": {}}}", "hooks.Stop is an object and has to be a list: [...]"},
    {"{\"permissions\": {\"allow\": \"x\"}}", "permissions.allow is a text and has to be a list"},
    {"{\"permissions\": null}", "permissions is null and has to be an object"},
  }));
  write(home() / ".claude/settings.json", text);
  auto refused = install(claude);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains(".claude/settings.json:1: " + key));
  CHECK(read(home() / ".claude/settings.json") == text);
  done(with(claude, {"--uninstall"}));
  CHECK(read(home() / ".claude/settings.json") == text);
}

TEST_CASE_METHOD(user, "install: servers that are no object are refused with what they have to be",
                 "[install]") {
  auto [text, kind] = GENERATE(table<std::string, std::string>(
    {{"[]", "a list"}, {"[1]", "a list"}, {"7", "a number"}, {"true", "a truth value"}}));
  write(home() / ".claude.json", "{\n\"mcpServers\": " + text + "\n}");
  auto refused = install(claude);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains((home() / ".claude.json").string() + ":2: mcpServers is "
                                          + kind + " and has to be an object: {...}"));
  CHECK(install(with(claude, {"--check"})).code == 1);
  done(with(claude, {"--uninstall"}));
}

TEST_CASE_METHOD(user, "install: a guide of somebody else is not replaced", "[install]") {
  auto file = home() / ".agents/skills/orchestrator-root/SKILL.md";
  write(file, "mine");
  CHECK_THAT(install(codex).err, Catch::Contains(file.string() + ": is there already"));
  CHECK_FALSE(std::filesystem::exists(home() / ".codex"));
}

TEST_CASE_METHOD(user, "install: a symlinked settings file is followed and keeps its mode",
                 "[install]") {
  auto real = base / "dotfiles" / "config.toml";
  write(real, "model = \"m\"\n");
  ::chmod(real.c_str(), 0640);
  std::filesystem::create_directories(home() / ".codex");
  std::filesystem::create_symlink(real, home() / ".codex/config.toml");
  done(codex);
  CHECK(std::filesystem::is_symlink(home() / ".codex/config.toml"));
  CHECK_THAT(read(real), Catch::Contains("mcp_servers.orchestrator"));
  CHECK(std::filesystem::status(real).permissions() == std::filesystem::perms{0640});
  done(with(codex, {"--uninstall"}));
  CHECK(read(real) == "model = \"m\"\n");
}

TEST_CASE_METHOD(user, "install: a symlink that leads nowhere is followed and kept", "[install]") {
  auto links = home() / "links";
  std::filesystem::create_directories(home() / ".codex");
  std::filesystem::create_directories(links);
  // Over a relative link to another one, into directories that are not there.
  std::filesystem::create_symlink("../links/config", home() / ".codex/config.toml");
  std::filesystem::create_symlink("../../dotfiles/codex/config.toml", links / "config");
  // A directory that is not there, either.
  std::filesystem::create_symlink(base / "dotfiles/agents", home() / ".agents");
  auto before = files();
  auto real = base / "dotfiles/codex/config.toml";
  done(codex);
  CHECK(std::filesystem::is_symlink(home() / ".codex/config.toml"));
  CHECK(std::filesystem::is_symlink(links / "config"));
  CHECK_THAT(read(real), Catch::Contains("mcp_servers.orchestrator"));
  CHECK(std::filesystem::exists(base / "dotfiles/agents/skills/orchestrator-root/SKILL.md"));
  CHECK(stale_parts(request(agent_client::codex)).empty());
  done(with(codex, {"--uninstall"}));
  CHECK(std::filesystem::read_symlink(home() / ".codex/config.toml") == "../links/config");
  CHECK(std::filesystem::is_symlink(home() / ".agents"));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: symlinks in a circle are refused", "[install]") {
  std::filesystem::create_directories(home() / ".codex");
  std::filesystem::create_symlink("config.toml", home() / ".codex/config.toml");
  auto refused = install(codex);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains("config.toml"));
  CHECK_FALSE(std::filesystem::exists(home() / ".codex/hooks.json"));
}

TEST_CASE_METHOD(user, "install: what is no regular file is refused at once", "[install]") {
  auto [file, client] = GENERATE(table<std::string, words>({
    {".codex/config.toml", codex},
    {".codex/hooks.json", codex},
    {".claude.json", claude},
    {".claude/settings.json", claude},
    {".agents/skills/orchestrator-root/SKILL.md", codex},
  }));
  std::filesystem::create_directories((home() / file).parent_path());
  SECTION("a FIFO") {
    REQUIRE(::mkfifo((home() / file).c_str(), 0600) == 0);
  }
  SECTION("a device") {
    std::filesystem::create_symlink("/dev/zero", home() / file);
  }
  SECTION("a huge one") {
    write(home() / file, "");
    std::filesystem::resize_file(home() / file, 1ULL << 40);
  }
  auto begin = std::chrono::steady_clock::now();
  for (const auto& more : {words{}, words{"--dry-run"}, words{"--uninstall"}}) {
    auto refused = install(with(client, more));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains((home() / file).string()));
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
}

TEST_CASE_METHOD(user, "install: what is nested too deep is refused", "[install]") {
  std::string deep(100'000, '[');
  auto [file, text, client] = GENERATE_COPY(table<std::string, std::string, words>({
    {".codex/hooks.json", deep, codex},
    {".codex/hooks.json", "{\"a\": " + deep + std::string(deep.size(), ']') + "}", codex},
    {".claude.json", "{\"mcpServers\": {\"orchestrator\":" + deep, claude},
    {".claude/settings.json", deep, claude},
  }));
  write(home() / file, text);
  for (const auto& more : {words{}, words{"--dry-run"}, words{"--uninstall"}}) {
    auto refused = install(with(client, more));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains(file + ":1: nested deeper than 500 levels"));
  }
  CHECK(install(with(client, {"--check"})).code > 0);
  CHECK(install(with(client, {"--check"})).code < 128);
  CHECK(read(home() / file) == text);
}

TEST_CASE_METHOD(user, "install: TOML tables in tables without end are refused", "[install]") {
  std::string key = "a";
  for (int i = 0; i < 100'000; ++i)
    key += ".a";
  auto text = GENERATE_COPY("x = 1\n[" + key + "]\n", "x = 1\n" + key + " = 1\n");
  write(home() / ".codex/config.toml", text);
  auto refused = install(codex);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains("config.toml:2: more than 2000 dots"));
}

TEST_CASE_METHOD(user, "install: marks in a text over several lines are not ours", "[install]") {
  std::string begin{orch::hash_marks.begin};
  std::string end{orch::hash_marks.end};
  auto [text, line] = GENERATE_COPY(table<std::string, int>({
    {"a = \"\"\"\n" + begin + "\nmine\n" + end + "\n\"\"\"\n", 2},
    {"a = '''\n" + begin + "\nmine\n" + end + "'''\n", 2},
    {"a = '''\n" + begin + "\n'''\nb = 1\n" + end + "\n", 2},
    {"x = 1\n" + begin + "\nb = 1\na = \"\"\"\n" + end + "\n\"\"\"\n", 2},
  }));
  write(home() / ".codex/config.toml", text);
  for (const auto& more : {words{}, words{"--uninstall"}}) {
    auto refused = install(with(codex, more));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains("config.toml:" + std::to_string(line)
                                            + ": what looks like the block"));
  }
  auto checked = install(with(codex, {"--check"}));
  CHECK(checked.code == 1);
  CHECK_THAT(checked.out, Catch::Contains("WRONG MCP server"));
  CHECK(read(home() / ".codex/config.toml") == text);
}

TEST_CASE_METHOD(user, "install: what a killed one left half written goes", "[install]") {
  std::filesystem::create_directories(home() / ".codex");
  auto before = files();
  auto leftover = home() / ".codex/.config.toml.codex-orch-a1B2c3";
  words others{".config.toml.codex-orch-a1B2c3d", "config.toml.a1B2c3", ".other.codex-orch-a1B2c3"};
  auto action = GENERATE(as<words>{}, words{}, words{"--uninstall"});
  write(leftover, "half");
  for (const auto& other : others)
    write(home() / ".codex" / other, "mine");
  done(with(codex, {"--dry-run"}));
  CHECK(std::filesystem::exists(leftover));
  done(with(codex, action));
  CHECK_FALSE(std::filesystem::exists(leftover));
  for (const auto& other : others)
    CHECK(std::filesystem::remove(home() / ".codex" / other));
  done(with(codex, {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: directories that a killed one made for nothing go", "[install]") {
  auto before = files();
  done(codex);
  auto record = home() / ".local/state/codex-orchestrator/before-install.json";
  auto kept = read(record);
  done(with(codex, {"--uninstall"}));
  // As if it had been killed right after the first directory.
  write(record, kept);
  std::filesystem::create_directories(home() / ".agents");
  done(with(codex, {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: one that is killed at any time leaves nothing behind",
                 "[install]") {
  write(home() / ".claude.json", "{\"mcpServers\": {}}");
  std::filesystem::create_directories(home() / ".local/state");
  auto client = GENERATE(codex, claude);
  auto before = files();
  // The moment of the kill is what each round is about; nothing is waited for.
  for (int ms = 0; ms < 60; ms += 3) {
    words command{ORCH_PROGRAM, "install"};
    {
      program killed{with(command, client), home(), base};
      std::this_thread::sleep_for(std::chrono::milliseconds{ms});
      killed.kill(SIGKILL);
      killed.wait();
    }
    {
      program killed{with(with(command, client), {"--uninstall"}), home(), base};
      std::this_thread::sleep_for(std::chrono::milliseconds{ms});
      killed.kill(SIGKILL);
      killed.wait();
    }
  }
  done(client);
  done(with(client, {"--uninstall"}));
  auto left = files();
  std::string names;
  for (const auto& [name, text] : left)
    if (!before.contains(name))
      names += name + "\n";
  INFO("left behind:\n" << names);
  CHECK(left == before);
}

TEST_CASE_METHOD(user, "install: hooks of an older place are replaced where they are",
                 "[install]") {
  write(home() / ".codex/hooks.json",
        R"({"hooks": {"Stop": [
  {"hooks": [{"type": "command", "command": "first"}]},
  {"hooks": [{"type": "command", "command": "'/old place/codex-orchestrator' hook --client codex"}]},
  {"hooks": [{"type": "command", "command": "last"}]}
], "Gone": [{"hooks": [{"type": "command", "command": "/x/codex-orchestrator hook"}]}]}})");
  done(codex);
  auto hooks = parsed(home() / ".codex/hooks.json")["hooks"];
  REQUIRE(hooks["Stop"].size() == 3);
  CHECK(hooks["Stop"][0]["hooks"][0]["command"] == "first");
  CHECK(hooks["Stop"][1]["hooks"][0]["command"] == "\"" ORCH_PROGRAM "\" hook --client codex");
  CHECK(hooks["Stop"][2]["hooks"][0]["command"] == "last");
  CHECK_FALSE(hooks.contains("Gone"));
}

TEST_CASE("install: a command is ours if it runs our program's hook", "[install]") {
  auto [command, program] = GENERATE(table<std::string, std::string>({
    {"codex-orchestrator hook", "codex-orchestrator"},
    {"\"/a b/codex-orchestrator\" hook --client codex", "/a b/codex-orchestrator"},
    {"'/a $b/codex-orchestrator' hook", "/a $b/codex-orchestrator"},
    {"/a\\ b/codex-orchestrator hook", "/a b/codex-orchestrator"},
    {"codex-orchestrator serve", ""},
    {"/x/hook codex-orchestrator", ""},
    {"my-codex-orchestrator hook", ""},
    {"echo codex-orchestrator hook", ""},
    {"", ""},
  }));
  CHECK(orch::own_hook_program(command).value_or("") == program);
}

TEST_CASE("install: the command survives the shell, whatever the program is called", "[install]") {
  orch::install_request request;
  request.program = "/a \"b\" $HOME `c` \\d/codex-orchestrator";
  auto command = orch::hook_command(request);
  CHECK(orch::own_hook_program(command) == request.program);
  sandbox place;
  auto said =
    program{{"sh", "-c", "printf %s " + command}, place.base / "home", place.base}.finish();
  CHECK_THAT(said.out, Catch::StartsWith(request.program.string()));
}

TEST_CASE_METHOD(user, "install: the state says what is there and what is stale", "[install]") {
  auto client = GENERATE(agent_client::codex, agent_client::claude);
  auto wanted = request(client);
  for (const auto& part : orch::installed_state(wanted)) {
    CHECK_FALSE(part.present);
    CHECK(part.reason.empty());
  }
  orch::apply_changes(orch::plan_install(wanted, install_action::add).files);
  for (const auto& part : orch::installed_state(wanted)) {
    CHECK(part.present);
    CHECK_FALSE(part.stale);
  }
  auto moved = wanted;
  moved.program = "/gone/codex-orchestrator";
  orch::apply_changes(orch::plan_install(moved, install_action::add).files);
  auto parts = orch::installed_state(wanted);
  CHECK(parts[0].stale);
  CHECK(parts[0].reason == "starts /gone/codex-orchestrator, which is gone");
  CHECK(parts[1].reason == parts[0].reason);
  CHECK(stale_parts(wanted).size() == 2);
}

TEST_CASE_METHOD(user, "install: a guide that was edited is stale", "[install]") {
  done(codex);
  auto file = home() / ".agents/skills/orchestrator-worker/SKILL.md";
  write(file, read(file) + "more\n");
  CHECK(stale_parts(request(agent_client::codex)) == words{"guide worker"});
  done(codex);
  CHECK(stale_parts(request(agent_client::codex)).empty());
}

TEST_CASE_METHOD(user, "install: a file that cannot be looked at is the reason of its part",
                 "[install]") {
  write(home() / ".codex/config.toml", "# >>> codex-orchestrator >>>\n");
  auto first = orch::installed_state(request(agent_client::codex))[0];
  CHECK_FALSE(first.present);
  CHECK_THAT(first.reason, Catch::Contains("config.toml:1: ") && Catch::Contains("never ends"));
}

TEST_CASE_METHOD(user, "install: a user's file that is damaged keeps no repository from its state",
                 "[install]") {
  auto damaged = home() / ".codex/config.toml";
  write(damaged, "# >>> codex-orchestrator >>>\n");
  auto wanted = request(agent_client::codex);
  wanted.places.repo = root;
  CHECK_FALSE(orch::installed_state(wanted).front().present);
  std::filesystem::remove(damaged);
  REQUIRE(::mkfifo(damaged.c_str(), 0600) == 0);
  CHECK_FALSE(orch::installed_state(wanted).front().present);
}

TEST_CASE_METHOD(user, "install: check says of odd hooks that ours is missing", "[install]") {
  auto hooks = GENERATE(as<std::string>{}, "[]", "{\"PreToolUse\": 7}", "{\"PreToolUse\": [7]}",
                        "{\"PreToolUse\": [{\"hooks\": {\"a\": 1}}]}",
                        "{\"PreToolUse\": [{\"hooks\": [7, {\"command\": 7}]}]}");
  write(home() / ".codex/hooks.json", "{\"hooks\": " + hooks + "}");
  auto checked = install(with(codex, {"--check"}));
  CHECK(checked.code == 1);
  CHECK_THAT(checked.out, Catch::Contains("has no hook of codex-orchestrator"));
}

TEST_CASE_METHOD(user, "install: nothing is written when one file cannot be", "[install]") {
  std::vector<orch::file_change> changes{
    {home() / "new" / "one", {}, "1", "", 0644, home()},
    {home() / "two", {}, "2", "", 0644, home()},
  };
  write(home() / "two/in the way", "x");
  CHECK_THROWS_WITH(orch::apply_changes(changes), Catch::Contains("two"));
  CHECK_FALSE(std::filesystem::exists(home() / "new"));
  changes[1] = {home() / "three", "was there", "3", "", 0644, home()};
  CHECK_THROWS_WITH(orch::apply_changes(changes), Catch::Contains("changed by somebody else"));
  CHECK_FALSE(std::filesystem::exists(home() / "new"));
}

TEST_CASE_METHOD(user, "install: check proves that the hook refuses", "[install]") {
  auto client = GENERATE(codex, claude);
  CHECK_THAT(install(with(client, {"--check"})).out, Catch::Contains("has no hook"));
  done(client);
  auto checked = install(with(client, {"--check"}));
  INFO(checked.out << checked.err);
  CHECK(checked.code == 0);
  CHECK_THAT(checked.out, Catch::Contains("refuses an edit of a leased file")
                            && Catch::Contains("leased.txt is leased to session check"));
}

TEST_CASE_METHOD(user, "install: check finds a hook that does not fire", "[install]") {
  done(claude);
  auto file = home() / ".claude/settings.json";
  auto text = read(file);
  auto [change, complaint] = GENERATE(table<std::string, std::string>({
    {" hook --client claude || true", "let an edit of a leased file pass"},
    {" hook --client claude; exit 2", "refused an edit of a file that nobody holds"},
  }));
  auto hook = std::string{" hook --client claude"};
  for (auto at = text.find(hook); at != std::string::npos; at = text.find(hook, at + change.size()))
    text.replace(at, hook.size(), change);
  write(file, text);
  auto checked = install(with(claude, {"--check"}));
  CHECK(checked.code == 1);
  CHECK_THAT(checked.out, Catch::Contains("WRONG the hook " + complaint));
}

TEST_CASE_METHOD(user, "install: check finds hooks that are switched off", "[install]") {
  write(home() / ".codex/config.toml", "[features]\nhooks = false\n");
  write(home() / ".claude/settings.json", "{\"disableAllHooks\": true}");
  auto client = GENERATE(codex, claude);
  done(client);
  auto checked = install(with(client, {"--check"}));
  CHECK(checked.code == 1);
  CHECK_THAT(checked.out, Catch::Contains("runs no hooks at all"));
}

TEST_CASE_METHOD(user, "install: hooks of Codex stay while the user needs them", "[install]") {
  done(codex);
  done(with(codex, {"--repo", "repo"}));
  done(with(codex, {"--repo", "repo", "--uninstall"}));
  CHECK_FALSE(std::filesystem::exists(root / ".codex"));
  CHECK(std::filesystem::exists(home() / ".codex/hooks.json"));
  CHECK(stale_parts(request(agent_client::codex)).empty());
}

TEST_CASE_METHOD(user, "install: check knows hooks that the user and a repository share",
                 "[install]") {
  auto before = files();
  done(codex);
  done(with(codex, {"--repo", "repo"}));
  CHECK(install(with(codex, {"--repo", "repo", "--check"})).code == 0);
  done(with(codex, {"--repo", "repo", "--uninstall"}));
  CHECK(install(with(codex, {"--check"})).code == 0);
  done(with(codex, {"--uninstall"}));
  CHECK(files() == before);
}

TEST_CASE_METHOD(user, "install: bad usage is refused", "[install]") {
  auto more = GENERATE(as<words>{}, words{}, words{"--client", "emacs"},
                       words{"--client", "codex", "--user", "--repo", "repo"},
                       words{"--client", "codex", "--repo", "home"},
                       words{"--client", "codex", "--uninstall", "--check"});
  auto refused = install(more);
  CHECK(refused.code == 2);
  CHECK_FALSE(refused.err.empty());
  CHECK(refused.out.empty());
}

TEST_CASE("install: guides name only tools that exist or come with threads", "[install]") {
  words known{"thread_root_ensure",
              "thread_child_spawn",
              "thread_child_list",
              "thread_child_status",
              "thread_child_wait_status",
              "thread_child_directive",
              "thread_child_interrupt",
              "thread_child_stop",
              "thread_attach_info",
              "inbox_send",
              "inbox_pending",
              "inbox_list",
              "inbox_deliver",
              "merge_review_request_auto",
              "merge_review_thread_status",
              "merge_review_submit",
              "runtime_tmux_ensure",
              "runtime_bundle_info"};
  for (const auto& [name, schema] : method_table().items()) {
    auto tool = schema.contains("name") ? schema["name"].get<std::string>() : name;
    std::replace(tool.begin(), tool.end(), '.', '_');
    known.push_back(tool);
  }
  words domains{"session_",  "work_",    "task_",    "case_",   "step_",      "lock_",
                "merge_",    "plan_",    "graph_",   "thread_", "inbox_",     "runtime_",
                "worktree_", "resume_n", "resume_c", "mirror_", "checkpoint_"};
  for (const auto& guide : orch::guides()) {
    std::string text{guide.text};
    // Both command lines read the front matter as YAML.
    CHECK(guide.description.find_first_of(":#\"'[]{}") == std::string_view::npos);
    CHECK(std::count(guide.file.begin(), guide.file.end(), '\n') < 60);
    for (std::size_t at = text.find('`'); at != std::string::npos; at = text.find('`', at + 1)) {
      auto end = text.find('`', at + 1);
      auto word = text.substr(at + 1, end - at - 1);
      at = end;
      for (const auto& domain : domains)
        if (word.starts_with(domain)) {
          INFO(guide.name << ": " << word);
          CHECK(std::find(known.begin(), known.end(), word) != known.end());
        }
    }
  }
  CHECK(orch::guides().size() == 5);
}

TEST_CASE("install: a guide without front matter is refused", "[install]") {
  auto text = GENERATE("text", "---\nname: x\n---\n", "---\nname: x\ndescription: y\n");
  CHECK_THROWS_WITH(orch::read_guide({"bad", text}), Catch::Contains("guide bad"));
  auto good = orch::read_guide({"good", "---\nname: x\ndescription: y \"z\"\n---\ntext\n---\n"});
  CHECK(good.description == "y \"z\"");
  CHECK(good.text == "text\n---\n");
}
