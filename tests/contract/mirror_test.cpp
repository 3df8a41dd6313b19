#include "client.hpp"

using namespace orch::test;

namespace {

struct mirror : contract {
  json refresh(const json& more = json::object()) {
    json params{{"requester_role", "doc-mirror-manager"}};
    params.update(more);
    return call("mirror.refresh", params);
  }
};

} // namespace

TEST_CASE_METHOD(mirror, "mirror.refresh writes the whole state as Markdown", "[mirror]") {
  auto context = open({{"owner", "ann"}});
  make_task("epic", {{"title", "the epic"}});
  make_node({{"title", "the node"}});
  ask("lock.acquire",
      {{"scope_type", "file"}, {"scope_path", "locked.cpp"}, {"owner_session", "1"}});
  auto written = result_of(refresh());
  CHECK(written["outdated_before_refresh"] == true);
  CHECK(written["mirror_status"]["outdated"] == false);
  CHECK(written["path"] == (root / ".codex-orch" / "mirror" / "status.md").string());
  auto text = read(written["path"].get<std::string>());
  for (const auto& part : words{"the epic", "the node", "locked.cpp", "mermaid",
                                context["session_root_worktree"]["branch"]})
    CHECK_THAT(text, Catch::Contains(part));
}

TEST_CASE_METHOD(mirror, "mirror.refresh is for one role", "[mirror]") {
  CHECK(orch::test::error_of(refresh({{"requester_role", "worker"}}))["code"]
        == "permission_denied");
  CHECK_FALSE(std::filesystem::exists(root / ".codex-orch" / "mirror" / "status.md"));
}

TEST_CASE_METHOD(mirror, "the mirror is never written unasked", "[mirror]") {
  open_session();
  make_task("epic");
  ask("mirror.status");
  CHECK_FALSE(std::filesystem::exists(root / ".codex-orch" / "mirror" / "status.md"));
}

TEST_CASE_METHOD(mirror, "mirror.status knows when the mirror is outdated", "[mirror]") {
  make_task("epic");
  result_of(refresh());
  auto state = ask("mirror.status");
  CHECK(state["outdated"] == false);
  CHECK(state["md_version"] == state["db_version"]);
  make_task("epic");
  state = ask("mirror.status");
  CHECK(state["outdated"] == true);
  CHECK(state["md_version"] == state["db_version"].get<int>() - 1);
  CHECK(result_of(refresh())["outdated_before_refresh"] == true);
}

TEST_CASE_METHOD(mirror, "mirror.refresh does not rewrite an unchanged state", "[mirror]") {
  make_task("epic");
  path file = result_of(refresh())["path"].get<std::string>();
  auto written = std::filesystem::last_write_time(file);
  auto text = read(file);
  CHECK(result_of(refresh())["outdated_before_refresh"] == false);
  CHECK(std::filesystem::last_write_time(file) == written);
  CHECK(read(file) == text);
}

TEST_CASE_METHOD(mirror, "mirror.refresh is itself no change of state", "[mirror]") {
  make_task("epic");
  auto before = first.db_version();
  result_of(refresh());
  CHECK(first.db_version() == before);
}

TEST_CASE_METHOD(mirror, "mirror.refresh writes where it is told, inside the repository",
                 "[mirror]") {
  auto written = result_of(refresh({{"target_path", "docs/state.md"}}));
  CHECK(written["path"] == (root / "docs" / "state.md").string());
  CHECK_FALSE(read(root / "docs" / "state.md").empty());
}

TEST_CASE_METHOD(mirror, "mirror.refresh refuses other places", "[mirror]") {
  std::filesystem::create_directory_symlink(base, root / "out");
  auto target = GENERATE(as<std::string>{}, "../x.md", "/tmp/orch-escape.md", ".git/config",
                         ".git/x.md", "out/x.md", "a/../../x.md", "a.txt", "x.md/../../y.md");
  auto config = read(root / ".git" / "config");
  auto error = orch::test::error_of(refresh({{"target_path", target}}));
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "target_path");
  CHECK(read(root / ".git" / "config") == config);
  CHECK(read(root / "a.txt") == "a\n");
  CHECK_FALSE(std::filesystem::exists(base / "x.md"));
}
