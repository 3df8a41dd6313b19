#include "io/json_text.hpp"
#include "io/marked_block.hpp"
#include "io/toml_text.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

namespace {

using orch::bad_text;
using orch::hash_marks;
using orch::json_text;
using orch::without_block;

const std::string body = "[a]\nb = 1\n";

std::string put(const std::string& text, const std::string& what = body) {
  return orch::with_block(text, hash_marks, what);
}

std::size_t line_of_complaint(const std::function<void()>& work) {
  try {
    work();
  } catch (const bad_text& e) {
    return e.line;
  }
  return 0;
}

} // namespace

TEST_CASE("marked block: what is put in and taken out leaves the text as it was", "[install]") {
  auto text = GENERATE(as<std::string>{}, "", "a = 1\n", "a = 1", "\n", "a = 1\n\n\n", "a = 1\r\n",
                       "a = 1\r\nb = 2", "# é\n", "# >>> another program\n# <<< another program\n");
  auto with = put(text);
  CHECK(with.starts_with(text));
  CHECK(orch::block_in(with, hash_marks) == body);
  CHECK(put(with) == with);
  CHECK(without_block(with, hash_marks) == text);
}

TEST_CASE("marked block: it is replaced where it is", "[install]") {
  auto with = put("a = 1\n") + "# behind\n";
  auto changed = put(with, "c = 3\n");
  CHECK(orch::block_in(changed, hash_marks) == "c = 3\n");
  CHECK(changed.starts_with("a = 1\n# >>> codex-orchestrator"));
  CHECK(changed.ends_with("# <<< codex-orchestrator <<<\n# behind\n"));
  CHECK(without_block(changed, hash_marks) == "a = 1\n# behind\n");
}

TEST_CASE("marked block: its lines end as those of the file", "[install]") {
  auto with = put("a = 1\r\n");
  CHECK_THAT(with, Catch::EndsWith("b = 1\r\n# <<< codex-orchestrator <<<\r\n"));
  CHECK(std::count(with.begin(), with.end(), '\n') == std::count(with.begin(), with.end(), '\r'));
}

TEST_CASE("marked block: damaged marks are refused with their line", "[install]") {
  std::string begin{hash_marks.begin};
  std::string end{hash_marks.end};
  auto [text, line] = GENERATE_COPY(table<std::string, std::size_t>({
    {"a\n" + begin + "\nb\n", 2},
    {"a\n\n" + end + "\n", 3},
    {begin + "\n" + begin + "\n" + end + "\n", 2},
    {begin + "\n" + end + "\n" + begin + "\n" + end + "\n", 3},
    {begin + "\n" + end + "\n" + end, 3},
    {end + "\n" + begin, 1},
  }));
  INFO(text);
  CHECK(line_of_complaint([&, t = text] { put(t); }) == line);
  CHECK(line_of_complaint([&, t = text] { without_block(t, hash_marks); }) == line);
}

TEST_CASE("marked block: Markdown has marks of its own", "[install]") {
  auto with = orch::with_block("# Title\n", orch::markdown_marks, "text\n");
  CHECK_THAT(with, Catch::StartsWith("# Title\n<!-- >>> codex-orchestrator"));
  CHECK(without_block(with, orch::markdown_marks) == "# Title\n");
}

TEST_CASE("marked block: a blank block keeps the line numbers", "[install]") {
  auto with = put("x = 1\n") + "[z]\n";
  CHECK(orch::toml_line_of(with, {"z"}) == 6);
  CHECK(orch::toml_line_of(with, {"a", "b"}) == 4);
  CHECK(orch::toml_line_of(orch::with_blank_block(with, hash_marks), {"z"}) == 6);
  CHECK_FALSE(orch::toml_line_of(orch::with_blank_block(with, hash_marks), {"a", "b"}));
}

TEST_CASE("marked block: a text that is no TOML is refused with its line", "[install]") {
  CHECK(line_of_complaint([] { orch::check_toml("a = 1\nb = \n"); }) == 2);
  CHECK(line_of_complaint([] { orch::check_toml("[a]\n[a]\n"); }) == 2);
  CHECK(line_of_complaint([] { orch::check_toml("a = 1\r\n[b.c]\r\nd = 1.0\r\n"); }) == 0);
}

TEST_CASE("marked block: a quoted TOML text reads as what it was", "[install]") {
  auto text = GENERATE(as<std::string>{}, "/a b/c", "quote\" back\\slash", "é\ttab\x7f", "");
  CHECK(orch::toml_value_at("a = " + orch::toml_quoted(text), {"a"}) == text);
}

TEST_CASE("marked block: JSON keeps everything but the member that is set", "[install]") {
  std::string text = "{\n\t\"z\": 1.0,\n\t\"list\": [1, 2],\n\t\"e\": \"\\u00e9\"\n}";
  json_text settings{text};
  settings.set({"mcpServers", "orchestrator"}, {{"command", "x"}});
  CHECK(settings.text()
        == "{\n\t\"z\": 1.0,\n\t\"list\": [1, 2],\n\t\"e\": \"\\u00e9\",\n\t\"mcpServers\": {\n"
           "\t\t\"orchestrator\": {\n\t\t\t\"command\": \"x\"\n\t\t}\n\t}\n}");
  settings.erase({"mcpServers", "orchestrator"});
  CHECK(settings.text() == text);
}

TEST_CASE("marked block: JSON that is changed and changed back is the same", "[install]") {
  auto text = GENERATE(as<std::string>{}, "{\"a\":1}", "{ \"a\": [ 1 ] , \"b\": {} }\n",
                       "{\r\n    \"a\": 1\r\n}\r\n", "\xef\xbb\xbf{\n  \"a\": \"}\\\"{\"\n}\n",
                       "{\"a\": 1,\n \"b\": [\n  {\"c\": [[], {}]}\n ]}");
  json_text settings{text};
  settings.append({"hooks", "Stop"}, {{"command", "x"}});
  settings.append({"hooks", "Stop"}, "y");
  CHECK(settings.at({"hooks", "Stop", "1"}) == "y");
  CHECK(nlohmann::json::accept(settings.text()));
  settings.erase({"hooks", "Stop", "0"});
  settings.erase({"hooks", "Stop", "0"});
  CHECK(settings.text() == text);
}

TEST_CASE("marked block: JSON takes out the first, middle and last of several", "[install]") {
  auto number = GENERATE(0, 1, 2);
  json_text settings{"{\"a\": [\n  \"0\",\n  \"1\",\n  \"2\"\n]}"};
  settings.erase({"a", std::to_string(number)});
  auto left = settings.at({"a"});
  CHECK(left.size() == 2);
  CHECK_THAT(left.dump(), !Catch::Contains(std::to_string(number)));
}

TEST_CASE("marked block: JSON sets what is there already in its place", "[install]") {
  json_text settings{"{\"a\": {\"b\": 1, \"c\": 2}}"};
  settings.set({"a", "b"}, 1);
  CHECK(settings.text() == "{\"a\": {\"b\": 1, \"c\": 2}}");
  settings.set({"a", "b"}, "é");
  CHECK(settings.text() == "{\"a\": {\"b\": \"é\", \"c\": 2}}");
  CHECK_THROWS_WITH(settings.set({"a", "c", "d"}, 1),
                    "a.c is a number and has to be an object: {...}");
  CHECK_THROWS_WITH(settings.append({"a"}, 1), "a is an object and has to be a list: [...]");
}

TEST_CASE("marked block: JSON leaves what has to be kept", "[install]") {
  json_text settings{"{\"a\": { }, \"b\": {\"c\": [\r\n]}, \"d\": {\"e\": [1]}}"};
  CHECK(settings.empty_at({"a"}) == "{ }");
  CHECK(settings.empty_at({"b", "c"}) == "[\r\n]");
  for (const auto& path : {orch::json_path{"b"}, {"d", "e"}, {"x"}, {"b", "c", "0"}, {"b", "z"}})
    CHECK_FALSE(settings.empty_at(path));
  auto before = settings.text();
  settings.keep({"a"}, "{ }");
  settings.keep({"b", "c"}, "[\r\n]");
  settings.set({"a", "x"}, 1);
  settings.append({"b", "c"}, 1);
  settings.append({"d", "f"}, 1);
  CHECK(settings.text() != before);
  settings.erase({"a", "x"});
  settings.erase({"b", "c", "0"});
  settings.erase({"d", "f", "0"});
  CHECK(settings.text() == before);
}

TEST_CASE("marked block: the nesting of JSON is known without reading it", "[install]") {
  auto [text, deepest, closed] = GENERATE(table<std::string, std::size_t, bool>({
    {"", 0, false},
    {"7", 0, false},
    {"{", 1, false},
    {"{\"a\": [[]]}", 3, true},
    {"{\"]}\\\"}\": \"\\\\\"}", 1, true},
    {"{\"}\\\\\\\"}", 1, false},
    {"]}[[", 2, false},
  }));
  orch::json_nesting whole;
  orch::json_nesting parts;
  whole.read(text);
  for (auto c : text)
    parts.read({&c, 1});
  CHECK(whole.deepest() == deepest);
  CHECK(whole.closed() == closed);
  CHECK(parts.deepest() == deepest);
  CHECK(parts.closed() == closed);
}

TEST_CASE("marked block: a text that is no plain JSON object is refused with its line",
          "[install]") {
  auto [text, line] = GENERATE(table<std::string, std::size_t>({
    {"{\n// a comment\n}", 2},
    {"{\n  \"a\": 1,\n}", 3},
    {"[1]", 1},
    {"{\"a\": \"\xff\"}", 1},
    {"{\"a\":", 1},
  }));
  CHECK(line_of_complaint([t = text] { json_text{t}; }) == line);
}
