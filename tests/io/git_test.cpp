#include "git_sandbox.hpp"
#include "io/git.hpp"

using namespace orch;
namespace fs = std::filesystem;

namespace {

using paths = std::vector<std::string>;

/// Repositories of these kinds must be answered alike; libgit2 opens only the first.
git_sandbox::words some_kind_of_repository() {
  return GENERATE(as<git_sandbox::words>{}, git_sandbox::words{},
                  git_sandbox::words{"--object-format=sha256"});
}

} // namespace

TEST_CASE("git.head tells branch and commit", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  auto repository = box.open(root);
  auto commit = box.git(root, {"rev-parse", "HEAD"});
  CHECK(repository.head(root).branch == "main");
  CHECK(repository.head(root).commit == commit);
  auto linked = box.base / "linked";
  box.git(root, {"worktree", "add", "-b", "side/é", linked.string()});
  CHECK(repository.head(linked).branch == "side/é");
  auto second = box.commit_file(linked, "c.txt", "c\n");
  CHECK(repository.head(linked).commit == second);
  CHECK(repository.head(root).commit == commit);
  box.git(root, {"checkout", "--quiet", "--detach"});
  CHECK(repository.head(root).branch.empty());
  CHECK(repository.head(root).commit == commit);
}

TEST_CASE("git.head tells an unborn branch", "[git]") {
  git_sandbox box;
  auto root = box.make_empty(box.base / "repo", some_kind_of_repository());
  auto repository = box.open(root);
  CHECK(repository.head(root).branch == "main");
  CHECK_FALSE(repository.head(root).commit);
  CHECK(repository.main_branch() == "main");
  CHECK_FALSE(repository.commit_of("HEAD"));
  CHECK_FALSE(repository.branch_exists("main"));
}

TEST_CASE("git.head refuses what is no work tree of the repository", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto other = box.make_repository(box.base / "other");
  fs::create_directories(root / "sub");
  auto repository = box.open(root);
  CHECK(error_of([&] { repository.head(box.base / "missing"); }).code == errc::not_found);
  CHECK(error_of([&] { repository.head(other); }).code == errc::failed_precondition);
  CHECK(error_of([&] { repository.changes(root / "sub"); }).code == errc::failed_precondition);
}

TEST_CASE("git.main_branch is no side branch, and is found while the head is detached", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  auto repository = box.open(root);
  box.git(root, {"branch", "trunk"});
  box.git(root, {"branch", "develop"});
  box.git(root, {"checkout", "--quiet", "trunk"});
  CHECK(repository.main_branch() == "main");
  box.git(root, {"branch", "--quiet", "--delete", "--force", "main"});
  CHECK(repository.main_branch() == "trunk");
  box.git(root, {"checkout", "--quiet", "--detach"});
  CHECK(repository.main_branch().empty());
  box.git(root, {"config", "init.defaultBranch", "trunk"});
  CHECK(repository.main_branch() == "trunk");
  box.git(root, {"symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop"});
  CHECK(repository.main_branch() == "develop");
}

TEST_CASE("git.commit_of resolves refs of all kinds", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  auto first = box.git(root, {"rev-parse", "HEAD"});
  box.git(root, {"tag", "--annotate", "--message", "t", "v1"});
  auto second = box.commit_file(root, "a.txt", "2\n");
  auto repository = box.open(root);
  CHECK(repository.commit_of("HEAD") == second);
  CHECK(repository.commit_of("main") == second);
  CHECK(repository.commit_of("refs/heads/main") == second);
  CHECK(repository.commit_of("v1") == first);
  CHECK(repository.commit_of("HEAD~1") == first);
  CHECK(repository.commit_of("main@{1}") == first);
  CHECK(repository.commit_of(":/change") == second);
  CHECK(repository.commit_of(first) == first);
  CHECK(repository.commit_of(first.substr(0, 8)) == first);
  CHECK(repository.branch_exists("main"));
}

TEST_CASE("git.commit_of gives nothing for what names no commit", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  auto repository = box.open(root);
  using namespace std::string_literals;
  for (const auto& ref : {""s, "nothing"s, "-h"s, "--all"s, "main\n"s, "main\0x"s, "HEAD:a.txt"s,
                          "HEAD~9"s, "^HEAD"s, "main..main"s, "a b"s, "HEAD^{tree}"s,
                          std::string(40, '1'), std::string(64, '1'), std::string(9000, 'x')}) {
    INFO(ref);
    CHECK_FALSE(repository.commit_of(ref));
  }
  for (auto branch : {"", "nothing", "-d", "a..b", "../../HEAD"})
    CHECK_FALSE(repository.branch_exists(branch));
}

TEST_CASE("git.commit_of reports a repository that cannot be read", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  fs::remove(root / ".git" / "HEAD");
  auto error = error_of([&] { repository.commit_of("main"); });
  CHECK(error.code == errc::unavailable);
  CHECK_THAT(error.data["stderr"].get<std::string>(), Catch::Contains("not a git repository"));
}

TEST_CASE("git.distance and git.changed_paths compare with the merge base", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  box.git(root, {"checkout", "--quiet", "-b", "side"});
  box.git(root, {"mv", "b.txt", "renamed é.txt"});
  box.commit_file(root, "dir/c d.txt", "c\n");
  auto side = box.commit_file(root, "a.txt", "side\n");
  box.git(root, {"checkout", "--quiet", "main"});
  auto main = box.commit_file(root, "unrelated.txt", "x\n");
  auto repository = box.open(root);
  auto distance = repository.distance(main, side);
  CHECK(distance.ahead == 2);
  CHECK(distance.behind == 1);
  CHECK(repository.changed_paths(main, side)
        == paths{"a.txt", "b.txt", "dir/c d.txt", "renamed é.txt"});
  CHECK(repository.changed_paths(side, side).empty());
  auto stat = repository.diffstat(main, side);
  CHECK_THAT(stat, Catch::Contains("renamed é.txt") && !Catch::Contains("unrelated"));
  CHECK_THAT(stat, Catch::Contains("3 files changed, 2 insertions(+), 1 deletion(-)"));
  CHECK(error_of([&] { repository.distance(main, std::string(40, '1')); }).code == errc::not_found);
}

TEST_CASE("git.changed_paths lists everything of an unrelated commit", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  box.git(root, {"checkout", "--quiet", "--orphan", "alone"});
  auto alone = box.commit_file(root, "c.txt", "c\n");
  auto repository = box.open(root);
  CHECK(repository.changed_paths("main", alone) == paths{"a.txt", "b.txt", "c.txt"});
  CHECK_THAT(repository.diffstat("main", alone), Catch::Contains("3 files changed"));
  CHECK(error_of([&] { repository.merge("main", alone); }).code == errc::failed_precondition);
}

TEST_CASE("git.changes tells tracked from untracked files", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  CHECK(repository.changes(root).none());
  git_sandbox::write(root / ".git" / "info" / "exclude", "*.ignored\n");
  git_sandbox::write(root / "x.ignored", "x");
  git_sandbox::write(root / "dir" / "new é.txt", "x");
  git_sandbox::write(root / "dir" / "two.txt", "x");
  git_sandbox::write(root / "a.txt", "changed\n");
  box.git(root, {"mv", "b.txt", "moved b.txt"});
  auto changes = repository.changes(root);
  CHECK_THAT(changes.dirty, Catch::UnorderedEquals(paths{"a.txt", "b.txt", "moved b.txt"}));
  CHECK_THAT(changes.untracked, Catch::UnorderedEquals(paths{"dir/new é.txt", "dir/two.txt"}));
}

TEST_CASE("git.merge makes the tree that git merge would make", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  box.git(root, {"checkout", "--quiet", "-b", "side"});
  box.commit_file(root, "a.txt", "side\n");
  box.git(root, {"checkout", "--quiet", "main"});
  auto main = box.commit_file(root, "b.txt", "main\n");
  auto repository = box.open(root);
  auto merged = repository.merge("main", "side");
  CHECK(merged.conflicts.empty());
  CHECK(repository.changes(root).none());
  auto commit = repository.commit(merged.tree, {main, "side"}, "Merge side\n\nWörds");
  CHECK(box.git(root, {"show", "--no-patch", "--format=%B%P|%an|%ae", commit})
        == fmt::format("Merge side\n\nWörds{} {}|codex-orchestrator|codex-orchestrator@localhost",
                       main, box.git(root, {"rev-parse", "side"})));
  box.git(root, {"merge", "--quiet", "--message", "m", "side"});
  CHECK(box.git(root, {"rev-parse", "HEAD^{tree}"}) == merged.tree);
}

TEST_CASE("git.merge lists the paths in conflict", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  box.git(root, {"checkout", "--quiet", "-b", "side"});
  box.commit_file(root, "é f.txt", "side\n");
  box.commit_file(root, "a.txt", "side\n");
  box.git(root, {"rm", "--quiet", "b.txt"});
  box.git(root, {"commit", "--quiet", "--message", "remove"});
  box.git(root, {"checkout", "--quiet", "main"});
  box.commit_file(root, "é f.txt", "main\n");
  box.commit_file(root, "b.txt", "main\n");
  box.commit_file(root, "a.txt", "main\n");
  auto merged = box.open(root).merge("main", "side");
  CHECK(merged.tree.empty());
  CHECK(merged.conflicts == paths{"a.txt", "b.txt", "é f.txt"});
}

TEST_CASE("git.merge names the directory where no single file is in conflict", "[git]") {
  git_sandbox box;
  auto root = box.make_empty(box.base / "repo");
  for (auto name : {"old/1", "old/2", "old/3", "old/4"})
    box.commit_file(root, name, fmt::format("text of {}\n", name));
  box.git(root, {"checkout", "--quiet", "-b", "side"});
  box.commit_file(root, "old/new", "new\n");
  box.git(root, {"checkout", "--quiet", "main"});
  // Half of the directory goes here, half there: git cannot tell where the new file belongs.
  fs::create_directories(root / "left");
  fs::create_directories(root / "right");
  box.git(root, {"mv", "old/1", "old/2", "left"});
  box.git(root, {"mv", "old/3", "old/4", "right"});
  box.git(root, {"commit", "--quiet", "--message", "split"});
  auto merged = box.open(root).merge("main", "side");
  CHECK(merged.tree.empty());
  CHECK_FALSE(merged.conflicts.empty());
}

TEST_CASE("git.commit uses the name that is configured", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto tree = box.git(root, {"rev-parse", "HEAD^{tree}"});
  auto repository = box.open(root);
  box.git(root, {"config", "user.name", "Áda"});
  box.git(root, {"config", "author.email", "ada@example.org"});
  auto commit = repository.commit(tree, {}, "-F is no option here");
  CHECK(box.git(root, {"show", "--no-patch", "--format=%an|%ae|%cn|%ce|%s|%P", commit})
        == "Áda|ada@example.org|Áda|codex-orchestrator@localhost|-F is no option here|");
  CHECK(error_of([&] { repository.commit("--help", {}, "x"); }).code == errc::not_found);
  CHECK(error_of([&] { repository.commit(tree, {"nothing"}, "x"); }).code == errc::not_found);
}

TEST_CASE("git.update_ref moves a ref only from where it should be", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo", some_kind_of_repository());
  auto first = box.git(root, {"rev-parse", "HEAD"});
  auto second = box.commit_file(root, "a.txt", "2\n");
  auto repository = box.open(root);
  repository.update_ref("refs/orch/x", first, std::nullopt);
  auto again = error_of([&] { repository.update_ref("refs/orch/x", second, std::nullopt); });
  CHECK(again.code == errc::conflict);
  CHECK(again.data["commit"] == first);
  CHECK(error_of([&] { repository.update_ref("refs/orch/x", first, second); }).code
        == errc::conflict);
  CHECK(error_of([&] { repository.update_ref("refs/orch/y", first, second); }).code
        == errc::conflict);
  CHECK(error_of([&] { repository.update_ref("refs/orch/x/y", first, {}); }).code
        == errc::conflict);
  CHECK(error_of([&] { repository.update_ref("x", first, {}); }).code == errc::invalid_params);
  CHECK(box.git(root, {"rev-parse", "refs/orch/x"}) == first);
  repository.update_ref("refs/orch/x", second, first);
  CHECK(repository.commit_of("refs/orch/x") == second);
}

TEST_CASE("git.delete_branch deletes only what it should", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto first = box.git(root, {"rev-parse", "HEAD"});
  box.git(root, {"branch", "side"});
  box.git(root, {"config", "branch.side.remote", "origin"});
  auto second = box.commit_file(root, "a.txt", "2\n");
  auto repository = box.open(root);
  CHECK(error_of([&] { repository.delete_branch("side", second); }).code == errc::conflict);
  CHECK(repository.branch_exists("side"));
  repository.delete_branch("side", first);
  repository.delete_branch("side", first);
  CHECK_FALSE(repository.branch_exists("side"));
  CHECK_THAT(git_sandbox::read(root / ".git" / "config"), !Catch::Contains("side"));
  auto checked_out = error_of([&] { repository.delete_branch("main"); });
  CHECK(checked_out.code == errc::failed_precondition);
  CHECK(checked_out.data["path"] == root.string());
}

TEST_CASE("git says what to do when there is no git program", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  std::string before = std::getenv("PATH");
  ::setenv("PATH", (box.base / "home").c_str(), 1);
  auto error = error_of([&] { repository.changes(root); });
  // These need no program where libgit2 can read the repository.
  auto head = repository.head(root);
  auto commit = repository.commit_of("main");
  auto found = repository.branch_exists("main");
  auto distance = repository.distance("main", "main");
  auto changed = repository.changed_paths("main", "main");
  ::setenv("PATH", before.c_str(), 1);
  CHECK(head.branch == "main");
  CHECK(head.commit == commit);
  CHECK(found);
  CHECK(distance.ahead + distance.behind == 0);
  CHECK(changed.empty());
  CHECK(error.code == errc::unavailable);
  CHECK(error.data.contains("instructions"));
}

TEST_CASE("git is not led astray by the environment", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  git_sandbox::write(root / "b.txt", "changed\n");
  for (auto name : {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY",
                    "GIT_CONFIG_COUNT", "GIT_ICASE_PATHSPECS"})
    ::setenv(name, "/nowhere", 1);
  ::setenv("LANGUAGE", "de", 1);
  auto changes = error_of([&] { CHECK(repository.changes(root).dirty == paths{"b.txt"}); });
  auto merge = error_of([&] { CHECK(repository.merge("main", "main").conflicts.empty()); });
  for (auto name : {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY",
                    "GIT_CONFIG_COUNT", "GIT_ICASE_PATHSPECS", "LANGUAGE"})
    ::unsetenv(name);
  CHECK(changes.code == errc::none);
  CHECK(merge.code == errc::none);
}
