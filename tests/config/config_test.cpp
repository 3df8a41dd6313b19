#include "config/config.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace orch;

namespace {

repository_config read_text(const std::string& text) {
  scratch_directory directory;
  std::ofstream{directory.path / "config.json"} << text;
  return read_repository_config(directory.path / "config.json");
}

} // namespace

TEST_CASE("the example config works as it stands and has every key", "[config]") {
  auto file = std::filesystem::path{ORCH_SOURCE_DIR} / "config/repository.example.json";
  auto config = read_repository_config(file);
  CHECK(to_json_text(config) == to_json_text(repository_config{}));
  std::ifstream in{file};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  for (const auto& f : shape_of<repository_config>().fields)
    CHECK(text.find("\"" + std::string{f.name} + "\"") != std::string::npos);
}

TEST_CASE("a missing config gives the defaults", "[config]") {
  scratch_directory directory;
  CHECK(read_repository_config(directory.path / "none.json").own_worktree_from_score == 12);
}

TEST_CASE("a config may have comments", "[config]") {
  CHECK(read_text("// why\n{\"main_branch\": /* ours */ \"trunk\"}").main_branch == "trunk");
}

TEST_CASE("a bad config is refused by one line that names file and key", "[config]") {
  auto [text, key] = GENERATE(table<std::string, std::string>({
    {R"({"main_brunch":"x"})", "did you mean main_branch?"},
    {R"({"planning":{"max_files_per_slice":0}})",
     "planning.max_files_per_slice must be at least 1"},
    {R"({"planning":7})", "planning must be an object"},
    {"[]", "must hold an object"},
    {"{", "parse error"},
  }));
  try {
    read_text(text);
    FAIL("accepted " << text);
  } catch (const std::runtime_error& e) {
    CHECK(std::string{e.what()}.find("config.json") != std::string::npos);
    CHECK(std::string{e.what()}.find(key) != std::string::npos);
    CHECK(std::string{e.what()}.find('\n') == std::string::npos);
  }
}
