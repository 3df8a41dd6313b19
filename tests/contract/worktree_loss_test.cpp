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

TEST_CASE_METHOD(precious, "worktree.restore brings back what remove has kept, as it was",
                 "[worktrees]") {
  auto place = path_of(child);
  commit(place, "new.txt", "committed\n");
  write(place / "new.txt", "changed\n");
  write(place / "notes" / "mine é.txt", "untracked\n");
  std::filesystem::remove(place / "a.txt");
  auto before = git_in(place, {"status", "--porcelain", "--untracked-files=all"});
  auto head = git_in(place, {"rev-parse", "HEAD"});
  auto removed = result_of(remove(true));
  CHECK_FALSE(std::filesystem::exists(place));
  CHECK(removed["worktree"]["backup_ref"] == removed["backup_ref"]);
  auto back = ask("worktree.restore", {{"worktree_id", child["id"]}, {"session_id", session}});
  CHECK(back["backup_ref"] == removed["backup_ref"]);
  CHECK(back["worktree"]["id"] == child["id"]);
  CHECK(back["worktree"]["path"] == child["path"]);
  CHECK(back["worktree"]["branch"] == child["branch"]);
  CHECK(back["worktree"]["status"] == "active");
  CHECK(back["head"] == head);
  CHECK(git_in(place, {"status", "--porcelain", "--untracked-files=all"}) == before);
  CHECK(git_in(place, {"rev-parse", "HEAD"}) == head);
  CHECK(git_in(place, {"symbolic-ref", "--short", "HEAD"}) == child["branch"]);
  CHECK(read(place / "new.txt") == "changed\n");
  CHECK(read(place / "notes" / "mine é.txt") == "untracked\n");
  CHECK(back["uncommitted_files"].size() == 3);
  CHECK(call("worktree.restore", {{"worktree_id", child["id"]}})["error"]["code"]
        == "failed_precondition");
  // And it can be worked with as before.
  commit(place, "more.txt", "more\n");
  auto ref = result_of(remove(true))["backup_ref"].get<std::string>();
  CHECK(git({"show", ref + ":notes/mine é.txt"}) == "untracked");
}

TEST_CASE_METHOD(precious, "worktree.restore finds other names where its own are taken",
                 "[worktrees]") {
  auto place = path_of(child);
  git_in(place, {"checkout", "--quiet", "--detach"});
  commit(place, "new.txt", "precious\n");
  auto head = git_in(place, {"rev-parse", "HEAD"});
  remove(true);
  git({"branch", child["branch"].get<std::string>(), "main"});
  auto back = ask("worktree.restore", {{"worktree_id", child["id"]}});
  auto there = path_of(back["worktree"]);
  CHECK(back["worktree"]["branch"] == child["branch"].get<std::string>() + "-2");
  CHECK(there != place);
  CHECK(git_in(there, {"rev-parse", "HEAD"}) == head);
  CHECK(read(there / "new.txt") == "precious\n");
}

TEST_CASE_METHOD(precious, "worktree.restore refuses what it cannot do, and changes nothing",
                 "[worktrees]") {
  auto refused = [&](const json& more) {
    json params{{"worktree_id", child["id"]}};
    params.update(more);
    return orch::test::error_of(call("worktree.restore", params));
  };
  CHECK(refused(json::object())["code"] == "failed_precondition"); // it is there
  result_of(remove(false));
  CHECK(refused(json::object())["message"].get<std::string>().find("nothing was kept")
        != std::string::npos);
  CHECK(refused({{"backup_ref", "refs/heads/main"}})["data"]["field"] == "backup_ref");
  CHECK(refused({{"backup_ref", "refs/codex-orch/backup/none"}})["code"] == "not_found");
  CHECK(refused({{"worktree_id", parent["id"]}})["code"] == "failed_precondition");
  auto other = open()["session"]["id"];
  CHECK(refused({{"session_id", other}})["code"] == "permission_denied");
  CHECK(ask("worktree.list", {{"status", "removed"}})["worktrees"].size() == 1);
}

TEST_CASE_METHOD(precious, "worktree.restore of a directory that somebody deleted", "[worktrees]") {
  auto place = path_of(child);
  commit(place, "new.txt", "precious\n");
  std::filesystem::remove_all(place);
  auto back = ask("worktree.restore", {{"worktree_id", child["id"]}, {"session_id", session}});
  CHECK(read(path_of(back["worktree"]) / "new.txt") == "precious\n");
  CHECK(back["worktree"]["id"] == child["id"]);
}

TEST_CASE_METHOD(precious, "worktree.restore asked by two at once is done once", "[worktrees]") {
  commit(path_of(child), "new.txt", "precious\n");
  result_of(remove(true));
  auto other = start_in(root);
  auto first = other->request("worktree.restore", {{"worktree_id", child["id"]}});
  auto second = call("worktree.restore", {{"worktree_id", child["id"]}});
  auto answers = std::vector{other->answer_to(first), second};
  CHECK(std::count_if(answers.begin(), answers.end(),
                      [](const json& answer) { return answer.contains("result"); })
        == 1);
  auto row = ask("worktree.list")["worktrees"];
  auto branches = git({"branch", "--list", child["branch"].get<std::string>() + "*"});
  CHECK(std::count(branches.begin(), branches.end(), '\n') == 0);
}

TEST_CASE_METHOD(precious, "worktree.remove keeps repositories that git ignores", "[worktrees]") {
  write(path_of(child) / ".gitignore", "vendor/\n");
  git_in(path_of(child), {"add", "."});
  git_in(path_of(child), {"commit", "--quiet", "--message", "ignore"});
  ask("worktree.merge_to_parent", {{"session_id", session}, {"worktree_id", child["id"]}});
  git({"init", "--quiet", (path_of(child) / "vendor" / "lib").string()});
  for (auto force : {false, true})
    CHECK(orch::test::error_of(remove(force))["code"] == "failed_precondition");
  CHECK(std::filesystem::exists(path_of(child) / "vendor" / "lib" / ".git"));
}
