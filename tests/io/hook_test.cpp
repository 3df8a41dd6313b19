#include "client.hpp"
#include "io/edit_rules.hpp"
#include "io/hook_input.hpp"
#include "messages/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <sstream>
#include <thread>

namespace {

using namespace orch::test;
using orch::edit_facts;
using orch::judge_edit;

orch::lock lease(const std::string& type, const std::string& where, const std::string& owner) {
  orch::lock held;
  held.id = 7;
  held.scope_type = type;
  held.scope_path = where;
  held.owner_session = owner;
  held.lease_until = {1'796'000'000'000'000};
  return held;
}

/// Sessions 1 and 2 with a worktree each, and one worktree that belongs to nobody.
edit_facts facts_of(std::optional<std::string> session, std::vector<orch::lock> leases = {}) {
  edit_facts facts;
  facts.root = "/repo";
  facts.worktrees = {{1, "/repo/.codex-orch/worktrees/one", 1},
                     {2, "/repo/.codex-orch/worktrees/two", 2},
                     {3, "/elsewhere/three", {}}};
  facts.cwd = "/repo";
  facts.session = std::move(session);
  facts.leases_on = [leases](const std::string& on) {
    std::vector<orch::lock> found;
    for (const auto& held : leases)
      if (held.scope_path == on || held.scope_type == "prefix")
        found.push_back(held);
    return found;
  };
  return facts;
}

std::string verdict(const edit_facts& facts, const path& file) {
  auto refused = judge_edit(facts, file);
  return refused ? refused->reason : "allowed";
}

/// Runs the hook as a command line does.
struct hooked : contract {
  ended hook(const json& payload, const std::string& client = "claude", const words& more = {},
             const words& variables = {}) {
    words command{"env", "ORCH_HOOK_WAIT_SECONDS="};
    command.insert(command.end(), variables.begin(), variables.end());
    command.insert(command.end(), {ORCH_PROGRAM, "hook", "--client", client});
    command.insert(command.end(), more.begin(), more.end());
    program one{command, base / "home", base};
    one.send(payload.dump());
    return one.finish();
  }

  static json edit(const path& cwd, const path& file) {
    return {{"hook_event_name", "PreToolUse"},
            {"cwd", cwd.string()},
            {"tool_name", "Edit"},
            {"tool_input", {{"file_path", file.string()}}}};
  }

  static json patch(const path& cwd, const std::string& file) {
    return {{"hook_event_name", "PreToolUse"},
            {"cwd", cwd.string()},
            {"tool_name", "apply_patch"},
            {"tool_input",
             {{"command", "*** Begin Patch\n*** Update File: " + file + "\n@@\n-a\n+b\n"
                            + "*** End Patch\n"}}}};
  }

  json lease_of(const std::string& file, const std::string& owner) {
    return ask("lock.acquire",
               {{"scope_type", "file"}, {"scope_path", file}, {"owner_session", owner}});
  }

  static path worktree_of(const json& context) {
    return context.at("session_root_worktree").at("path").get<std::string>();
  }
};

} // namespace

TEST_CASE("edit hook: a lease of somebody else refuses", "[hook]") {
  auto facts = facts_of("1", {lease("file", "src/a.cpp", "2")});
  auto said = verdict(facts, "/repo/.codex-orch/worktrees/one/src/a.cpp");
  CHECK_THAT(said, Catch::Contains("src/a.cpp is leased to session 2 until 2026-11-"));
  CHECK_THAT(said, Catch::Contains("lock #7, exclusive on file src/a.cpp"));
  CHECK(judge_edit(facts, "/repo/.codex-orch/worktrees/one/src/a.cpp")->waiting_helps);
  CHECK(verdict(facts, "/repo/.codex-orch/worktrees/one/src/b.cpp") == "allowed");
}

TEST_CASE("edit hook: a lease of one's own allows", "[hook]") {
  auto facts = facts_of("2", {lease("file", "src/a.cpp", "2")});
  CHECK(verdict(facts, "/repo/.codex-orch/worktrees/two/src/a.cpp") == "allowed");
}

TEST_CASE("edit hook: what lies outside the session's worktree refuses", "[hook]") {
  auto file = GENERATE(as<std::string>{}, "/repo/src/a.cpp",
                       "/repo/.codex-orch/worktrees/two/src/a.cpp", "/elsewhere/three/src/a.cpp");
  auto refused = judge_edit(facts_of("1"), file);
  REQUIRE(refused);
  CHECK_FALSE(refused->waiting_helps);
  CHECK_THAT(refused->reason,
             Catch::Contains("outside the worktree of session 1")
               && Catch::Contains("Edit /repo/.codex-orch/worktrees/one/src/a.cpp"));
}

TEST_CASE("edit hook: files outside of the repository are not its business", "[hook]") {
  auto file = GENERATE(as<std::string>{}, "/tmp/a.cpp", "/repository/a.cpp", "/elsewhere/a.cpp");
  auto facts = facts_of("1", {lease("prefix", ".", "2")});
  CHECK(verdict(facts, file) == "allowed");
}

TEST_CASE("edit hook: who is in no worktree is held up by leases alone", "[hook]") {
  auto facts = facts_of({}, {lease("file", "src/a.cpp", "2")});
  CHECK(verdict(facts, "/repo/src/b.cpp") == "allowed");
  CHECK_THAT(verdict(facts, "/repo/src/a.cpp"), Catch::Contains("leased to session 2"));
  // Somebody without a name who writes into a worktree is taken for its session.
  CHECK(verdict(facts, "/repo/.codex-orch/worktrees/two/src/a.cpp") == "allowed");
  CHECK_THAT(verdict(facts, "/repo/.codex-orch/worktrees/one/src/a.cpp"),
             Catch::Contains("leased to session 2"));
}

TEST_CASE("edit hook: the session is the given one, or that of the worktree around", "[hook]") {
  auto trees = facts_of({}).worktrees;
  CHECK(orch::session_of(trees, "/repo/.codex-orch/worktrees/one/src", {}) == "1");
  CHECK(orch::session_of(trees, "/repo/.codex-orch/worktrees/one", "9") == "9");
  CHECK_FALSE(orch::session_of(trees, "/repo/.codex-orch/worktrees/onerous", {}));
  CHECK_FALSE(orch::session_of(trees, "/elsewhere/three", {}));
}

TEST_CASE("edit hook: a patch names its files", "[hook]") {
  auto found =
    orch::patched_paths("*** Begin Patch\n*** Update File: a b.cpp\r\n*** Move to: é.cpp\n"
                        "+*** Add File: no.cpp\n*** Add File: new/c.cpp\n+x\n"
                        "*** Delete File: d.cpp\n*** Update File: \n*** End Patch");
  CHECK(found == words{"a b.cpp", "é.cpp", "new/c.cpp", "d.cpp"});
}

TEST_CASE("edit hook: a patch is read as leniently as Codex reads it", "[hook]") {
  auto [line, names] = GENERATE(table<std::string, words>({
    {"*** Update File: a.txt ", {"a.txt"}},
    {" *** Update File: a.txt", {"a.txt"}},
    {"\t*** Delete File: a.txt\t", {"a.txt"}},
    {"*** Add File: a.txt \r", {"a.txt"}},
    {"\u00a0*** Add File: a.txt\u3000\v\f", {"a.txt"}},
    {"*** Update File:  a.txt", {" a.txt"}},
    {"*** Update File: é ", {"é"}},
    {"*** Update File: a\u00a0b", {"a\u00a0b"}},
    {"*** Move to: a.txt", {"a.txt"}},
    {"  *** Move to: a.txt", {"a.txt"}},
    {"*** Move to: a.txt \r", {"a.txt", "a.txt "}},
    {"*** Update File:", {}},
    {"*** Update File: \t", {}},
    {"+*** Update File: a.txt", {}},
    {"-\t*** Update File: a.txt", {}},
    {"*** update file: a.txt", {}},
    {"*** End of File", {}},
  }));
  INFO(line);
  for (const auto& before :
       {"*** Begin Patch\n", " *** Begin Patch \n", "<<'EOF'\n*** Begin Patch\r\n",
        "*** Begin Patch\n*** Environment ID: x\n",
        "*** Begin Patch\n*** Update File: /o\n@@\n-a\n+b\n"}) {
    auto found = orch::patched_paths(before + line + "\n*** End Patch\nEOF\n");
    std::erase(found, "/o");
    CHECK(found == names);
    found = orch::patched_paths(before + line);
    std::erase(found, "/o");
    CHECK(found == names);
  }
}

TEST_CASE("edit hook: a script may go elsewhere before it patches", "[hook]") {
  auto [script, names] = GENERATE(table<std::string, words>({
    {"cd sub && apply_patch <<'EOF'\n@", {"sub/a"}},
    {"cd 'a b'/c; apply_patch <<EOF\n@", {"a b/c/a"}},
    {"  cd \"/x y\" && cd z && apply_patch <<EOF\n@", {"/x y/z/a"}},
    {"cd sub\napply_patch <<EOF\n@EOF\ncd ..\napply_patch <<EOF\n@EOF\n", {"sub/a", "sub/../a"}},
    {"(cd sub && apply_patch \"@\")", {"sub/a"}},
    {"echo cd sub && apply_patch <<EOF\n@", {"a"}},
    {"apply_patch <<EOF\n@EOF\ncd sub\n", {"a"}},
  }));
  auto text = script;
  const std::string body = "*** Begin Patch\n*** Update File: a\n@@\n cd no\n+x\n*** End Patch\n";
  for (auto at = text.find('@'); at != std::string::npos; at = text.find('@', at + body.size()))
    text.replace(at, 1, body);
  CHECK(orch::patched_paths(text) == names);
  json payload{{"tool_name", "Bash"}, {"tool_input", {{"command", {"bash", "-lc", text}}}}};
  CHECK(orch::edited_paths(payload) == names);
  payload["tool_input"]["workdir"] = "/w";
  CHECK(path{orch::edited_paths(payload).front()} == path{"/w"} / names.front());
}

TEST_CASE("edit hook: what is deep, and half of a character, hide nothing", "[hook]") {
  std::string deep(200'000, '[');
  deep += std::string(200'000, ']');
  auto more = GENERATE_COPY(as<std::string>{}, deep, R"("\ud800")",
                            R"("\udc00\ud83d\ude00\\ud83d\ud83dx")", "{\"x\": [" + deep + "]}");
  auto input = orch::read_hook_input("claude", "",
                                     R"({"tool_name": "Edit", "tool_input": {"a": )" + more
                                       + R"(, "file_path": "/\ud83d\ude00"}})");
  CHECK(orch::edited_paths(input.payload) == words{"/😀"});
  auto patch = orch::read_hook_input("codex", "",
                                     R"({"tool_name": "shell", "tool_input": {"a": )" + more
                                       + R"(, "b": "*** Begin Patch\n*** Add File: f\n"}})");
  CHECK(orch::edited_paths(patch.payload) == words{"f"});
}

TEST_CASE("edit hook: every name that an edit could go by is judged", "[hook]") {
  auto found = orch::edited_paths({{"tool_name", "NotebookEdit"},
                                   {"tool_input", {{"file_path", "/a"}, {"notebook_path", "/b"}}}});
  CHECK(found == words{"/a", "/b"});
}

TEST_CASE("edit hook: only tools that write have files", "[hook]") {
  auto [text, file] = GENERATE(table<std::string, std::string>({
    {R"({"tool_name":"Write","tool_input":{"file_path":"/a"}})", "/a"},
    {R"({"tool_name":"NotebookEdit","tool_input":{"notebook_path":"/n"}})", "/n"},
    {R"({"tool_name":"apply_patch","tool_input":"*** Begin Patch\n*** Add File: p\n"})", "p"},
    {R"({"tool_name":"shell","tool_input":{"command":["apply_patch","*** Begin Patch\n*** Add File: s"]}})",
     "s"},
    {R"({"tool_name":"Bash","tool_input":{"command":"cat a"}})", ""},
    {R"({"tool_name":"Read","tool_input":{"file_path":"/a"}})", ""},
    {R"({"tool_name":"Edit","tool_input":{"file_path":7}})", ""},
    {R"({"tool_name":"Edit"})", ""},
  }));
  auto found = orch::edited_paths(json::parse(text));
  CHECK(found == (file.empty() ? words{} : words{file}));
}

TEST_CASE("edit hook: a text is cut between characters", "[hook]") {
  auto [most, left] = GENERATE(table<std::size_t, std::string>(
    {{0, ""}, {1, "a"}, {2, "a"}, {3, "aé"}, {5, "aé"}, {6, "aé€"}, {99, "aé€"}}));
  CHECK(orch::beginning_of("aé€", most) == left);
}

TEST_CASE("edit hook: an event is one line", "[hook]") {
  auto input = orch::read_hook_input(
    "codex", "",
    R"({"hook_event_name":"Stop","session_id":"s","turn_id":"t","cwd":"/r","last_assistant_message":"a\nb"})");
  auto line = orch::event_line(input, {"12", "x3"}, 99);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(json::parse(line)
        == json{{"at", 99},
                {"thread", 12},
                {"incarnation", "x3"},
                {"client", "codex"},
                {"event", "Stop"},
                {"session_id", "s"},
                {"turn_id", "t"},
                {"cwd", "/r"},
                {"message", "a\nb"}});
  auto named = orch::read_hook_input("codex", "Interrupt", R"({"hook_event_name":"Stop"})");
  CHECK(named.event == "Interrupt");
  CHECK(json::parse(orch::event_line(named, {}, 1))["thread"].is_null());
}

TEST_CASE("edit hook: a long message is cut to 64 KiB", "[hook]") {
  std::string text;
  while (text.size() < 100'000)
    text += "é€";
  auto input = orch::read_hook_input("claude", "Stop", json{{"prompt", text}}.dump());
  auto message = json::parse(orch::event_line(input, {}, 1))["message"].get<std::string>();
  CHECK(message.size() > 65'530);
  CHECK(message.size() <= 65'536);
}

TEST_CASE_METHOD(hooked, "edit hook: the program refuses an edit of a leased file", "[hook]") {
  auto mine = open();
  auto other = open_session();
  auto tree = worktree_of(mine);
  lease_of("a.txt", std::to_string(other));
  auto refused = hook(edit(tree, tree / "a.txt"));
  CHECK(refused.code == 2);
  CHECK(refused.out.empty());
  CHECK_THAT(refused.err,
             Catch::Contains("a.txt is leased to session " + std::to_string(other) + " until 20"));
  CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
  auto patched = hook(patch(tree, "a.txt"), "codex");
  CHECK(patched.code == 2);
  CHECK(patched.err == refused.err);
  auto free = hook(edit(tree, tree / "b.txt"));
  CHECK(free.code == 0);
  CHECK(free.out + free.err == "");
}

TEST_CASE_METHOD(hooked, "edit hook: the program knows the owner of a lease", "[hook]") {
  auto mine = open();
  auto session = mine["session"]["id"].get<int64_t>();
  auto tree = worktree_of(mine);
  lease_of("a.txt", std::to_string(session));
  CHECK(hook(edit(tree, tree / "a.txt")).code == 0);
  CHECK(hook(edit(tree, tree / "a.txt"), "claude", {}, {"ORCH_SESSION=99"}).code == 2);
}

TEST_CASE_METHOD(hooked, "edit hook: the program keeps a session in its worktree", "[hook]") {
  auto tree = worktree_of(open());
  auto other = worktree_of(open());
  git({"worktree", "add", "--quiet", (base / "own").string()});
  for (const auto& file : {root / "a.txt", other / "new" / "x.txt", base / "own" / "a.txt"}) {
    auto refused = hook(edit(tree, file));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Catch::Contains("Edit " + tree.string()));
  }
  CHECK(hook(edit(tree, base / "a.txt")).code == 0);
  CHECK(hook(edit(tree, tree / "new" / "x.txt")).code == 0);
}

TEST_CASE_METHOD(hooked, "edit hook: a lease that has ended refuses no more", "[hook]") {
  auto other = std::to_string(open_session());
  auto held = lease_of("a.txt", other);
  CHECK(hook(edit(root, root / "a.txt")).code == 2);
  ask("lock.release", {{"lock_id", held["id"]}});
  CHECK(hook(edit(root, root / "a.txt")).code == 0);
}

TEST_CASE_METHOD(hooked, "edit hook: it waits its turn", "[hook]") {
  auto held = lease_of("a.txt", std::to_string(open_session()));
  program waiting{
    {ORCH_PROGRAM, "hook", "--client", "claude", "--wait", "40"}, base / "home", base};
  waiting.send(edit(root, root / "a.txt").dump());
  waiting.close_input();
  eventually("the hook has the state open", [&] {
    std::error_code gone;
    for (const auto& fd : std::filesystem::directory_iterator{
           "/proc/" + std::to_string(waiting.pid()) + "/fd", gone})
      if (std::filesystem::read_symlink(fd.path(), gone).filename() == "state.db")
        return true;
    return false;
  });
  auto begin = std::chrono::steady_clock::now();
  ask("lock.release", {{"lock_id", held["id"]}});
  CHECK(waiting.wait().code == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{30});
}

TEST_CASE_METHOD(hooked, "edit hook: it refuses when its turn does not come in time", "[hook]") {
  lease_of("a.txt", std::to_string(open_session()));
  auto begin = std::chrono::steady_clock::now();
  CHECK(hook(edit(root, root / "a.txt"), "claude", {}, {"ORCH_HOOK_WAIT_SECONDS=1"}).code == 2);
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::seconds{1});
}

TEST_CASE("edit hook: without a state it lets everything pass and says so", "[hook]") {
  sandbox lonely;
  auto payload = hooked::edit(lonely.root, lonely.root / "a.txt").dump();
  auto passed = lonely.run({"hook", "--client", "claude"}, payload);
  CHECK(passed.code == 0);
  CHECK(passed.out.empty());
  CHECK_THAT(passed.err, Catch::Contains("state.db"));
  CHECK_FALSE(std::filesystem::exists(lonely.root / ".codex-orch"));
  auto nowhere = lonely.run({"hook"}, hooked::edit(lonely.base, lonely.base / "x").dump());
  CHECK(nowhere.code == 0);
  CHECK_THAT(nowhere.err, Catch::Contains("in no git repository"));
}

TEST_CASE("edit hook: what it cannot read it lets pass", "[hook]") {
  sandbox lonely;
  auto state = lonely.root / ".codex-orch" / "state.db";
  auto text = GENERATE(as<std::string>{}, "no database", "");
  write(state, text);
  auto passed = lonely.run({"hook"}, hooked::edit(lonely.root, lonely.root / "a.txt").dump());
  CHECK(passed.code == 0);
  CHECK_THAT(passed.err, Catch::Contains("edits are not checked"));
  CHECK(read(state) == text);
  auto input = GENERATE(as<std::string>{}, "", "[]", "{", "{\"cwd\":7}", "\xff");
  CHECK(lonely.run({"hook"}, input).code == 0);
  CHECK(lonely.run({"hook", "--no-such-option"}, "{}").code == 0);
}

TEST_CASE_METHOD(sandbox, "edit hook: a newer database is let alone", "[hook]") {
  run_once("workspace.init");
  // user_version is the four bytes from 60 on.
  auto state = root / ".codex-orch" / "state.db";
  auto bytes = read(state);
  bytes[62] = 1;
  write(state, bytes);
  auto passed = run({"hook"}, hooked::edit(root, root / "a.txt").dump());
  CHECK(passed.code == 0);
  CHECK_THAT(passed.err, Catch::Contains("newer"));
}

TEST_CASE_METHOD(hooked, "edit hook: events are appended to the log", "[hook]") {
  auto log = base / "events";
  words variables{"ORCH_EVENT_LOG=" + log.string(), "ORCH_THREAD=4", "ORCH_INCARNATION=2"};
  json start{{"hook_event_name", "SessionStart"}, {"session_id", "s"}, {"source", "startup"}};
  CHECK(hook(start, "codex", {}, variables).code == 0);
  CHECK(hook({{"session_id", "s"}}, "codex", {"Interrupt"}, variables).code == 0);
  auto text = read(log);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  auto first_line = json::parse(text.substr(0, text.find('\n')));
  CHECK(first_line["event"] == "SessionStart");
  CHECK(first_line["thread"] == 4);
  CHECK(first_line["incarnation"] == 2);
  CHECK(first_line["source"] == "startup");
  CHECK(first_line["at"].get<int64_t>() > 1'700'000'000'000'000);
  CHECK_THAT(text, Catch::Contains("\"event\":\"Interrupt\""));
}

TEST_CASE_METHOD(hooked, "edit hook: lines of several hooks do not mix", "[hook]") {
  auto log = base / "events";
  std::list<program> all;
  for (int i = 0; i < 8; ++i) {
    all.emplace_back(words{"env", "ORCH_EVENT_LOG=" + log.string(), ORCH_PROGRAM, "hook", "Stop"},
                     base / "home", base);
    all.back().send(
      json{{"last_assistant_message", std::string(60'000, static_cast<char>('a' + i))}}.dump());
  }
  for (auto& one : all)
    CHECK(one.finish().code == 0);
  std::set<char> seen;
  std::stringstream text{read(log)};
  for (std::string line; std::getline(text, line);)
    seen.insert(json::parse(line)["message"].get<std::string>()[0]);
  CHECK(seen.size() == 8);
}

TEST_CASE_METHOD(hooked, "edit hook: blanks around its header do not hide a leased file",
                 "[hook]") {
  auto tree = worktree_of(open());
  lease_of("sub/a.txt", std::to_string(open_session()));
  for (auto head :
       {"*** Update File: sub/a.txt \n@@\n-a\n+b\n", " *** Update File: sub/a.txt\n@@\n-a\n",
        "\t*** Delete File: sub/a.txt\t\n", "*** Add File: sub/a.txt\r\n+x\r\n",
        "*** Update File: b.txt\n*** Move to: sub/a.txt \n@@\n-a\n+b\n"}) {
    auto payload = patch(tree, "");
    payload["tool_input"]["command"] = "*** Begin Patch\n" + std::string{head} + "*** End Patch\n";
    CHECK(hook(payload, "codex").code == 2);
  }
  auto script = patch(tree, "a.txt");
  script["tool_name"] = "Bash";
  script["tool_input"]["command"] = "cd sub && apply_patch <<'EOF'\n"
                                    + script["tool_input"]["command"].get<std::string>() + "EOF\n";
  CHECK(hook(script, "codex").code == 2);
}

TEST_CASE_METHOD(hooked, "edit hook: a deeply nested payload is judged all the same", "[hook]") {
  auto tree = worktree_of(open());
  lease_of("a.txt", std::to_string(open_session()));
  auto text = edit(tree, tree / "a.txt").dump();
  std::string deep(200'000, '[');
  deep += std::string(200'000, ']');
  text.insert(text.find("\"file_path\""), "\"deep\":" + deep + ",");
  auto refused = run({"hook", "--client", "claude"}, text);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Catch::Contains("a.txt is leased"));
  CHECK(run({"hook"}, std::string(200'000, '[')).code == 0);
}

TEST_CASE_METHOD(hooked, "edit hook: it does not wait for the end of its input", "[hook]") {
  lease_of("a.txt", std::to_string(open_session()));
  auto [text, code, said] = GENERATE_COPY(table<std::string, int, std::string>({
    {edit(root, root / "a.txt").dump(), 2, "is leased"},
    {edit(root, root / "b.txt").dump() + "\n", 0, ""},
    {"", 0, "in time"},
    {"{\"hook_event_name\": \"Stop\"", 0, "in time"},
  }));
  auto begin = std::chrono::steady_clock::now();
  program open_end{{ORCH_PROGRAM, "hook", "--client", "claude"}, base / "home", base};
  open_end.send(text);
  auto result = open_end.wait();
  CHECK(result.code == code);
  CHECK_THAT(result.err, Catch::Contains(said));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
}

TEST_CASE_METHOD(hooked, "edit hook: a payload may come in pieces", "[hook]") {
  lease_of("a.txt", std::to_string(open_session()));
  auto text = edit(root, root / "a.txt").dump();
  program slow{{ORCH_PROGRAM, "hook", "--client", "claude"}, base / "home", base};
  for (std::size_t at = 0; at < text.size(); at += 40) {
    slow.send(text.substr(at, 40));
    // A slow writer is what this is about; nothing is waited for.
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  CHECK(slow.wait().code == 2);
}

TEST_CASE_METHOD(hooked, "edit hook: absolute paths are judged without a directory", "[hook]") {
  auto mine = open();
  auto session = std::to_string(mine["session"]["id"].get<int64_t>());
  lease_of("a.txt", session);
  auto payload = edit(root, root / "a.txt");
  payload.erase("cwd");
  auto gone = base / "gone";
  auto from_nowhere = [&](const json& what, const std::string& as) {
    std::filesystem::create_directories(gone);
    program one{{"sh", "-c", "rmdir ../gone; exec \"$@\"", "sh", "env", "ORCH_SESSION=" + as,
                 ORCH_PROGRAM, "hook", "--client", "claude"},
                base / "home",
                gone};
    one.send(what.dump());
    return one.finish();
  };
  CHECK_THAT(from_nowhere(payload, "").err,
             Catch::Contains("a.txt is leased to session " + session));
  CHECK(from_nowhere(payload, "").code == 2);
  CHECK_THAT(from_nowhere(payload, session).err, Catch::Contains("outside the worktree"));
  payload["tool_input"]["file_path"] = (worktree_of(mine) / "a.txt").string();
  CHECK(from_nowhere(payload, session).code == 0);
  payload["tool_input"]["file_path"] = "a.txt";
  auto relative = from_nowhere(payload, "");
  CHECK(relative.code == 0);
  CHECK_THAT(relative.err, Catch::Contains("a.txt is not checked"));
}

TEST_CASE("edit hook: what is no regular file keeps it waiting for nobody", "[hook]") {
  sandbox lonely;
  auto state = lonely.root / ".codex-orch";
  std::filesystem::create_directories(state);
  auto begin = std::chrono::steady_clock::now();
  auto payload = hooked::edit(lonely.root, lonely.root / "a.txt").dump();
  SECTION("the state") {
    auto name =
      GENERATE(as<std::string>{}, "state.db", "state.db-wal", "state.db-shm", "state.db-journal");
    if (name != "state.db")
      lonely.run_once("workspace.init");
    std::filesystem::remove(state / name);
    REQUIRE(::mkfifo((state / name).c_str(), 0600) == 0);
    auto passed = lonely.run({"hook"}, payload);
    CHECK(passed.code == 0);
    CHECK_THAT(passed.err, Catch::Contains(name + " is no regular file"));
  }
  SECTION("the event log") {
    auto log = (lonely.base / "fifo").string();
    REQUIRE(::mkfifo(log.c_str(), 0600) == 0);
    auto read_by_somebody = GENERATE(false, true);
    auto reader = read_by_somebody ? ::open(log.c_str(), O_RDONLY | O_NONBLOCK) : -1;
    program one{{"env", "ORCH_EVENT_LOG=" + log, ORCH_PROGRAM, "hook", "Stop"},
                lonely.base / "home",
                lonely.base};
    one.send("{}");
    auto passed = one.finish();
    CHECK(passed.code == 0);
    CHECK_THAT(passed.err, Catch::Contains("cannot write the event log " + log));
    ::close(reader);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
}

TEST_CASE_METHOD(hooked, "edit hook: a log that cannot be written stops nobody", "[hook]") {
  auto said = hook({{"session_id", "s"}}, "codex", {"Stop"}, {"ORCH_EVENT_LOG=/nowhere/log"});
  CHECK(said.code == 0);
  CHECK_THAT(said.err, Catch::Contains("/nowhere/log"));
}
