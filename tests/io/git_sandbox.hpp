#pragma once

#include "io/git.hpp"
#include "io/process.hpp"
#include "messages/error.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A private directory with a repository in it, for tests of git. HOME leads to an empty directory.
struct git_sandbox {
  using path = std::filesystem::path;
  using words = std::vector<std::string>;

  git_sandbox() {
    auto name = (std::filesystem::temp_directory_path() / "orch é XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    base = std::filesystem::canonical(name);
    std::filesystem::create_directories(base / "home");
    ::setenv("HOME", (base / "home").c_str(), 1);
    ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    for (auto variable : {"XDG_CONFIG_HOME", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL",
                          "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL", "GIT_DIR",
                          "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"})
      ::unsetenv(variable);
  }
  git_sandbox(const git_sandbox&) = delete;
  git_sandbox& operator=(const git_sandbox&) = delete;
  ~git_sandbox() {
    std::error_code harmless;
    std::filesystem::remove_all(base, harmless);
  }

  /// Runs the git program as a user would, who has a name.
  orch::outcome attempt(const path& directory, words arguments) const {
    arguments.insert(arguments.begin(),
                     {"git", "-c", "user.name=Tester", "-c", "user.email=tester@example.org"});
    return orch::run({arguments, directory});
  }

  std::string git(const path& directory, const words& arguments) const {
    auto result = attempt(directory, arguments);
    INFO(result.err);
    REQUIRE(result.ok());
    if (result.out.ends_with('\n'))
      result.out.pop_back();
    return result.out;
  }

  static void write(const path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file} << text;
  }

  static std::string read(const path& file) {
    std::ifstream stream{file};
    return {std::istreambuf_iterator<char>{stream}, {}};
  }

  /// An empty repository whose branch is `main`.
  path make_empty(const path& directory, const words& options = {}) const {
    std::filesystem::create_directories(directory);
    words arguments{"init", "--quiet", "--initial-branch=main"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    git(directory, arguments);
    return directory;
  }

  std::string commit_file(const path& directory, const std::string& name,
                          const std::string& text) const {
    write(directory / name, text);
    git(directory, {"add", "--", name});
    git(directory, {"commit", "--quiet", "--message", "change " + name});
    return git(directory, {"rev-parse", "HEAD"});
  }

  /// A repository with one commit of `a.txt` and `b.txt`.
  path make_repository(const path& directory, const words& options = {}) const {
    make_empty(directory, options);
    write(directory / "b.txt", "b\n");
    git(directory, {"add", "b.txt"});
    commit_file(directory, "a.txt", "a\n");
    return directory;
  }

  orch::git open(const path& directory) const {
    return {orch::find_repository(directory), base / "serial"};
  }

  path base;
};

/// The `request_error` that `action` throws.
template <class Action>
orch::request_error error_of(Action action) {
  try {
    action();
  } catch (const orch::request_error& error) {
    return error;
  }
  return {orch::errc::none, "nothing was thrown"};
}

/// A repository with a linked work tree of branch `side`.
struct one_work_tree : git_sandbox {
  one_work_tree() {
    make_repository(root);
    repository = std::make_unique<orch::git>(open(root));
    repository->add_worktree(linked, "side", "main");
  }

  orch::errc removal() {
    return error_of([&] { repository->remove_worktree(linked); }).code;
  }

  void check_gone() {
    CHECK(removal() == orch::errc::none);
    CHECK_FALSE(std::filesystem::exists(linked));
    CHECK_FALSE(std::filesystem::exists(root / ".git" / "worktrees"));
    CHECK(git(root, {"worktree", "prune", "--dry-run"}).empty());
  }

  path root = base / "repo";
  path linked = base / "deep" / "linked é";
  path metadata = root / ".git" / "worktrees" / "linked-é";
  std::unique_ptr<orch::git> repository;
};
