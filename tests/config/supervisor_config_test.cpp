#include "config/config_schema.hpp"
#include "config/supervisor_config.hpp"
#include "io/files.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

using namespace orch;

namespace {

namespace fs = std::filesystem;

std::string source_text(const std::string& name) {
  return read_file(fs::path{ORCH_SOURCE_DIR} / name).value();
}

/// A directory with a config file in it and what looks like git repositories.
struct supervisor_file {
  scratch_directory directory;
  fs::path file = directory.path / "supervisor.json";

  fs::path repository(const std::string& name) const {
    auto path = directory.path / name;
    fs::create_directories(path / ".git/objects");
    fs::create_directories(path / ".git/refs");
    std::ofstream{path / ".git/HEAD"} << "ref: refs/heads/main\n";
    return path;
  }

  std::vector<config_problem> check(const std::string& text) const {
    std::ofstream{file} << text;
    return check_supervisor_config(file);
  }

  supervision read(const std::string& text) const {
    std::ofstream{file} << text;
    return read_supervisor_config(file);
  }

  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return {};
  }
};

/// "LINE KEY: MESSAGE" of each.
std::vector<std::string> in_lines(const std::vector<config_problem>& problems) {
  std::vector<std::string> lines;
  for (const auto& p : problems)
    lines.push_back(fmt::format("{} {}: {}", p.line, p.key, p.message));
  return lines;
}

/// A config with one fine repository, `a`, and more members in the lines from 3 on.
std::string with(const std::string& more) {
  return "{ // why\n\"repositories\": [{\"name\": \"a\", \"path\": \"a\"}],\n" + more + "}";
}

/// A config with these repositories, the first one in line 2.
std::string of_repositories(const std::string& lines) {
  return "{\"repositories\": [\n" + lines + "\n]}";
}

/// What a function prints to std::cout and returns.
template <class Function>
std::pair<int, std::string> printed(Function function) {
  std::ostringstream out;
  auto before = std::cout.rdbuf(out.rdbuf());
  auto status = function();
  std::cout.rdbuf(before);
  return {status, out.str()};
}

struct home_at {
  explicit home_at(const char* path) : before_{std::getenv("HOME") ? std::getenv("HOME") : ""} {
    path ? ::setenv("HOME", path, 1) : ::unsetenv("HOME");
  }
  ~home_at() { ::setenv("HOME", before_.c_str(), 1); }

private:
  std::string before_;
};

/// The rows of a table in docs/config.md: all keys of a record but those in `settings`.
void add_rows(std::vector<std::string>& rows, const nlohmann::ordered_json& schema,
              const std::string& path) {
  for (const auto& [name, of] : schema["properties"].items()) {
    auto key = path + name;
    auto needed = schema.contains("required")
                  && std::count(schema["required"].begin(), schema["required"].end(), name) > 0;
    if (of.contains("properties") && name != "settings") {
      add_rows(rows, of, key + ".");
      continue;
    }
    std::string range;
    if (of.contains("maximum"))
      range = fmt::format(" ({} to {})", of["minimum"].dump(), of["maximum"].dump());
    else if (of.contains("minimum"))
      range = fmt::format(" (at least {})", of["minimum"].dump());
    else if (of.contains("enum"))
      range = fmt::format(" ({})", fmt::join(of["enum"].get<std::vector<std::string>>(), ", "));
    auto usual = of.contains("default") ? of["default"].dump() : needed ? "required" : "";
    rows.push_back(fmt::format("| `{}` | {} | {}{} |\n", key, usual,
                               of["description"].get<std::string>(), range));
    if (of.contains("items"))
      add_rows(rows, of["items"], key + "[].");
  }
}

} // namespace

TEST_CASE_METHOD(supervisor_file, "check_supervisor_config names line and key of a problem",
                 "[config]") {
  repository("a");
  auto [more, expected] = GENERATE(table<std::string, std::string>({
    {R"("reviewer_at_once": 1)",
     "3 reviewer_at_once: unknown key; did you mean reviewers_at_once?"},
    {R"("zzzzzzzzzzzzzzzzzzzzzzzzz": 1)",
     "3 zzzzzzzzzzzzzzzzzzzzzzzzz: unknown key; known are repositories, settings, "
     "reviewers_at_once"},
    {"\n\"settings\": {\n\"agents\": {\n\"max_childs\": 1}}",
     "6 settings.agents.max_childs: unknown key; did you mean max_children?"},
    {R"("settings": {"a.\n\u001b": 1})",
     "3 settings[\"a.\\n\\u001b\"]: unknown key; known are main_branch, planning, "
     "own_worktree_from_score, agents, reviews, merging, loops, events"},
    {R"("reviewers_at_once": "4")", "3 reviewers_at_once: must be an integer, not string"},
    {R"("reviewers_at_once": 1.5)", "3 reviewers_at_once: must be an integer, not number"},
    {R"("reviewers_at_once": 0)", "3 reviewers_at_once: must be 1 to 1000, not 0"},
    {R"("reviewers_at_once": 99999999999999999999)",
     "3 reviewers_at_once: must be an integer, not number"},
    {R"("reviewers_at_once": null)", "3 reviewers_at_once: must not be null; leave it out instead"},
    {R"("settings": [])", "3 settings: must be an object, not array"},
    {R"("settings": {"loops": true})", "3 settings.loops: must be an object, not boolean"},
    {R"("settings": {"loops": {"enabled": 1}})",
     "3 settings.loops.enabled: must be a boolean, not number"},
    {R"("settings": {"agents": {"provider": "codx"}})",
     "3 settings.agents.provider: must be one of codex, claude_code, command, not \"codx\""},
    {R"("settings": {"main_branch": " "})", "3 settings.main_branch: must not be empty"},
    {R"("settings": {"planning": {"max_files_per_slice": 0}})",
     "3 settings.planning.max_files_per_slice: must be at least 1, not 0"},
    {"\"settings\": {},\n\n\"settings\": {}", "5 settings: is given twice, first in line 3"},
    {"\"settings\":\n7", "4 settings: must be an object, not number"},
  }));
  CHECK(in_lines(check(with(more))) == std::vector{expected});
  auto colon = expected.find(' ');
  CHECK(refusal(with(more))
        == fmt::format("{}:{}: {}", file.string(), expected.substr(0, colon),
                       expected.substr(colon + 1)));
}

TEST_CASE_METHOD(supervisor_file, "check_supervisor_config says what is wrong with a repository",
                 "[config]") {
  repository("a");
  repository("b");
  auto [lines, expected] = GENERATE(table<std::string, std::string>({
    {R"(7)", "2 repositories[0]: must be an object, not number"},
    {R"({"path": "a"})",
     "2 repositories[0].name: is missing: what requests call it: letters, digits, '.', '_' and "
     "'-'"},
    {R"({"name": "a"})",
     "2 repositories[0].path: is missing: absolute, below ~, or relative to the config file"},
    {R"({"name": "", "path": "a"})", "2 repositories[0].name: must not be empty"},
    {R"({"name": "a b", "path": "a"})",
     "2 repositories[0].name: may have letters, digits, '.', '_' and '-' and be neither . nor .., "
     "not \"a b\""},
    {R"({"name": "..", "path": "a"})",
     "2 repositories[0].name: may have letters, digits, '.', '_' and '-' and be neither . nor .., "
     "not \"..\""},
    {"{\"path\": \"a\", \"name\":\n\"" + std::string(65, 'x') + "\"}",
     "3 repositories[0].name: must have at most 64 bytes, not 65"},
    {"{\"name\": \"a\", \"path\": \"a\"},\n{\"name\": \"a\", \"path\": \"b\"}",
     "3 repositories[1].name: is the name of another one, in line 2"},
    {R"({"name": "a", "path": 7})", "2 repositories[0].path: must be a string, not number"},
    {R"({"name": "a", "path": "a\u0000b"})",
     "2 repositories[0].path: must not have a NUL character"},
    {R"({"name": "a", "path": "a", "settings": {"loops": {"mirror_refresh": -1}}})",
     "2 repositories[0].settings.loops.mirror_refresh: must be 0 to 86400, not -1"},
  }));
  CHECK(in_lines(check(of_repositories(lines))) == std::vector{expected});
  CHECK(!refusal(of_repositories(lines)).empty());
}

TEST_CASE_METHOD(supervisor_file, "check_supervisor_config says where the JSON ends to be JSON",
                 "[config]") {
  auto [text, expected] = GENERATE(table<std::string, std::string>({
    {"", "1 : not valid JSON: unexpected end of input; expected '[', '{', or a literal"},
    {"{\n\"settings\": {}\n\"repositories\": []}",
     "3 : not valid JSON: unexpected string literal; expected ',' or '}'"},
    {"{\n\"reviewers_at_once\": 7\n\"repositories\": []}",
     "3 : not valid JSON: unexpected string literal; expected ',' or '}'"},
    {"{\n\"settings\": {},\n}", "3 : not valid JSON: unexpected '}'; expected string literal; is "
                                "there a comma too many before it?"},
    {"{\"repositories\":\n[{},]}", "2 : not valid JSON: unexpected ']'; expected '[', '{', or a "
                                   "literal; is there a comma too many before it?"},
    {"{\n\"repositories\": tru}", "2 : not valid JSON: invalid literal; last read: "
                                  "\"\\\"repositories\\\": tru}\""},
    {"{\n\n\"a: 1\n}", "3 : not valid JSON: invalid string: control character U+000A (LF) must be "
                       "escaped to \\u000A or \\n; last read: \"\\\"a: 1<U+000A>\"; expected "
                       "string literal"},
    {"{\"a\": 1 x}",
     "1 : not valid JSON: invalid literal; last read: \"1 x\"; expected ',' or '}'"},
    {"{\"a\":\n\n1e999\n}", "3 : not valid JSON: number overflow parsing '1e999'"},
    {"{\"\xff\": 1}",
     "1 : not valid JSON: invalid string: ill-formed UTF-8 byte; last read: \"\\\"\uFFFD\"; "
     "expected string literal"},
    {"{} {}", "1 : not valid JSON: unexpected '{'; expected end of input"},
    {"[]", "1 : must be an object, not array"},
    {"null", "1 : must be an object, not null"},
  }));
  CHECK(in_lines(check(text)) == std::vector{expected});
  CHECK(!refusal(text).empty());
}

TEST_CASE_METHOD(supervisor_file, "check_supervisor_config reads no more than it can bear",
                 "[config]") {
  auto deep = "{\"settings\":\n" + std::string(100'000, '[');
  CHECK(in_lines(check(deep)) == std::vector<std::string>{"2 : nested deeper than 500 levels"});
  auto open = "{\n\"a\": /* " + std::string(100'000, 'x');
  auto found = check(open);
  REQUIRE(found.size() == 1);
  CHECK(found[0].line == 2);
  CHECK(found[0].message.size() < 200);
  CHECK_THROWS_WITH(check("{" + std::string(2U << 20, ' ') + "}"), Catch::Contains("bytes"));
  CHECK_THROWS_WITH(check_supervisor_config(directory.path / "none.json"),
                    (directory.path / "none.json").string() + " does not exist");
  CHECK_THROWS_WITH(read_supervisor_config(directory.path), Catch::Contains("no file"));
}

TEST_CASE_METHOD(supervisor_file, "check_supervisor_config finds all problems in their order",
                 "[config]") {
  repository("a");
  auto text = "/* a\n   comment */ {\n"
              "\"reviewers_at_once\": 0, // one\n"
              "\"repositories\": [\n"
              "  {\"nam\": \"a\", \"path\": \"nowhere\"},\n"
              "  {\"name\": \"a\", \"path\": \"a\", \"name\": \"b\"},\n"
              "  {\"name\": \"a\", \"path\": \"a/\"}\n"
              "],\n"
              "\"settings\": {\"loops\": {\"enabled\": 1, \"lease_expiry\": 1e9}}\n}\n";
  auto missing = (directory.path / "nowhere").string();
  CHECK(in_lines(check(text))
        == std::vector<std::string>{
          "3 reviewers_at_once: must be 1 to 1000, not 0",
          "5 repositories[0].name: is missing: what requests call it: letters, digits, '.', '_' "
          "and '-'",
          "5 repositories[0].nam: unknown key; did you mean name?",
          "5 repositories[0].path: " + missing + " does not exist",
          "6 repositories[1].name: is given twice, first in line 6",
          "7 repositories[2].name: is the name of another one, in line 6",
          "7 repositories[2].path: is the same directory as repositories[1].path in line 6: "
            + (directory.path / "a").string(),
          "9 settings.loops.enabled: must be a boolean, not number",
          "9 settings.loops.lease_expiry: must be 0 to 86400, not 1000000000",
        });
}

TEST_CASE_METHOD(supervisor_file, "a repository is named once, however it is reached", "[config]") {
  auto a = repository("a");
  fs::create_directories(a / "src");
  fs::create_directory_symlink(a, directory.path / "link");
  auto other = GENERATE(table<std::string, std::string>({
    {"a/", "directory"},
    {"./b/../a", "directory"},
    {"link", "directory"},
    {"a/src", "repository"},
  }));
  auto text = of_repositories("{\"name\": \"a\", \"path\": \"a\"},\n{\"name\": \"b\", \"path\": \""
                              + std::get<0>(other) + "\"}");
  CHECK(in_lines(check(text))
        == std::vector{fmt::format(
          "3 repositories[1].path: is the same {} as repositories[0].path in line 2: {}",
          std::get<1>(other), a.string())});
  CHECK(!refusal(text).empty());
}

TEST_CASE_METHOD(supervisor_file, "a missing repository is reported and does not stop the others",
                 "[config]") {
  auto a = repository("a");
  fs::create_directory(directory.path / "empty");
  auto text = of_repositories("{\"name\": \"x\", \"path\": \"nowhere\"},\n"
                              "{\"name\": \"y\", \"path\": \"empty\"},\n"
                              "{\"name\": \"a\", \"path\": \"a\"}");
  auto found = check(text);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == "repositories[0].path");
  CHECK(found[0].message == (directory.path / "nowhere").string() + " does not exist");
  CHECK(found[1].line == 3);
  CHECK(found[1].message == (directory.path / "empty").string() + " is not in a git repository");
  auto targets = read(text).targets;
  REQUIRE(targets.size() == 3);
  CHECK(targets[0] == supervision_target{"x", directory.path / "nowhere", json::object()});
  CHECK(targets[2] == supervision_target{"a", a, json::object()});
}

TEST_CASE_METHOD(supervisor_file, "paths are relative to the config file, to ~ or absolute",
                 "[config]") {
  home_at home{(directory.path / "home").c_str()};
  auto text = of_repositories(fmt::format(R"(
    {{"name": "a", "path": " x/../one/ "}}, {{"name": "b", "path": "~/two"}},
    {{"name": "c", "path": "~"}}, {{"name": "d", "path": "{}/three/."}},
    {{"name": "e", "path": "~five"}}, {{"name": "f", "path": "~//six"}})",
                                          directory.path.string()));
  auto here = fs::current_path();
  std::ofstream{file} << text;
  fs::current_path(directory.path);
  auto targets = read_supervisor_config("supervisor.json").targets;
  fs::current_path(here);
  std::vector<fs::path> paths;
  for (const auto& target : targets)
    paths.push_back(target.path);
  CHECK(paths
        == std::vector{directory.path / "one", directory.path / "home/two", directory.path / "home",
                       directory.path / "three", directory.path / "~five",
                       directory.path / "home/six"});
}

TEST_CASE_METHOD(supervisor_file, "a path below ~ without HOME is refused", "[config]") {
  home_at home{nullptr};
  CHECK(refusal(of_repositories(R"({"name": "a", "path": "~/a"})"))
        == file.string()
             + ":2: repositories[0].path: begins with ~, but HOME names no absolute "
               "path");
}

TEST_CASE_METHOD(supervisor_file, "settings hold what was written: for all, then the repository's",
                 "[config]") {
  auto a = repository("a");
  repository("b");
  auto read_it = read(R"({
    "settings": {"agents": {"max_children": 3, "provider": "command"}, "loops": {"enabled": true}},
    "reviewers_at_once": 9,
    "repositories": [
      {"name": "a", "path": "a", "settings": {"agents": {"max_children": 2}}},
      {"name": "b", "path": "b"}]})");
  CHECK(read_it.reviewers_at_once == 9);
  REQUIRE(read_it.targets.size() == 2);
  CHECK(read_it.targets[0].settings == json::parse(R"({
    "agents": {"max_children": 2, "provider": "command"}, "loops": {"enabled": true}})"));
  CHECK(read_it.targets[1].settings == json::parse(R"({
    "agents": {"max_children": 3, "provider": "command"}, "loops": {"enabled": true}})"));

  std::ofstream{a / "config.json"}
    << R"({"agents": {"max_children": 1, "provider": "codex", "claude_command": "c"}})";
  auto config = read_repository_config(a / "config.json", read_it.targets[0].settings);
  CHECK(config.agents.max_children == 2);
  CHECK(config.agents.provider == "command");
  CHECK(config.agents.claude_command == "c");
  CHECK(config.agents.codex_command == "codex");
}

TEST_CASE_METHOD(supervisor_file, "config check prints the problems or that there are none",
                 "[config]") {
  repository("a");
  auto print = [this] { return print_config_check(file); };
  std::ofstream{file} << with("");
  auto fine = printed(print);
  CHECK(fine.first == 1);
  CHECK(fine.second
        == file.string()
             + ":3: not valid JSON: unexpected '}'; expected string literal; is there a "
               "comma too many before it?\n");
  std::ofstream{file} << with("\"settings\": {}");
  CHECK(printed(print) == std::pair{0, file.string() + " is fine: 1 repository\n"});
  std::ofstream{file} << with("\"setting\": {}, \"reviewers_at_once\":\n true");
  CHECK(printed(print)
        == std::pair{1, fmt::format("{0}:3: setting: unknown key; did you mean settings?\n"
                                    "{0}:4: reviewers_at_once: must be an integer, not boolean\n",
                                    file.string())});
  CHECK(printed([this] { return print_config_check(directory.path / "none"); })
        == std::pair{1, (directory.path / "none").string() + " does not exist\n"});
}

TEST_CASE("config schema prints what is kept in config/", "[config]") {
  auto which = GENERATE("supervisor", "repository");
  INFO("regenerate: codex-orchestrator config schema " << which << " > config/" << which
                                                       << ".schema.json");
  auto [status, text] = printed([which] { return print_config_schema(which); });
  CHECK(status == 0);
  CHECK(text == source_text(fmt::format("config/{}.schema.json", which)));
}

TEST_CASE("a config schema says types, ranges, words, defaults and what is required", "[config]") {
  json schema = supervisor_config_schema();
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["required"] == json::parse(R"(["repositories"])"));
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["properties"]["reviewers_at_once"]
        == json::parse(R"({"type": "integer", "minimum": 1, "maximum": 1000, "default": 4,
                           "description": "reviewers of all repositories together"})"));
  auto item = schema["properties"]["repositories"]["items"];
  CHECK(item["required"] == json::parse(R"(["name", "path"])"));
  CHECK(item["properties"]["name"]["pattern"].is_string());
  json own = repository_config_schema();
  CHECK(own["properties"]["agents"]["properties"]["provider"]["enum"]
        == json::parse(R"(["codex", "claude_code", "command"])"));
  CHECK(own["properties"] == item["properties"]["settings"]["properties"]);
  CHECK(own["properties"] == schema["properties"]["settings"]["properties"]);
}

TEST_CASE_METHOD(supervisor_file, "the example of a supervisor's config works wherever it is",
                 "[config]") {
  auto text = source_text("config/supervisor.example.json");
  CHECK(in_lines(check(text)).size() == 1); // no repository around it
  fs::create_directories(repository("a") / "config");
  file = directory.path / "a/config/supervisor.json";
  CHECK(check(text).empty());
  auto example = read(text);
  CHECK(example.targets
        == std::vector{supervision_target{"example", file.parent_path(), json::object()}});
  CHECK(example.reviewers_at_once == supervisor_config{}.reviewers_at_once);
  for (auto name : shape_of<supervisor_config>().names())
    CHECK(text.find(fmt::format("\"{}\": ", name)) != std::string::npos);
  for (auto name : shape_of<supervised_repository>().names())
    CHECK(text.find(fmt::format("\"{}\": ", name)) != std::string::npos);
}

TEST_CASE("the settings in comments of the supervisor's example are right too", "[config]") {
  auto text = source_text("config/supervisor.example.json");
  supervisor_file here;
  for (const auto* mark : {"\n    // \"", "\n      // \"", "\n      //   \"", "\n      // }"})
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark))
      text.erase(text.find("//", at), 2);
  text.replace(text.find("\"path\": \".\""), 11, "\"path\": \".\",");
  here.repository(".");
  CHECK(in_lines(here.check(text)).empty());
  CHECK(here.read(text).targets.at(0).settings.size() == 5);
}

TEST_CASE("the example of a repository's config has every key", "[config]") {
  auto text = source_text("config/repository.example.json");
  auto schema = repository_config_schema();
  for (const auto& [name, of] : schema["properties"].items()) {
    CHECK(text.find(fmt::format("\"{}\": ", name)) != std::string::npos);
    if (of.contains("properties"))
      for (const auto& [inner, ignored] : of["properties"].items())
        CHECK(text.find(fmt::format("\"{}\": ", inner)) != std::string::npos);
  }
}

TEST_CASE("docs/config.md has a row for every key", "[config]") {
  std::vector<std::string> rows;
  add_rows(rows, supervisor_config_schema(), "");
  add_rows(rows, repository_config_schema(), "");
  auto text = source_text("docs/config.md");
  REQUIRE(rows.size() > 20);
  for (const auto& row : rows) {
    INFO("missing: " << row);
    CHECK(text.find("\n" + row) < text.size());
  }
}
