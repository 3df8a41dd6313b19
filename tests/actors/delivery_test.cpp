#include "actors/delivery.hpp"
#include "recorded.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

std::string typed(const std::string& text) {
  directive what;
  what.id = 17;
  what.text = text;
  return typed_words(what);
}

} // namespace

TEST_CASE("delivery: what a CLI would take for a command gets a word before it", "[delivery]") {
  auto first = GENERATE(as<std::string>{}, "/", "!", "@", "#", "?");
  INFO(first);
  CHECK(typed(first + "quit now") == "[directive 17] " + first + "quit now");
  CHECK(typed(first) == "[directive 17] " + first);
  CHECK(typed("go " + first + "quit") == "go " + first + "quit");
}

TEST_CASE("delivery: blanks before a command hide it from nobody", "[delivery]") {
  auto blanks = GENERATE(as<std::string>{}, " ", "\n", "\t", " \n\t ", "\x1b");
  INFO(nlohmann::json(blanks).dump());
  auto words = typed(blanks + "/quit");
  CHECK(words.starts_with("[directive 17] "));
  CHECK(words.ends_with("/quit"));
}

TEST_CASE("delivery: other text stays as it is", "[delivery]") {
  auto text =
    GENERATE(as<std::string>{}, "hello", "[message #1 from thread #2, worker]\nhi", "a\n\n  b\tc",
             "\"quoted\" $HOME `x` \\n", "- a list", "ünïcode ✓", "-- --option");
  INFO(text);
  CHECK(typed(text) == text);
}

TEST_CASE("delivery: control characters and newlines at the end are left out", "[delivery]") {
  CHECK(typed("stop\x1b[201~\x03 it\x7f\n\n") == "stop[201~ it");
  CHECK(typed("a\r\nb\rc\n") == "a\nb\nc");
  CHECK(typed(std::string{"a\0b", 3}) == "ab");
  CHECK(typed("\n\n").empty());
  CHECK(typed("").empty());
}

TEST_CASE("delivery: a prompt is known again in spite of other blanks", "[delivery]") {
  CHECK(holds_words("say hello", "say hello"));
  CHECK(holds_words("say    hello\n", "say\thello"));
  CHECK(holds_words("say hello\r\nworld", "say hello\nworld"));
  CHECK(holds_words("first\n\nsay hello", "say hello"));
  CHECK_FALSE(holds_words("say hell", "say hello"));
  CHECK_FALSE(holds_words("", "say hello"));
  CHECK_FALSE(holds_words("say good-bye", "say hello"));
}

TEST_CASE("delivery: a paste is known again in the wrapper that Claude gives it", "[delivery]") {
  scratch_directory place;
  auto event = recorded_event("claude", "UserPromptSubmit-pasted", place.path / "events.jsonl", 1);
  std::string words{"hello \"quoted\" it's\n  indented $HOME `x`\n\ttab and \\back\nünïcode ✓\n"
                    "last line"};
  CHECK(holds_words(event.message, words));
  CHECK(holds_words(event.message, typed(words)));
  CHECK_FALSE(holds_words(event.message, words + " and more"));
}

TEST_CASE("delivery: of a very long text the part that hooks keep is compared", "[delivery]") {
  std::string words;
  for (int i = 0; words.size() < 200'000; ++i)
    words += "line " + std::to_string(i) + " ✓\n";
  hook_input input{"claude", "UserPromptSubmit", "", {{"prompt", words}}};
  scratch_directory place;
  std::ofstream{place.path / "log"} << event_line(input, {"7", "2"}, 1);
  auto events = read_agent_events(place.path / "log");
  REQUIRE(events.size() == 1);
  CHECK(events.front().message.size() < words.size());
  CHECK(holds_words(events.front().message, words));
  CHECK_FALSE(holds_words(events.front().message, "x" + words));
}
