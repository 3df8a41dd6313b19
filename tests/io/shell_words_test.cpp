#include "io/shell_words.hpp"
#include "messages/error.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace orch;

namespace {

using words = std::vector<std::string>;

words split(const std::string& line) {
  return shell_words("launch_command", line);
}

} // namespace

TEST_CASE("shell words: a line is taken apart as a shell does", "[shell]") {
  auto [line, expected] = GENERATE(table<std::string, words>({
    {"", {}},
    {"  \t\n ", {}},
    {"codex", {"codex"}},
    {"  codex   --yolo\t-c x=1\n", {"codex", "--yolo", "-c", "x=1"}},
    {"'one word' two", {"one word", "two"}},
    {"a'b c'd", {"ab cd"}},
    {"''", {""}},
    {"a '' b", {"a", "", "b"}},
    {R"("")", {""}},
    {R"("it's")", {"it's"}},
    {R"('say "hi"')", {R"(say "hi")"}},
    {R"("a \"b\" \$c \`d\` \\ \n")", {R"(a "b" $c `d` \ \n)"}},
    {R"(a\ b \'c \\ \")", {"a b", "'c", "\\", "\""}},
    {R"('a\b')", {R"(a\b)"}},
    {"trailing\\", {"trailing\\"}},
    {"$HOME `x` $(y) ~ *", {"$HOME", "`x`", "$(y)", "~", "*"}},
    {"ünï 'cö de'", {"ünï", "cö de"}},
  }));
  INFO(line);
  CHECK(split(line) == expected);
}

TEST_CASE("shell words: a backslash at the end of a line joins two lines", "[shell]") {
  CHECK(split("co\\\ndex \\\n --yolo") == words{"codex", "--yolo"});
  CHECK(split("\"co\\\ndex\"") == words{"codex"});
  CHECK(split("'co\\\ndex'") == words{"co\\\ndex"});
}

TEST_CASE("shell words: a quote without its end is refused", "[shell]") {
  auto line = GENERATE(as<std::string>{}, "'", "\"", "codex 'x", "codex \"x\\\"", "a'b\"");
  INFO(line);
  try {
    split(line);
    FAIL("accepted");
  } catch (const request_error& e) {
    CHECK(e.code == errc::invalid_params);
    CHECK(e.data["field"] == "launch_command");
  }
}

TEST_CASE("shell words: plain words are quoted with nothing", "[shell]") {
  CHECK(shell_quote("/usr/bin/codex") == "/usr/bin/codex");
  CHECK(shell_quote("--a-b_c@d%e+f:g,h.i") == "--a-b_c@d%e+f:g,h.i");
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("a=b") == "'a=b'");
  CHECK(shell_quote("~") == "'~'");
  CHECK(shell_quote("it's") == R"('it'\''s')");
}

TEST_CASE("shell words: whatever the words, a line of them has the same", "[shell]") {
  std::mt19937 random{20261123};
  constexpr std::string_view nasty{"'\"\\ \t\n$`!*?~#&;|<>(){}[]=ab\xC3\xA9\x01\x7f\r"};
  for (int round = 0; round < 3'000; ++round) {
    words given(random() % 5);
    for (auto& word : given) {
      word.resize(random() % 12);
      for (auto& c : word)
        c = random() % 2 == 0 ? nasty[random() % nasty.size()]
                              : static_cast<char>(1 + random() % 255);
    }
    auto line = shell_line(given);
    INFO(line);
    REQUIRE(split(line) == given);
  }
}
