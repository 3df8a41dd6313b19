#include "git_sandbox.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

using namespace orch;
namespace fs = std::filesystem;

namespace {

/// Nothing but the main work tree, and no branch but main.
void check_untouched(const git_sandbox& box, const fs::path& root) {
  CHECK_FALSE(fs::exists(root / ".git" / "worktrees"));
  CHECK(box.git(root, {"for-each-ref", "--format=%(refname)"}) == "refs/heads/main");
}

} // namespace

TEST_CASE("git.add_worktree checks out a new branch", "[git]") {
  git_sandbox box;
  auto options = GENERATE(as<git_sandbox::words>{}, git_sandbox::words{},
                          git_sandbox::words{"--object-format=sha256"});
  auto root = box.make_repository(box.base / "repo", options);
  auto first = box.git(root, {"rev-parse", "HEAD"});
  box.commit_file(root, "a.txt", "2\n");
  box.git(root, {"checkout", "--quiet", "--detach"});
  auto repository = box.open(root);
  auto path = box.base / "missing parent" / "wörk tree";
  repository.add_worktree(path, "task/1-é", first);
  CHECK(git_sandbox::read(path / "a.txt") == "a\n");
  CHECK(repository.head(path).branch == "task/1-é");
  CHECK(repository.head(path).commit == first);
  CHECK(repository.changes(path).none());
  CHECK(box.attempt(root, {"config", "--get-regexp", "^branch"}).out.empty());
}

TEST_CASE("git.add_worktree works from a bare repository", "[git]") {
  git_sandbox box;
  auto bare = box.base / "bare.git";
  box.git(box.base, {"clone", "--quiet", "--bare", box.make_repository(box.base / "repo").string(),
                     bare.string()});
  auto repository = box.open(bare);
  repository.add_worktree(box.base / "linked", "side", "main");
  CHECK(fs::exists(box.base / "linked" / "a.txt"));
  CHECK(box.open(box.base / "linked").changes(box.base / "linked").none());
  CHECK(repository.main_branch() == "main");
  repository.remove_worktree(box.base / "linked");
  CHECK_FALSE(fs::exists(bare / "worktrees"));
  CHECK(error_of([&] { repository.remove_worktree(bare); }).code == errc::failed_precondition);
}

TEST_CASE("git.add_worktree works with extensions.worktreeConfig", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  box.git(root, {"config", "core.repositoryFormatVersion", "1"});
  box.git(root, {"config", "extensions.worktreeConfig", "true"});
  auto repository = box.open(root);
  repository.add_worktree(box.base / "linked", "side", "main");
  CHECK(repository.head(box.base / "linked").branch == "side");
  CHECK(repository.changes(box.base / "linked").none());
  repository.remove_worktree(box.base / "linked");
  CHECK_FALSE(fs::exists(box.base / "linked"));
}

TEST_CASE("git.add_worktree runs filters but no hooks", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  box.git(root, {"config", "filter.case.smudge", "tr a-z A-Z"});
  box.git(root, {"config", "filter.case.clean", "tr A-Z a-z"});
  box.commit_file(root, ".gitattributes", "*.up filter=case\n");
  box.commit_file(root, "word.up", "WORD\n");
  auto hook = root / ".git" / "hooks" / "post-checkout";
  git_sandbox::write(hook, fmt::format("#!/bin/sh\ntouch '{}'\n", (box.base / "ran").string()));
  fs::permissions(hook, fs::perms::owner_all);
  auto repository = box.open(root);
  repository.add_worktree(box.base / "linked", "side", "main");
  CHECK(git_sandbox::read(box.base / "linked" / "word.up") == "WORD\n");
  CHECK(box.git(root, {"show", "side:word.up"}) == "word");
  CHECK(repository.changes(box.base / "linked").none());
  CHECK_FALSE(fs::exists(box.base / "ran"));
}

TEST_CASE("git.add_worktree leaves nothing behind when it fails", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  box.commit_file(root, ".gitattributes", "*.big filter=broken\n");
  box.commit_file(root, "x.big", "x\n");
  box.git(root, {"config", "filter.broken.smudge", "false"});
  box.git(root, {"config", "filter.broken.required", "true"});
  auto repository = box.open(root);
  auto error = error_of(
    [&] { repository.add_worktree(box.base / "new" / "parent" / "linked", "side", "main"); });
  CHECK(error.code == errc::unavailable);
  CHECK_THAT(error.data["stderr"].get<std::string>(), Catch::Contains("x.big"));
  CHECK_FALSE(fs::exists(box.base / "new"));
  check_untouched(box, root);
}

TEST_CASE("git.add_worktree leaves nothing behind when git cannot register it", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  git_sandbox::write(root / ".git" / "worktrees", "in the way");
  auto error =
    error_of([&] { box.open(root).add_worktree(box.base / "new" / "linked", "side", "main"); });
  CHECK(error.code == errc::unavailable);
  CHECK_FALSE(fs::exists(box.base / "new"));
  fs::remove(root / ".git" / "worktrees");
  check_untouched(box, root);
}

TEST_CASE("git.add_worktree refuses what exists already", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  fs::create_directories(box.base / "taken");
  auto taken = error_of([&] { repository.add_worktree(box.base / "taken", "side", "main"); });
  CHECK(taken.code == errc::conflict);
  CHECK(taken.data["path"] == (box.base / "taken").string());
  for (auto branch : {"main", "main/sub"}) {
    auto error = error_of([&] { repository.add_worktree(box.base / "x" / "y", branch, "main"); });
    CHECK(error.code == errc::conflict);
    CHECK(error.data["branch"] == branch);
  }
  CHECK(fs::is_empty(box.base / "taken"));
  CHECK_FALSE(fs::exists(box.base / "x"));
  check_untouched(box, root);
}

TEST_CASE("git.add_worktree refuses what makes no sense", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto repository = box.open(root);
  auto code = [&](const fs::path& path, const std::string& branch, const std::string& commit) {
    return error_of([&] { repository.add_worktree(path, branch, commit); }).code;
  };
  CHECK(code(box.base / "x", "-f", "main") == errc::invalid_params);
  CHECK(code("relative", "side", "main") == errc::invalid_params);
  CHECK(code(box.base / "x", "side", "nothing") == errc::not_found);
  CHECK(code(root / "a.txt" / "x", "side", "main") == errc::failed_precondition);
  check_untouched(box, root);
}

TEST_CASE("git.add_worktree takes a path whose work tree was deleted by hand", "[git]") {
  one_work_tree box;
  fs::remove_all(box.linked);
  box.repository->add_worktree(box.linked, "second", "main");
  CHECK(box.repository->head(box.linked).branch == "second");
}

TEST_CASE("git.add_worktree can be called by many processes at once", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  std::vector<pid_t> children;
  for (auto i = 0; i < 16; ++i) {
    auto child = ::fork();
    if (child == 0) {
      auto error = error_of([&] {
        box.open(root).add_worktree(box.base / "trees" / std::to_string(i) / "same name",
                                    fmt::format("side/{}", i), "main");
      });
      ::_exit(static_cast<int>(error.code));
    }
    children.push_back(child);
  }
  for (auto child : children) {
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  auto repository = box.open(root);
  for (auto i = 0; i < 16; ++i) {
    auto path = box.base / "trees" / std::to_string(i) / "same name";
    CHECK(repository.head(path).branch == fmt::format("side/{}", i));
    CHECK(repository.changes(path).none());
  }
  std::vector<std::thread> removers;
  std::vector<errc> errors(16, errc::internal);
  for (std::size_t i = 0; i < 16; ++i)
    removers.emplace_back([&, i] {
      auto path = box.base / "trees" / std::to_string(i) / "same name";
      errors[i] = error_of([&] { box.open(root).remove_worktree(path); }).code;
    });
  for (auto& remover : removers)
    remover.join();
  CHECK(std::ranges::count(errors, errc::none) == 16);
  CHECK_FALSE(fs::exists(root / ".git" / "worktrees"));
}

TEST_CASE_METHOD(one_work_tree, "git.remove_worktree removes work trees in any state", "[git]") {
  SECTION("clean") {
  }
  SECTION("dirty") {
    write(linked / "a.txt", "changed");
    write(linked / "new", "x");
  }
  SECTION("locked") {
    git(root, {"worktree", "lock", linked.string()});
  }
  SECTION("without its .git file") {
    fs::remove(linked / ".git");
  }
  SECTION("with a broken .git file") {
    write(linked / ".git", "gitdir: /no/where\n");
  }
  SECTION("with an empty .git file") {
    write(linked / ".git", "");
  }
  SECTION("with its directory gone") {
    fs::remove_all(linked);
  }
  SECTION("with its metadata gone") {
    fs::remove_all(root / ".git" / "worktrees");
  }
  SECTION("with metadata that lost all but the path") {
    fs::remove(metadata / "HEAD");
    fs::remove(metadata / "commondir");
    write(metadata / "locked", "initializing");
  }
  SECTION("with metadata that lost the path") {
    fs::remove(metadata / "gitdir");
  }
  // Where we happen to be must not matter: there is a .git here.
  auto before = fs::current_path();
  SECTION("with metadata that lost the path, while we are in a repository") {
    fs::remove(metadata / "gitdir");
    fs::current_path(root);
  }
  SECTION("moved by hand") {
    fs::rename(linked, base / "moved");
    linked = base / "moved";
  }
  check_gone();
  CHECK(repository->branch_exists("side"));
  CHECK(removal() == errc::not_found);
  fs::current_path(before);
}

TEST_CASE_METHOD(one_work_tree, "git.remove_worktree touches nothing else", "[git]") {
  auto refused = [&](const fs::path& path) {
    INFO(path);
    auto code = error_of([&] { repository->remove_worktree(path); }).code;
    CHECK(code == errc::failed_precondition);
    CHECK(fs::exists(fs::symlink_status(path)));
  };
  SECTION("the main work tree") {
    refused(root);
  }
  SECTION("what is around the repository") {
    refused(base);
  }
  SECTION("the git directory") {
    refused(root / ".git");
  }
  SECTION("an ordinary directory") {
    refused(base / "home");
  }
  SECTION("another repository") {
    refused(make_repository(base / "other"));
  }
  SECTION("a symlink to a work tree") {
    fs::create_directory_symlink(linked, base / "link");
    refused(base / "link");
    fs::create_directory_symlink(linked, base / "link2");
    refused(base / "link2/");
  }
  SECTION("a work tree of another repository") {
    git(make_repository(base / "other"), {"worktree", "add", (base / "theirs").string()});
    refused(base / "theirs");
  }
  SECTION("another repository where a work tree was") {
    fs::remove_all(linked);
    make_repository(linked);
    refused(linked);
  }
  SECTION("a copy of a work tree") {
    fs::copy(linked, base / "copy", fs::copy_options::recursive);
    refused(base / "copy");
  }
  SECTION("a work tree with another one in it") {
    repository->add_worktree(linked / "inner", "inner", "main");
    refused(linked);
    repository->remove_worktree(linked / "inner");
    check_gone();
  }
  SECTION("what symlinks in it lead to") {
    write(base / "precious" / "file", "x");
    fs::create_directory_symlink(base / "precious", linked / "link");
    check_gone();
    CHECK(fs::exists(base / "precious" / "file"));
  }
  CHECK(fs::exists(root / "a.txt"));
}

TEST_CASE_METHOD(one_work_tree, "git.remove_worktree finds it by another way", "[git]") {
  fs::create_directory_symlink(base / "deep", base / "shortcut");
  repository->remove_worktree(base / "home" / ".." / "shortcut" / (linked.filename() += "/"));
  CHECK_FALSE(fs::exists(linked));
  CHECK_FALSE(fs::exists(root / ".git" / "worktrees"));
}
