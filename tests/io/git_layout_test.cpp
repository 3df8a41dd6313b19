#include "git_sandbox.hpp"

#include <sys/stat.h>

using namespace orch;
namespace fs = std::filesystem;

namespace {

std::string failure_of(const fs::path& directory) {
  try {
    find_repository(directory);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

void check_layout(const fs::path& start, const fs::path& root, const fs::path& git_dir,
                  bool bare = false) {
  INFO(start);
  auto layout = find_repository(start);
  CHECK(layout.root == root);
  CHECK(layout.git_dir == git_dir);
  CHECK(layout.bare == bare);
}

} // namespace

TEST_CASE("find_repository finds the repository from anywhere in it", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "some répo");
  fs::create_directories(root / "deep" / "er");
  fs::create_directory_symlink(root / "deep", box.base / "link");
  for (const auto& start : {root, root / "deep" / "er", root / ".git", root / ".git" / "refs",
                            root / "deep" / "..", box.base / "link"})
    check_layout(start, root, root / ".git");
}

TEST_CASE("find_repository waits for nobody", "[git]") {
  git_sandbox box;
  auto name = GENERATE(as<std::string>{}, ".git", ".git/HEAD", ".git/config");
  auto root = box.make_repository(box.base / "repo");
  fs::remove_all(root / name);
  REQUIRE(::mkfifo((root / name).c_str(), 0600) == 0);
  failure_of(root); // whatever it says, it says it at once
}

TEST_CASE("find_repository finds the main work tree from a linked one", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto linked = box.base / "linked tree";
  box.git(root, {"worktree", "add", "-b", "side", linked.string()});
  check_layout(linked, root, root / ".git");
  fs::create_directories(linked / "sub");
  check_layout(linked / "sub", root, root / ".git");
  check_layout(root / ".git" / "worktrees" / "linked-tree", root, root / ".git");
}

TEST_CASE("find_repository knows bare repositories and their work trees", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto bare = box.base / "bare.git";
  box.git(root, {"clone", "--quiet", "--bare", root.string(), bare.string()});
  check_layout(bare, bare, bare, true);
  check_layout(bare / "refs" / "heads", bare, bare, true);
  box.git(bare, {"worktree", "add", (box.base / "linked").string(), "main"});
  check_layout(box.base / "linked", bare, bare, true);
}

TEST_CASE("find_repository knows a bare repository in .git", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto bare = box.base / "project" / ".git";
  box.git(root, {"clone", "--quiet", "--bare", root.string(), bare.string()});
  check_layout(box.base / "project", bare, bare, true);
  box.git(bare, {"worktree", "add", (box.base / "project" / "main").string(), "main"});
  check_layout(box.base / "project" / "main", bare, bare, true);
}

TEST_CASE("find_repository reads config.worktree where the repository uses it", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  box.git(root, {"config", "core.repositoryFormatVersion", "1"});
  box.git(root, {"config", "extensions.worktreeConfig", "true"});
  check_layout(root, root, root / ".git");
  box.git(root, {"config", "--unset", "core.bare"});
  git_sandbox::write(root / ".git" / "config.worktree", "[CORE]\n\tBare = yes ; of course\n");
  check_layout(root, root / ".git", root / ".git", true);
}

TEST_CASE("find_repository stays in a submodule", "[git]") {
  git_sandbox box;
  auto inner = box.make_repository(box.base / "inner");
  auto root = box.make_repository(box.base / "outer");
  box.git(root, {"-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.string(),
                 "sub"});
  auto modules = root / ".git" / "modules" / "sub";
  check_layout(root / "sub", root / "sub", modules);
  check_layout(modules, root / "sub", modules);
  box.git(root / "sub", {"worktree", "add", "-b", "side", (box.base / "linked").string()});
  check_layout(box.base / "linked", root / "sub", modules);
}

TEST_CASE("find_repository follows a .git file to a separate git directory", "[git]") {
  git_sandbox box;
  auto root =
    box.make_empty(box.base / "work", {"--separate-git-dir=" + (box.base / "store").string()});
  check_layout(root, root, box.base / "store");
  git_sandbox::write(root / ".git", "gitdir: ../store\n");
  check_layout(root, root, box.base / "store");
}

TEST_CASE("find_repository says what is wrong in one line", "[git]") {
  git_sandbox box;
  fs::create_directories(box.base / "plain");
  git_sandbox::write(box.base / "file", "x");
  git_sandbox::write(box.base / "broken" / ".git", "gitdir: /no/where\n");
  git_sandbox::write(box.base / "garbage" / ".git", "what is this");
  for (std::string name : {"plain", "file", "missing", "broken", "garbage"}) {
    auto words = failure_of(box.base / name);
    INFO(name << ": " << words);
    CHECK(words.find((box.base / name).string()) == 0);
    CHECK(words.find('\n') == std::string::npos);
  }
  CHECK_THAT(failure_of(box.base / "broken"), Catch::Contains("/no/where"));
}

TEST_CASE("git.bad_branch_name follows git's own rules", "[git]") {
  git_sandbox box;
  auto name = GENERATE(as<std::string>{}, "main", "a/b", "feature/x-1", "é", "a.b", "a@b", "{x}",
                       "x@", "", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a..b",
                       "a.", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a\tb",
                       "a\x7f", "a@{b", "x/HEAD", "lock.lockx");
  INFO(name);
  auto checked = box.attempt(box.base, {"check-ref-format", "refs/heads/" + name});
  CHECK(git::bad_branch_name(name).has_value() == !checked.ok());
}

TEST_CASE("git.bad_branch_name refuses names that git would misunderstand", "[git]") {
  CHECK(git::bad_branch_name("-d"));
  CHECK(git::bad_branch_name("HEAD"));
  CHECK(git::bad_branch_name("@"));
  CHECK(git::bad_branch_name("a\nb"));
  CHECK(git::bad_branch_name(std::string(251, 'x')));
  CHECK(git::bad_branch_name("a b") == "it holds \" \"");
}

TEST_CASE("disk_use counts blocks once and follows no links", "[git]") {
  git_sandbox box;
  auto directory = box.base / "dir";
  fs::create_directories(directory / "sub");
  auto empty = disk_use(directory);
  git_sandbox::write(directory / "sub" / "file", std::string(100'000, 'x'));
  auto full = disk_use(directory);
  CHECK(full >= empty + 100'000);
  fs::create_hard_link(directory / "sub" / "file", directory / "again");
  git_sandbox::write(box.base / "outside" / "big", std::string(500'000, 'x'));
  fs::create_directory_symlink(box.base / "outside", directory / "link");
  CHECK(disk_use(directory) < full + 100'000);
  CHECK(disk_use(box.base / "missing") == 0);
}

TEST_CASE("git.exclude adds a line once and keeps the rest", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto file = root / ".git" / "info" / "exclude";
  git_sandbox::write(file, "*.o");
  fs::permissions(file, fs::perms{0640});
  auto repository = box.open(root);
  repository.exclude("/.codex-orch/");
  repository.exclude("/.codex-orch/");
  repository.exclude("*.o");
  CHECK(git_sandbox::read(file) == "*.o\n/.codex-orch/\n");
  CHECK(fs::status(file).permissions() == fs::perms{0640});
  CHECK(error_of([&] { repository.exclude("a\nb"); }).code == errc::invalid_params);
}

TEST_CASE("git.exclude makes the file where there is none", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  fs::remove_all(root / ".git" / "info");
  box.git(root, {"worktree", "add", "-b", "side", (box.base / "linked").string()});
  box.open(box.base / "linked").exclude("new");
  CHECK(git_sandbox::read(root / ".git" / "info" / "exclude") == "new\n");
  git_sandbox::write(box.base / "linked" / "new", "x");
  CHECK(box.open(root).changes(box.base / "linked").none());
}
