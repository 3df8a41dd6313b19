#include "recorded.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace orch;

namespace {

using expectations = std::map<std::string, std::string>;

/// What each recorded screen shows, by the name of the recording.
const expectations codex_screens{
  {"approval-command", "waiting"},
  {"approval-mcp", "waiting"},
  {"composer-text", "idle"},
  {"error", "failed"},
  {"exited", "ended"},
  {"hooks-review", "waiting"},
  {"idle", "idle"},
  {"idle-fresh", "idle"},
  {"interrupted", "interrupted"},
  {"killed", "working"}, // frozen; whether the process lives is not the screen's business
  {"login", "waiting"},
  {"mcp-failed", "nothing"},
  {"no-key", "failed"},
  {"open-elsewhere", "waiting"},
  {"queued", "working"},
  {"refused-edit", "idle"},
  {"resumed", "idle"},
  {"starting", "nothing"},
  {"trust", "waiting"},
  {"working", "working"},
  {"working-streaming", "working"},
  {"working-tool", "working"},
};

const expectations claude_screens{
  {"api-key", "waiting"},
  {"approval-command", "waiting"},
  {"approval-edit", "waiting"},
  {"composer-pasted", "idle"},
  {"composer-text", "idle"},
  {"error", "failed"},
  {"exited", "ended"},
  {"idle", "idle"},
  {"idle-fresh", "idle"},
  {"interrupted", "interrupted"},
  {"interrupted-early", "failed"}, // the error of the turn before is all there is to see
  {"killed", "working"},
  {"not-logged-in", "failed"},
  {"onboarding", "waiting"},
  {"question", "waiting"},
  {"queued", "working"},
  {"refused-edit", "idle"},
  {"retrying", "working"},
  {"trust", "waiting"},
  {"working", "working"},
  {"working-streaming", "working"},
  {"working-tool", "working"},
};

struct client {
  std::string directory;
  std::string provider;
  const expectations* screens;
};

const std::vector<client> clients{{"codex", "codex", &codex_screens},
                                  {"claude", "claude_code", &claude_screens}};

screen_rules built_in(const std::string& provider) {
  return screen_rules::load("/nonexistent", provider);
}

screen_rules rules_with_composer(const std::string& glyph) {
  return screen_rules::parse(R"({"rules": [], "composer": ")" + glyph + R"("})");
}

struct rules_fixture {
  void write(const std::string& provider, const std::string& text) {
    std::filesystem::create_directories(state.path / "screens");
    std::ofstream{state.path / "screens" / (provider + ".json")} << text;
  }

  scratch_directory state;
};

} // namespace

TEST_CASE("screen rules: every recorded screen says what it shows", "[screens]") {
  for (const auto& [directory, provider, screens] : clients) {
    auto rules = built_in(provider);
    for (const auto& [name, expected] : *screens) {
      INFO(directory << "/screen/" << name);
      CHECK(word(rules.judge(recorded_screen(directory + "/screen/" + name + ".txt"))) == expected);
    }
  }
}

TEST_CASE("screen rules: no recorded screen was left out", "[screens]") {
  for (const auto& [directory, provider, screens] : clients) {
    std::vector<std::string> known;
    for (const auto& [name, expected] : *screens)
      known.push_back(name);
    CHECK(recordings_in(directory + "/screen", ".txt") == known);
  }
}

TEST_CASE("screen rules: blank lines between and behind change nothing", "[screens]") {
  for (const auto& [directory, provider, screens] : clients) {
    auto rules = built_in(provider);
    for (const auto& [name, expected] : *screens) {
      auto seen = recorded_screen(directory + "/screen/" + name + ".txt");
      INFO(directory << "/screen/" << name);
      auto before = word(rules.judge(seen));
      seen.text += "\n   \n\n\n";
      CHECK(word(rules.judge(seen)) == before);
      seen.text = std::regex_replace(seen.text, std::regex{"\n"}, "\n\n");
      CHECK(word(rules.judge(seen)) == before);
    }
  }
}

TEST_CASE("screen rules: the title of a pane alone tells what Codex does", "[screens]") {
  auto rules = built_in("codex");
  auto [title, expected] = GENERATE(table<std::string, std::string>({
    {"Ready | 01a20684-051a-7f40-a029-997d0...", "idle"},
    {"⠋ Working | 01a20684", "working"},
    {"⠏ Thinking | 01a20684", "working"},
    {"⠸ Starting | 01a20684", "working"},
    {"[ ! ] Action Required | 01a20684", "waiting"},
    {"[ . ] Action Required | 01a20684", "waiting"},
    {"host", "nothing"},
    {"", "nothing"},
    {"my notes: Ready | for tea", "nothing"},
    {"vim Action Required", "nothing"},
  }));
  INFO(title);
  CHECK(word(rules.judge({title, ""})) == expected);
}

TEST_CASE("screen rules: the title of a pane alone tells when Claude works", "[screens]") {
  auto rules = built_in("claude_code");
  CHECK(word(rules.judge({"◐ Claude Code", ""})) == "working");
  CHECK(word(rules.judge({"◑ fix the build", ""})) == "working");
  CHECK(word(rules.judge({"✳ Claude Code", ""})) == "nothing");
  CHECK(word(rules.judge({"Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA", ""})) == "nothing");
}

TEST_CASE("screen rules: an agent that quotes a dialog asks nobody", "[screens]") {
  auto rules = built_in("claude_code");
  auto said =
    GENERATE(as<std::string>{}, "Do you want to proceed with this plan?",
             "Do you want to make this edit everywhere?",
             "It prints \"Detected a custom API key in your environment\".",
             "The rule looks for \"Quick safety check\".", "The picker says Select login method.");
  INFO(said);
  auto rule = std::string{"────────────────────────────────────────\n"};
  screen_view seen{"✳ Claude Code", "❯ go on\n\n● " + said + "\n\n✻ Brewed for 2s\n\n" + rule
                                      + "❯ \n" + rule + "  ? for shortcuts\n"};
  CHECK(word(rules.judge(seen)) == "idle");
}

TEST_CASE("screen rules: Codex that quotes a dialog is ready all the same", "[screens]") {
  auto rules = built_in("codex");
  screen_view seen{"Ready | 01a20684", "• It asks: Trust this folder? Hooks need review.\n"
                                       "• Then: Update available\n\n› Ask Codex to do anything\n"
                                       "  Mock default\n"};
  CHECK(word(rules.judge(seen)) == "idle");
}

TEST_CASE("screen rules: an error further up is over", "[screens]") {
  auto codex = built_in("codex");
  std::string gone{
    "■ stream disconnected\n› again\n• Hi there.\n  Worked for 1s\n• More.\n• More.\n"
    "› Ask Codex to do anything\n  Mock default\n"};
  CHECK(word(codex.judge({"Ready | 1", gone})) == "idle");
  auto claude = built_in("claude_code");
  std::string done{"● API Error: 500\n❯ again\n● Hi there.\n● a\n● b\n● c\n✻ Brewed\n────\n❯ \n"
                   "────\n  ? for shortcuts\n"};
  CHECK(word(claude.judge({"✳ x", done})) == "idle");
}

TEST_CASE("screen rules: what is typed and not submitted is seen in recordings", "[screens]") {
  for (const auto& [directory, provider, screens] : clients) {
    auto rules = built_in(provider);
    INFO(directory);
    CHECK(rules.is_typing(recorded_text(directory + "/screen/composer-text.ansi")) == true);
    CHECK(rules.is_typing(recorded_text(directory + "/screen/composer-empty.ansi")) == false);
  }
}

TEST_CASE("screen rules: without a composer nobody can tell whether somebody types", "[screens]") {
  CHECK_FALSE(built_in("codex").is_typing("a pager\nwithout a prompt\n"));
  CHECK_FALSE(built_in("command").is_typing("› half a line"));
  CHECK_FALSE(screen_rules::parse(R"({"rules": []})").is_typing("> half a line"));
}

TEST_CASE("screen rules: only what is not dim was typed", "[screens]") {
  auto rules = rules_with_composer(">");
  auto [line, typed] = GENERATE(table<std::string, bool>({
    {"> half a line", true},
    {"  > half a line", true},
    {"> ", false},
    {">", false},
    {"> \x1b[2mplaceholder", false},
    {"> \x1b[2mplaceholder\x1b[0m typed", true},
    {"> \x1b[2mplaceholder\x1b[22m typed", true},
    {"> \x1b[0;2mplaceholder", false},
    {"> \x1b[1;2mplaceholder", false},
    {"> \x1b[2;38;5;246mplaceholder", false},
    {"> \x1b[2m\x1b[38;5;246mplaceholder", false},
    {"> \x1b[0;2;3mplaceholder", false},
    {"> \x1b[1;2;3mplaceholder", false},
    {"> \x1b[7m \x1b[0m", false},
    {"> \x1b[7mP\x1b[27m\x1b[2mlaceholder", true},
    {"> \x1b[31mred", true},
    {"> \x1b[38;5;2mgreen", true},
    {"> \x1b[38;2;10;20;2mblue", true},
    {"> \x1b[48;5;2mon green", true},
    {"> \xC2\xA0", false},
    {"> \xC2\xA0text", true},
  }));
  INFO(nlohmann::json(line).dump());
  CHECK(rules.is_typing(line) == typed);
}

TEST_CASE("screen rules: the last line with the glyph is the composer", "[screens]") {
  auto rules = rules_with_composer(">");
  CHECK(rules.is_typing("> an earlier prompt\nits answer\n> \n status\n") == false);
  CHECK(rules.is_typing("> \nits answer\n> half a line\n status\n") == true);
}

TEST_CASE_METHOD(rules_fixture, "screen rules: a file of one's own replaces those built in",
                 "[screens]") {
  write("codex", R"(// mine
{"rules": [{"state": "idle", "match": "^ready>", "words": "is ready"},
           {"state": "waiting", "in": "title", "match": "^ask", "words": "asks"},
           {"state": "failed", "match": "oops", "last_lines": 1}], "composer": "$"})");
  auto rules = screen_rules::load(state.path, "codex");
  CHECK(word(rules.judge({"Ready | 1", ""})) == "nothing");
  auto fact = rules.judge({"", "text\nready> "});
  REQUIRE(fact);
  CHECK(fact->what == agent_turn::idle);
  CHECK(fact->words == "screen: is ready");
  fact = rules.judge({"ask", "oops"});
  REQUIRE(fact);
  CHECK(fact->words == "pane title: asks");
  CHECK(word(rules.judge({"", "oops\nfine"})) == "nothing");
  CHECK(word(rules.judge({"", "fine\noops\n  \n"})) == "failed");
  CHECK(rules.is_typing("$ x") == true);
  CHECK(word(screen_rules::load(state.path, "claude_code").judge({"◐ x", ""})) == "working");
}

TEST_CASE_METHOD(rules_fixture, "screen rules: any program can have rules of its own",
                 "[screens]") {
  CHECK(word(screen_rules::load(state.path, "command").judge({"Ready |", "❯"})) == "nothing");
  write("command", R"({"rules": [{"state": "idle", "match": "^\\$ $"}]})");
  CHECK(word(screen_rules::load(state.path, "command").judge({"", "$ "})) == "idle");
}

TEST_CASE_METHOD(rules_fixture, "screen rules: a file that cannot be read changes nothing",
                 "[screens]") {
  auto text = GENERATE(as<std::string>{}, "", "{", "[]", "{}", R"({"rules": 5})",
                       R"({"rules": [{"match": "x"}]})", R"({"rules": [{"state": "idle"}]})",
                       R"({"rules": [{"state": "asleep", "match": "x"}]})",
                       R"({"rules": [{"state": "idle", "match": "("}]})",
                       R"({"rules": [{"state": "idle", "match": "x", "last_lines": "many"}]})",
                       R"({"rules": [], "composer": 7})");
  INFO(text);
  write("codex", text);
  auto rules = screen_rules::load(state.path, "codex");
  CHECK(word(rules.judge({"Ready | 1", ""})) == "idle");
  CHECK(rules.is_typing("› x") == true);
}

TEST_CASE("screen rules: what is wrong is said with the number of the rule", "[screens]") {
  CHECK_THROWS_WITH(screen_rules::parse(R"({"rules": [{"state": "idle", "match": "x"},
                                                      {"state": "asleep", "match": "x"}]})"),
                    Catch::Contains("rule 2") && Catch::Contains("asleep"));
}
