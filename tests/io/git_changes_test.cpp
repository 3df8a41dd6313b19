#include "git_sandbox.hpp"

#include <algorithm>

using namespace orch;
namespace fs = std::filesystem;

namespace {

using paths = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(one_work_tree, "git.fast_forward keeps local changes out of the way", "[git]") {
  auto directory = GENERATE(true, false) ? root : base / "elsewhere";
  if (directory != root)
    repository->add_worktree(directory, "elsewhere", "main");
  auto target = commit_file(linked, "a.txt", "new\n");
  write(directory / "b.txt", "mine\n");
  write(directory / "untracked", "mine\n");
  repository->fast_forward(directory, target);
  repository->fast_forward(directory, target);
  CHECK(repository->head(directory).commit == target);
  CHECK(read(directory / "a.txt") == "new\n");
  auto changes = repository->changes(directory);
  CHECK(changes.dirty == paths{"b.txt"});
  CHECK(changes.untracked == paths{"untracked"});
}

TEST_CASE_METHOD(one_work_tree, "git.fast_forward moves nothing over local changes", "[git]") {
  commit_file(linked, "new é.txt", "theirs\n");
  commit_file(linked, "secret.ignored", "theirs\n");
  auto target = commit_file(linked, "a.txt", "theirs\n");
  auto before = repository->head(root).commit;
  write(root / ".git" / "info" / "exclude", "*.ignored\n");
  git(root, {"config", "merge.autoStash", "true"});
  auto file = GENERATE(as<std::string>{}, "a.txt", "new é.txt", "secret.ignored");
  write(root / file, "mine\n");
  if (GENERATE(false, true))
    git(root, {"add", "--force", "--", file});
  auto error = error_of([&] { repository->fast_forward(root, target); });
  CHECK(error.code == errc::failed_precondition);
  CHECK(error.data["paths"] == nlohmann::json{file});
  CHECK(repository->head(root).commit == before);
  CHECK(read(root / file) == "mine\n");
  CHECK(read(root / "b.txt") == "b\n");
  CHECK(git(root, {"stash", "list"}).empty());
}

TEST_CASE_METHOD(one_work_tree, "git.fast_forward refuses all but a step forward", "[git]") {
  auto target = commit_file(linked, "a.txt", "theirs\n");
  auto code = [&] { return error_of([&] { repository->fast_forward(root, target); }).code; };
  SECTION("diverged") {
    commit_file(root, "b.txt", "mine\n");
  }
  SECTION("detached") {
    git(root, {"checkout", "--quiet", "--detach"});
  }
  SECTION("in the middle of a merge") {
    git(root, {"checkout", "--quiet", "-b", "other"});
    commit_file(root, "c.txt", "c\n");
    git(root, {"checkout", "--quiet", "main"});
    git(root, {"merge", "--no-ff", "--no-commit", "other"});
  }
  auto before = git(root, {"rev-parse", "HEAD"});
  CHECK(code() == errc::failed_precondition);
  CHECK(git(root, {"rev-parse", "HEAD"}) == before);
}

TEST_CASE_METHOD(one_work_tree, "git.fast_forward runs no hooks", "[git]") {
  auto target = commit_file(linked, "a.txt", "new\n");
  for (auto name : {"post-merge", "post-checkout", "reference-transaction"}) {
    auto hook = root / ".git" / "hooks" / name;
    write(hook, fmt::format("#!/bin/sh\ntouch '{}'\n", (base / "ran").string()));
    fs::permissions(hook, fs::perms::owner_all);
  }
  repository->fast_forward(root, target);
  CHECK(read(root / "a.txt") == "new\n");
  CHECK_FALSE(fs::exists(base / "ran"));
}

TEST_CASE("git.keep saves everything and changes nothing", "[git]") {
  git_sandbox box;
  auto options = GENERATE(as<git_sandbox::words>{}, git_sandbox::words{},
                          git_sandbox::words{"--object-format=sha256"});
  auto root = box.make_repository(box.base / "repo", options);
  auto repository = box.open(root);
  auto linked = box.base / "linked";
  repository.add_worktree(linked, "side", "main");
  git_sandbox::write(root / ".git" / "info" / "exclude", "*.ignored\n");
  git_sandbox::write(linked / "a.txt", "staged\n");
  box.git(linked, {"add", "a.txt"});
  git_sandbox::write(linked / "a.txt", "edited\n");
  git_sandbox::write(linked / "new é.txt", "new\n");
  git_sandbox::write(linked / "x.ignored", "x");
  fs::remove(linked / "b.txt");
  auto metadata = root / ".git" / "worktrees" / "linked";
  auto index = git_sandbox::read(metadata / "index");
  repository.keep(linked, "refs/orch/kept");
  CHECK(git_sandbox::read(metadata / "index") == index);
  CHECK(git_sandbox::read(linked / "a.txt") == "edited\n");
  CHECK(repository.head(linked).commit == repository.commit_of("main"));
  CHECK(repository.commit_of("refs/orch/kept^") == repository.commit_of("main"));
  CHECK(box.git(root, {"show", "refs/orch/kept:a.txt"}) == "edited");
  CHECK(box.git(root, {"ls-tree", "-rz", "--name-only", "refs/orch/kept"})
        == std::string{"a.txt\0new é.txt\0", 17});
  repository.keep(linked, "refs/orch/kept");
  CHECK(std::ranges::none_of(fs::directory_iterator{metadata}, [](auto& entry) {
    return entry.path().filename().string().starts_with("orchestrator");
  }));
}

TEST_CASE("git.keep works on an unborn branch", "[git]") {
  git_sandbox box;
  auto root = box.make_empty(box.base / "repo");
  git_sandbox::write(root / "a.txt", "a\n");
  box.open(root).keep(root, "refs/orch/kept");
  CHECK(box.git(root, {"show", "refs/orch/kept:a.txt"}) == "a");
  CHECK(box.git(root, {"rev-list", "--count", "refs/orch/kept"}) == "1");
  CHECK_FALSE(fs::exists(root / ".git" / "index"));
}
