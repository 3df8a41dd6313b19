#include "messages/catalog.hpp"
#include "messages/tools.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <sstream>

using namespace orch;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

TEST_CASE("the README's table of methods is the one the program prints", "[catalog]") {
  auto readme = read_file(std::string{ORCH_SOURCE_DIR} + "/README.md");
  INFO("regenerate it with: codex-orchestrator methods --markdown");
  CHECK(readme.find(markdown_table()) != std::string::npos);
}

TEST_CASE("no two methods have one name, also when dots become underscores", "[catalog]") {
  std::set<std::string> names;
  for (const auto& m : catalog()) {
    std::string name{m.about->name};
    std::replace(name.begin(), name.end(), '.', '_');
    CHECK(names.insert(name).second);
  }
}

TEST_CASE("every parameter schema stays below what clients keep whole", "[catalog]") {
  for (const auto& m : catalog()) {
    INFO(m.about->name);
    CHECK(parameter_schema(m).dump().size() < 4'000);
  }
}

TEST_CASE("tool profiles and groups name methods that exist, and groups hold them all",
          "[catalog]") {
  for (const auto& profile : tool_profiles())
    for (auto method : profile.methods) {
      INFO(profile.name << ": " << method);
      CHECK(find_method(method) != nullptr);
    }
  for (const auto& m : catalog()) {
    int groups = 0;
    for (const auto& group : tool_groups())
      groups += in_group(group, m.about->name) ? 1 : 0;
    INFO(m.about->name);
    CHECK(groups == 1);
  }
}

TEST_CASE("help names every parameter and every result field of a method", "[catalog]") {
  for (const auto& m : catalog()) {
    auto text = help_text(m);
    INFO(m.about->name);
    for (const auto* shape : {m.params, m.result})
      for (const auto& f : shape->fields)
        CHECK(text.find(std::string{f.name}) != std::string::npos);
  }
}

TEST_CASE("an unknown word gets the nearest known one, if there is one near", "[catalog]") {
  std::vector<std::string_view> known{"task.create", "task.list", "lock.acquire"};
  CHECK(nearest("task.crate", known) == "task.create");
  CHECK(nearest("lock_acquire", known) == "lock.acquire");
  CHECK(nearest("zzzzzzzzzzzzzzzzzzzzzzzzzzzz", known).empty());
}
