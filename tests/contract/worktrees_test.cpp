#include "client.hpp"

using namespace orch::test;

namespace {

struct worktrees : contract {
  path path_of(const json& tree) const { return tree["path"].get<std::string>(); }
  json spawn(const json& more = json::object()) {
    json params{{"session_id", session}, {"parent_worktree_id", parent["id"]}};
    params.update(more);
    return ask("worktree.spawn", params);
  }
  json merge(const json& child) {
    return call("worktree.merge_to_parent",
                {{"session_id", session}, {"worktree_id", child["id"]}});
  }
  /// All that git knows of a work tree: commit, branch, staged, changed and untracked files.
  std::string picture(const json& tree) const {
    auto at = path_of(tree);
    return git_in(at, {"rev-parse", "HEAD"}) + git_in(at, {"status", "--porcelain=v2", "--branch"})
           + git_in(at, {"diff", "HEAD"});
  }
  json remove(const json& tree, bool force = false) {
    return call("worktree.remove", {{"worktree_id", tree["id"]}, {"force", force}});
  }

  json context = open();
  json session = context["session"]["id"];
  json parent = context["session_root_worktree"];
};

} // namespace

TEST_CASE_METHOD(worktrees, "scheduler.decide_worktree scores size and risk", "[worktrees]") {
  auto [minutes, mode, score] =
    GENERATE(table<int, std::string, int>({{15, "shared", 11}, {16, "worktree", 12}}));
  auto decided = ask("scheduler.decide_worktree", {{"changed_files", 3},
                                                   {"estimate_minutes", minutes},
                                                   {"risk", 1},
                                                   {"parallel_workers", 1},
                                                   {"conflicting_paths", 1}});
  CHECK(decided["mode"] == mode);
  CHECK(decided["score"] == score);
  CHECK(decided["reasons"].is_array());
}

TEST_CASE_METHOD(worktrees, "scheduler.decide_worktree measures conflicts of paths",
                 "[worktrees]") {
  ask("lock.acquire", {{"scope_type", "prefix"},
                       {"scope_path", "src"},
                       {"owner_session", std::to_string(session.get<int64_t>())}});
  auto held = ask("scheduler.decide_worktree", {{"paths", {"src/a.cpp"}}})["score"];
  auto free = ask("scheduler.decide_worktree", {{"paths", {"docs/a.md"}}})["score"];
  CHECK(held.get<int>() > free.get<int>());
}

TEST_CASE_METHOD(worktrees, "worktree.create plans a worktree and makes nothing yet",
                 "[worktrees]") {
  auto tree = ask("worktree.create", {{"branch", "feature/x"}});
  CHECK(tree["status"] == "planned");
  CHECK(path_of(tree) == root / ".codex-orch" / "worktrees" / "feature-x");
  CHECK_FALSE(std::filesystem::exists(path_of(tree)));
}

TEST_CASE_METHOD(worktrees, "worktree.create makes branch and directory when asked",
                 "[worktrees]") {
  auto tree = ask("worktree.create", {{"branch", "feature/x"}, {"create_on_disk", true}});
  CHECK(tree["status"] == "active");
  CHECK(git_in(path_of(tree), {"branch", "--show-current"}) == "feature/x");
}

TEST_CASE_METHOD(worktrees, "worktree.create refuses bad branch names", "[worktrees]") {
  auto branch = GENERATE(as<std::string>{}, "a..b", "-x", "a b", "a~1", "x.lock", "/x", "x/", "@{",
                         "a\\b", "HEAD", "a:b", "a?*[", "x//y", ".x");
  for (bool on_disk : {false, true}) {
    auto error = error_of("worktree.create", {{"branch", branch}, {"create_on_disk", on_disk}});
    CHECK(error["code"] == "invalid_params");
    CHECK(error["data"]["field"] == "branch");
  }
  CHECK(ask("worktree.list")["worktrees"].size() == 2);
}

TEST_CASE_METHOD(worktrees, "worktree.create refuses paths outside the repository", "[worktrees]") {
  std::filesystem::create_directory_symlink(base, root / "out");
  auto where = GENERATE(as<std::string>{}, "../x", "/tmp/orch-escape", "a/../../x", "out/x",
                        ".codex-orch/worktrees/../../../x", ".git/x", ".");
  auto error =
    error_of("worktree.create", {{"branch", "b"}, {"path", where}, {"create_on_disk", true}});
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "path");
  CHECK_FALSE(std::filesystem::exists(base / "x"));
  CHECK(git({"branch", "--list", "b"}).empty());
}

TEST_CASE_METHOD(worktrees, "worktree.create refuses a branch or path that is taken",
                 "[worktrees]") {
  CHECK(code_of("worktree.create", {{"branch", "main"}, {"create_on_disk", true}}) == "conflict");
  write(root / "taken" / "file", "x");
  CHECK(code_of("worktree.create", {{"branch", "b"}, {"path", "taken"}, {"create_on_disk", true}})
        == "conflict");
  CHECK(read(root / "taken" / "file") == "x");
}

TEST_CASE_METHOD(worktrees, "worktree.create refuses a base that does not exist", "[worktrees]") {
  auto ref = GENERATE(as<std::string>{}, "nowhere", "--help", "main~99");
  auto error =
    error_of("worktree.create", {{"branch", "b"}, {"base_ref", ref}, {"create_on_disk", true}});
  auto code = error["code"].get<std::string>();
  CHECK((code == "invalid_params" || code == "not_found"));
  CHECK(git({"branch", "--list", "b"}).empty());
}

TEST_CASE_METHOD(worktrees, "worktree.list gives the newest first and sees the disk",
                 "[worktrees]") {
  auto planned = ask("worktree.create", {{"branch", "later"}});
  auto all = ask("worktree.list")["worktrees"];
  REQUIRE(all.size() == 3);
  CHECK(all[0]["id"] == planned["id"]);
  CHECK(all[0]["exists_on_disk"] == false);
  CHECK(all[1]["exists_on_disk"] == true);
  CHECK(ask("worktree.list", {{"status", "planned"}})["worktrees"].size() == 1);
  auto mine = ask("worktree.list", {{"owner_session_id", session}})["worktrees"];
  REQUIRE(mine.size() == 1);
  CHECK(mine[0]["id"] == parent["id"]);
}

TEST_CASE_METHOD(worktrees, "worktree.spawn branches off the parent", "[worktrees]") {
  auto tip = commit(path_of(parent), "p.txt", "p\n");
  auto child = spawn({{"slug", "api"}});
  CHECK(child["kind"] == "task_branch");
  CHECK(child["parent_worktree_id"] == parent["id"]);
  CHECK(child["owner_session_id"] == session);
  CHECK(git_in(path_of(child), {"rev-parse", "HEAD"}) == tip);
  CHECK_THAT(child["branch"].get<std::string>(), Catch::Contains("api"));
  CHECK(spawn({{"slug", "api"}})["branch"] != child["branch"]);
}

TEST_CASE_METHOD(worktrees, "worktree.spawn refuses a parent of another session", "[worktrees]") {
  auto error = error_of("worktree.spawn",
                        {{"session_id", open_session()}, {"parent_worktree_id", parent["id"]}});
  CHECK(error["code"] == "permission_denied");
}

TEST_CASE_METHOD(worktrees, "worktree.status looks at the disk", "[worktrees]") {
  auto at = path_of(parent);
  auto tip = commit(at, "new.txt", "n\n");
  commit(root, "main.txt", "m\n");
  write(at / "a.txt", "changed\n");
  write(at / "loose.txt", "l\n");
  auto state = ask("worktree.status", {{"worktree_id", parent["id"]}});
  CHECK(state["worktree"]["id"] == parent["id"]);
  CHECK(state["branch"] == parent["branch"]);
  CHECK(state["head"] == tip);
  CHECK(state["ahead"] == 1);
  CHECK(state["behind"] == 1);
  CHECK(state["dirty_files"] == json({"a.txt"}));
  CHECK(state["untracked"] == json({"loose.txt"}));
  CHECK(state["disk_bytes"].get<int64_t>() > 0);
}

TEST_CASE_METHOD(worktrees, "worktree.merge_to_parent merges the branch with a commit",
                 "[worktrees]") {
  auto child = spawn();
  auto tip = commit(path_of(child), "c.txt", "c\n");
  auto merged = result_of(merge(child));
  CHECK(merged["result"] == "merged_to_parent");
  CHECK(merged["child_worktree"]["merge_state"] == "merged_to_parent");
  CHECK(shape_of_time(merged["child_worktree"]["merged_at"]) == "time");
  CHECK(merged["parent_worktree"]["id"] == parent["id"]);
  CHECK(git_in(path_of(parent), {"rev-parse", "HEAD"}) == merged["merge_commit"]);
  CHECK(git_in(path_of(parent), {"rev-parse", "HEAD^2"}) == tip);
  CHECK(read(path_of(parent) / "c.txt") == "c\n");
  CHECK(git_in(path_of(parent), {"status", "--porcelain"}).empty());
}

TEST_CASE_METHOD(worktrees, "worktree.merge_to_parent leaves both as they were on a conflict",
                 "[worktrees]") {
  auto child = spawn();
  commit(path_of(child), "a.txt", "child\n");
  commit(path_of(parent), "a.txt", "parent\n");
  write(path_of(parent) / "loose.txt", "l\n");
  auto before = picture(child) + picture(parent);
  auto error = orch::test::error_of(merge(child));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["paths"] == json({"a.txt"}));
  CHECK(picture(child) + picture(parent) == before);
}

TEST_CASE_METHOD(worktrees, "worktree.merge_to_parent refuses uncommitted work of the child",
                 "[worktrees]") {
  auto untracked = GENERATE(true, false);
  auto child = spawn();
  commit(path_of(child), "c.txt", "c\n");
  write(path_of(child) / (untracked ? "loose.txt" : "a.txt"), "x\n");
  auto before = picture(child) + picture(parent);
  CHECK(orch::test::error_of(merge(child))["code"] == "failed_precondition");
  CHECK(picture(child) + picture(parent) == before);
}

TEST_CASE_METHOD(worktrees, "worktree.merge_to_parent refuses changes that it would overwrite",
                 "[worktrees]") {
  auto child = spawn();
  commit(path_of(child), "a.txt", "child\n");
  write(path_of(parent) / "a.txt", "unsaved\n");
  auto before = picture(child) + picture(parent);
  CHECK(orch::test::error_of(merge(child))["code"] == "failed_precondition");
  CHECK(picture(child) + picture(parent) == before);
}

TEST_CASE_METHOD(worktrees, "worktree.merge_to_parent keeps other changes of the parent",
                 "[worktrees]") {
  auto child = spawn();
  commit(path_of(child), "c.txt", "c\n");
  write(path_of(parent) / "a.txt", "unsaved\n");
  result_of(merge(child));
  CHECK(read(path_of(parent) / "a.txt") == "unsaved\n");
  CHECK(read(path_of(parent) / "c.txt") == "c\n");
}

TEST_CASE_METHOD(worktrees, "worktree.remove takes directory, metadata and branch away",
                 "[worktrees]") {
  auto child = spawn();
  auto removed = result_of(remove(child));
  CHECK(removed["worktree"]["status"] == "removed");
  CHECK_FALSE(removed.contains("backup_ref"));
  CHECK_FALSE(std::filesystem::exists(path_of(child)));
  CHECK(git({"worktree", "list"}).find(path_of(child).string()) == std::string::npos);
}

TEST_CASE_METHOD(worktrees, "worktree.remove refuses to lose work and lists it", "[worktrees]") {
  auto child = spawn();
  auto committed = GENERATE(true, false);
  if (committed)
    commit(path_of(child), "new.txt", "precious\n");
  else
    write(path_of(child) / "new.txt", "precious\n");
  auto error = orch::test::error_of(remove(child));
  CHECK(error["code"] == "failed_precondition");
  CHECK(error["data"].dump().size() > 10);
  CHECK(read(path_of(child) / "new.txt") == "precious\n");
}

TEST_CASE_METHOD(worktrees, "worktree.remove with force keeps the work under a backup ref",
                 "[worktrees]") {
  auto child = spawn();
  commit(path_of(child), "new.txt", "committed\n");
  write(path_of(child) / "a.txt", "changed\n");
  write(path_of(child) / "dir" / "loose.txt", "loose\n");
  auto removed = result_of(remove(child, true));
  auto ref = removed["backup_ref"].get<std::string>();
  CHECK(ref.starts_with("refs/codex-orch/backup/"));
  CHECK(git({"show", ref + ":new.txt"}) == "committed");
  CHECK(git({"show", ref + ":a.txt"}) == "changed");
  CHECK(git({"show", ref + ":dir/loose.txt"}) == "loose");
  CHECK_FALSE(std::filesystem::exists(path_of(child)));
}

TEST_CASE_METHOD(worktrees, "worktree.remove never removes the main worktree", "[worktrees]") {
  auto code = orch::test::error_of(remove(context["main_worktree"], true))["code"];
  CHECK((code == "failed_precondition" || code == "permission_denied" || code == "invalid_params"));
  CHECK(read(root / "a.txt") == "a\n");
}

TEST_CASE_METHOD(worktrees, "worktree.prune says what it would do and does nothing",
                 "[worktrees]") {
  ask("session.close", {{"session_id", session}});
  auto pruned = ask("worktree.prune", {{"older_than_hours", 0}});
  CHECK(pruned["removed"].is_array());
  CHECK(pruned["kept"].is_array());
  CHECK(std::filesystem::exists(path_of(parent)));
}

TEST_CASE_METHOD(worktrees, "worktree.prune removes merged worktrees of closed sessions only",
                 "[worktrees]") {
  auto child = spawn();
  commit(path_of(child), "c.txt", "c\n");
  result_of(merge(child));
  auto living = open()["session_root_worktree"];
  ask("session.close", {{"session_id", session}});
  json now{{"dry_run", false}, {"older_than_hours", 0}};
  auto removed = ask("worktree.prune", now)["removed"].dump();
  CHECK(removed.find(path_of(child).string()) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(path_of(child)));
  CHECK(std::filesystem::exists(path_of(living)));
  // The session's own branch has work that main lacks.
  CHECK(git({"show", parent["branch"].get<std::string>() + ":c.txt"}) == "c");
}

TEST_CASE_METHOD(worktrees, "worktree.prune forgets worktrees whose directory is gone",
                 "[worktrees]") {
  auto child = spawn();
  std::filesystem::remove_all(path_of(child));
  ask("worktree.prune", {{"dry_run", false}, {"older_than_hours", 0}});
  auto active = ask("worktree.list", {{"status", "active"}})["worktrees"].dump();
  CHECK(active.find(path_of(child).string()) == std::string::npos);
}
