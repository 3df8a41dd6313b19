#include "client.hpp"

#include <catch2/catch.hpp>

using namespace orch::test;

namespace {

/// A session with a child worktree whose work must not get lost.
struct precious : contract {
  std::filesystem::path path_of(const json& tree) { return tree["path"].get<std::string>(); }

  json remove(bool force) {
    return call("worktree.remove", {{"worktree_id", child["id"]}, {"force", force}});
  }

  json context = open();
  json session = context["session"]["id"];
  json parent = context["session_root_worktree"];
  json child = ask("worktree.spawn",
                   {{"session_id", session}, {"parent_worktree_id", parent["id"]}, {"slug", "x"}});
};

} // namespace

TEST_CASE_METHOD(precious, "worktree.remove refuses to lose commits of a detached HEAD",
                 "[worktrees]") {
  git_in(path_of(child), {"checkout", "--quiet", "--detach"});
  commit(path_of(child), "new.txt", "precious\n");
  CHECK(orch::test::error_of(remove(false))["code"] == "failed_precondition");
  auto ref = result_of(remove(true))["backup_ref"].get<std::string>();
  CHECK(git({"show", ref + ":new.txt"}) == "precious");
}

TEST_CASE_METHOD(precious, "worktree.remove with force keeps a branch that is not checked out",
                 "[worktrees]") {
  commit(path_of(child), "new.txt", "precious\n");
  git_in(path_of(child), {"checkout", "--quiet", "--detach", "HEAD~1"});
  auto ref = result_of(remove(true))["backup_ref"].get<std::string>();
  CHECK(git({"show", ref + "-branch:new.txt"}) == "precious");
}

TEST_CASE_METHOD(precious, "worktree.remove never deletes a repository inside the worktree",
                 "[worktrees]") {
  git({"init", "--quiet", (path_of(child) / "nested").string()});
  write(path_of(child) / "nested" / "a.txt", "precious\n");
  for (auto force : {false, true})
    CHECK(orch::test::error_of(remove(force))["code"] == "failed_precondition");
  CHECK(read(path_of(child) / "nested" / "a.txt") == "precious\n");
}

TEST_CASE_METHOD(precious, "worktree.remove respects git worktree lock", "[worktrees]") {
  git({"worktree", "lock", path_of(child).string()});
  CHECK(orch::test::error_of(remove(false))["code"] == "failed_precondition");
  CHECK(std::filesystem::exists(path_of(child)));
}

TEST_CASE_METHOD(precious, "worktree.remove ends what was removed half", "[worktrees]") {
  git({"worktree", "remove", path_of(child).string()});
  CHECK(result_of(remove(false))["worktree"]["status"] == "removed");
}

TEST_CASE_METHOD(precious, "worktree.merge_to_parent merges again what was committed since",
                 "[worktrees]") {
  auto merge = [&] {
    return call("worktree.merge_to_parent",
                {{"session_id", session}, {"worktree_id", child["id"]}});
  };
  CHECK(result_of(merge())["result"] == "merged_to_parent");
  commit(path_of(child), "new.txt", "precious\n");
  auto queued =
    call("merge.main.request", {{"session_id", session}, {"from_worktree_id", parent["id"]}});
  CHECK(orch::test::error_of(queued)["data"]["worktree_ids"] == json{child["id"]});
  CHECK(result_of(merge())["result"] == "merged_to_parent");
  CHECK(read(path_of(parent) / "new.txt") == "precious\n");
}

TEST_CASE_METHOD(precious, "mirror.refresh writes into no git directory", "[mirror]") {
  git({"init", "--quiet", (root / "vendor").string()});
  auto answer = call("mirror.refresh", {{"requester_role", "doc-mirror-manager"},
                                        {"target_path", "vendor/.git/hooks/x.md"}});
  CHECK(orch::test::error_of(answer)["data"]["field"] == "target_path");
}
