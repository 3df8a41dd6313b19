#include "client.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace orch::test;

namespace {

struct backups : sandbox {
  ended back_up(const path& file) {
    return run({"backup", file.string(), "--repo", root.string()});
  }
  ended restore(const path& file) {
    return run({"restore", file.string(), "--repo", root.string()});
  }
  int64_t tasks() {
    return std::ssize(start_in(root)->ask("task.list", {{"limit", 500}})["tasks"]);
  }
  void add(server& on, int count) {
    for (int i = 0; i < count; ++i)
      on.ask("task.create", {{"level", "epic"}, {"title", "t"}});
  }
  path state() const { return root / ".codex-orch" / "state.db"; }
  path file = base / "copy.db";
};

} // namespace

TEST_CASE_METHOD(backups, "backup copies the state while a server writes, restore brings it back",
                 "[backup]") {
  {
    auto on = start_in(root);
    add(*on, 5);
    std::vector<int64_t> ids;
    for (int i = 0; i < 200; ++i)
      ids.push_back(on->request("task.create", {{"level", "epic"}, {"title", "more"}}));
    auto made = back_up(file);
    INFO(made.err);
    CHECK(made.code == 0);
    CHECK(std::filesystem::status(file).permissions() == std::filesystem::perms(0600));
    for (auto id : ids)
      result_of(on->answer_to(id));
    // Nobody's state goes away under them.
    auto refused = restore(file);
    CHECK(refused.code == 2);
    CHECK(refused.err.find("stop them first") != std::string::npos);
  }
  CHECK(tasks() == 205);
  auto restored = restore(file);
  INFO(restored.err);
  CHECK(restored.code == 0);
  auto now = tasks();
  CHECK(now >= 5);
  CHECK(now <= 205);
  std::vector<path> former;
  for (const auto& entry : std::filesystem::directory_iterator{root / ".codex-orch"})
    if (entry.path().filename().string().starts_with("state.db.before-restore-"))
      former.push_back(entry.path());
  REQUIRE(former.size() == 1);
  CHECK(restore(former.front()).code == 0);
  CHECK(tasks() == 205);
}

TEST_CASE_METHOD(backups, "backup overwrites nothing", "[backup]") {
  start_in(root)->ask("workspace.init");
  write(file, "mine\n");
  auto refused = back_up(file);
  CHECK(refused.code == 2);
  CHECK(refused.err.find("File exists") != std::string::npos);
  CHECK(read(file) == "mine\n");
  CHECK(back_up(base / "no" / "such" / "place").code == 2);
}

TEST_CASE_METHOD(backups, "restore refuses what is no whole copy, and changes nothing",
                 "[backup]") {
  add(*start_in(root), 3);
  REQUIRE(back_up(file).code == 0);
  auto text = read(file);
  SECTION("another file") {
    write(file, "hello\n");
  }
  SECTION("an empty file") {
    write(file, "");
  }
  SECTION("half of it") {
    write(file, std::string_view{text}.substr(0, text.size() / 2));
  }
  SECTION("a newer one") {
    text[60 + 3] = '\x7f'; // the version, a big-endian number
    write(file, text);
  }
  SECTION("none") {
    std::filesystem::remove(file);
  }
  auto before = read(state());
  auto refused = restore(file);
  INFO(refused.err);
  CHECK(refused.code == 2);
  CHECK(refused.err.find("cannot restore") != std::string::npos);
  CHECK(read(state()) == before);
  CHECK(tasks() == 3);
}

TEST_CASE_METHOD(backups, "restore puts a whole state in the place of a damaged one", "[backup]") {
  add(*start_in(root), 3);
  REQUIRE(back_up(file).code == 0);
  write(state(), "not a database at all\n");
  auto restored = restore(file);
  INFO(restored.err);
  CHECK(restored.code == 0);
  CHECK(tasks() == 3);
}
