#include "merging.hpp"

#include <random>
#include <set>

using namespace orch::test;

namespace {

struct previewing : merging {
  /// Pairs, and single ones for the target, with their paths.
  using foreseen = std::map<std::set<int64_t>, std::set<std::string>>;

  static foreseen of(const json& list) {
    foreseen found;
    for (const auto& one : list)
      found[one["worktree_ids"].get<std::set<int64_t>>()] =
        one["paths"].get<std::set<std::string>>();
    return found;
  }

  json preview(const json& params = json::object()) {
    return serve().ask("merge.conflicts.preview", params);
  }
  foreseen between() { return of(preview()["between"]); }

  /// What git itself says of two work trees, if all in them were committed.
  std::string commit_of(const branch& tree) const {
    auto index = base / "index-of-test";
    std::filesystem::copy_file(git_in(tree.directory, {"rev-parse", "--absolute-git-dir"})
                                 + "/index",
                               index, std::filesystem::copy_options::overwrite_existing);
    ::setenv("GIT_INDEX_FILE", index.c_str(), 1);
    git_in(tree.directory, {"add", "--all"});
    auto id = git_in(tree.directory, {"write-tree"});
    ::unsetenv("GIT_INDEX_FILE");
    return git_in(tree.directory, {"commit-tree", id, "-p", "HEAD", "-m", "x"});
  }

  bool conflict(const std::string& one, const std::string& other) const {
    auto command = fmt::format("git -C {} merge-tree --write-tree {} {} >/dev/null 2>&1",
                               orch::test::quoted(root.string()), one, other);
    return std::system(command.c_str()) != 0;
  }
};

} // namespace

TEST_CASE_METHOD(previewing, "conflicts are foreseen, uncommitted ones too",
                 "[scenario][conflicts]") {
  commit(root, "c.txt", "1\n2\n3\n4\n5\n6\n7\n8\n");
  auto first = open_branch();
  auto second = open_branch();
  auto third = open_branch();
  CHECK(preview()["worktrees"].empty());
  write(first.directory / "a.txt", "first\n");
  write(second.directory / "a.txt", "second\n");
  git_in(second.directory, {"commit", "--quiet", "--all", "--message", "second"});
  write(first.directory / "c.txt", "first\n2\n3\n4\n5\n6\n7\n8\n");
  write(third.directory / "c.txt", "1\n2\n3\n4\n5\n6\n7\nthird\n");
  auto seen = preview();
  INFO(seen.dump(2));
  CHECK(seen["target_branch"] == "main");
  CHECK(seen["worktrees"].size() == 3);
  CHECK(seen["with_target"].empty());
  CHECK(of(seen["between"]) == foreseen{{{first.worktree, second.worktree}, {"a.txt"}}});
  CHECK(seen["between"][0]["uncommitted"] == true);
  CHECK(of(seen["overlaps"]) == foreseen{{{first.worktree, third.worktree}, {"c.txt"}}});

  commit(root, "a.txt", "main\n");
  CHECK(of(preview()["with_target"])
        == foreseen{{{first.worktree}, {"a.txt"}}, {{second.worktree}, {"a.txt"}}});
  CHECK(of(preview({{"worktree_id", third.worktree}})["with_target"]).empty());
  CHECK(of(preview({{"session_id", first.session}})["between"]).size() == 1);
  CHECK(preview({{"paths", {"c.txt"}}})["between"].empty());
  CHECK(preview({{"paths", {"./a.txt"}}})["between"].size() == 1);

  // Neither the work trees nor the repository have changed by being looked at.
  CHECK(git_in(first.directory, {"status", "--porcelain"}) == " M a.txt\n M c.txt");
  CHECK(git({"count-objects"}) == git({"count-objects"}));
  auto objects = git({"count-objects"});
  write(first.directory / "a.txt", "first again\n");
  preview();
  CHECK(git({"count-objects"}) == objects);
  // A person's uncommitted work in the main work tree counts as well.
  write(root / "c.txt", "a person's\n2\n3\n4\n5\n6\n7\n8\n");
  auto with_person = between();
  CHECK(std::any_of(with_person.begin(), with_person.end(), [&](const auto& one) {
    return one.first.contains(first.worktree) && one.second.contains("c.txt");
  }));
  auto refused = serve().error_of("merge.conflicts.preview", {{"target_branch", "none"}});
  CHECK(refused["code"] == "failed_precondition");
  CHECK(serve().error_of("merge.conflicts.preview", {{"paths", {"../x"}}})["code"]
        == "invalid_params");
}

TEST_CASE_METHOD(previewing, "conflicts are foreseen right after whatever change",
                 "[scenario][conflicts]") {
  write(root / ".gitignore", "*.log\nbuild/\n");
  commit(root, "deep/er/c.txt", "c\n");
  git({"add", ".gitignore"});
  git({"commit", "--quiet", "--message", "ignore"});
  auto first = open_branch();
  auto second = open_branch();
  auto has = [&](const std::string& path) {
    auto found = between();
    return found.size() == 1 && found.begin()->second.contains(path);
  };
  auto both = [&](const std::string& path, const std::string& one, const std::string& other) {
    write(first.directory / path, one);
    write(second.directory / path, other);
  };
  CHECK(between().empty());
  both("deep/er/c.txt", "1\n", "2\n");
  CHECK(has("deep/er/c.txt"));
  both("deep/er/c.txt", "c\n", "c\n");
  CHECK(between().empty());
  both("new/place/n.txt", "1\n", "2\n");
  CHECK(has("new/place/n.txt"));
  both("new/place/other.txt", "1\n", "2\n");
  CHECK(has("new/place/other.txt"));
  for (auto* tree : {&first, &second})
    std::filesystem::remove_all(tree->directory / "new");
  CHECK(between().empty());
  // What is ignored is nobody's business, until it is added all the same.
  both("x.log", "1\n", "2\n");
  both("build/out.txt", "1\n", "2\n");
  CHECK(between().empty());
  for (auto* tree : {&first, &second})
    git_in(tree->directory, {"add", "--force", "x.log", "build/out.txt"});
  CHECK(has("x.log"));
  both("build/out.txt", "same\n", "same\n");
  both("x.log", "same\n", "same\n");
  CHECK(between().empty());
  both("build/out.txt", "1\n", "2\n");
  CHECK(has("build/out.txt"));
  both("build/out.txt", "same\n", "same\n");
  write(first.directory / "a.txt", "1\n");
  git_in(first.directory, {"commit", "--quiet", "--all", "--message", "1"});
  write(second.directory / "a.txt", "2\n");
  CHECK(has("a.txt"));
  git_in(first.directory, {"reset", "--quiet", "--hard", "HEAD~1"});
  CHECK(between().empty());
  std::filesystem::remove(second.directory / "a.txt");
  write(first.directory / "a.txt", "1\n");
  CHECK(has("a.txt"));
}

TEST_CASE_METHOD(previewing, "conflicts are foreseen wherever git finds one, and only there",
                 "[scenario][conflicts]") {
  auto seed = GENERATE(1U, 2U, 3U, 4U);
  INFO("seed " << seed);
  std::mt19937 random{seed};
  auto below = [&](int most) { return std::uniform_int_distribution{0, most - 1}(random); };
  std::string text;
  for (int line = 0; line < 20; ++line)
    text += fmt::format("line {}\n", line);
  for (int d = 0; d < 3; ++d)
    for (int f = 0; f < 3; ++f)
      write(root / fmt::format("d{}", d) / fmt::format("f{}.txt", f),
            fmt::format("{}{} {}\n", text, d, f));
  git({"add", "."});
  git({"commit", "--quiet", "--message", "files"});
  std::vector<branch> trees;
  for (int i = 0; i < 6; ++i)
    trees.push_back(open_branch());
  for (int round = 0; round < 3; ++round) {
    for (auto& tree : trees) {
      auto file = tree.directory / fmt::format("d{}", below(3)) / fmt::format("f{}.txt", below(3));
      auto directory = file.parent_path();
      switch (below(7)) {
      case 0:
      case 1: {
        auto lines = lines_of(read(file));
        if (lines.empty())
          break;
        lines[static_cast<std::size_t>(below(static_cast<int>(lines.size())))] =
          fmt::format("changed {}", below(4));
        write(file, fmt::format("{}\n", fmt::join(lines, "\n")));
        break;
      }
      case 2:
        std::filesystem::remove(file);
        break;
      case 3: // a file is renamed
        if (std::filesystem::is_regular_file(file))
          std::filesystem::rename(file, tree.directory / fmt::format("moved{}.txt", below(3)));
        break;
      case 4: // a directory is renamed
        if (std::filesystem::is_directory(directory)
            && !std::filesystem::exists(tree.directory / "renamed"))
          std::filesystem::rename(directory, tree.directory / "renamed");
        break;
      case 5: // a new file, maybe in a directory that another one renames
        write(directory / fmt::format("new{}.txt", below(2)), fmt::format("{}\n", below(3)));
        break;
      default: // a file where others have a directory
        if (!std::filesystem::exists(tree.directory / "place")) {
          if (below(2) == 0)
            write(tree.directory / "place", "file\n");
          else
            write(tree.directory / "place" / "inside.txt", "inside\n");
        }
      }
      if (below(3) == 0) {
        git_in(tree.directory, {"add", "--all"});
        git_in(tree.directory, {"commit", "--quiet", "--allow-empty", "--message", "round"});
      }
    }
    auto seen = preview();
    auto pairs = of(seen["between"]);
    INFO(seen.dump(2));
    for (std::size_t i = 0; i < trees.size(); ++i)
      for (std::size_t k = i + 1; k < trees.size(); ++k) {
        INFO(trees[i].name << " and " << trees[k].name);
        CHECK(pairs.contains({trees[i].worktree, trees[k].worktree})
              == conflict(commit_of(trees[i]), commit_of(trees[k])));
      }
  }
}

TEST_CASE_METHOD(previewing, "conflicts: one work tree that cannot be read hides nothing else",
                 "[scenario][conflicts]") {
  auto first = open_branch();
  auto second = open_branch();
  auto broken = open_branch();
  write(first.directory / "a.txt", "1\n");
  write(second.directory / "a.txt", "2\n");
  std::filesystem::remove(broken.directory / ".git");
  write(first.directory / "big.bin", std::string(17U << 20, 'x'));
  auto seen = preview();
  CHECK(of(seen["between"]) == foreseen{{{first.worktree, second.worktree}, {"a.txt"}}});
  auto named = std::find_if(seen["worktrees"].begin(), seen["worktrees"].end(),
                            [&](const json& x) { return x["worktree_id"] == broken.worktree; });
  REQUIRE(named != seen["worktrees"].end());
  CHECK((*named).contains("unreadable"));
  CHECK(seen["worktrees"][0]["left_out"] == json{"big.bin"});
  // Nobody's objects stay when a process ends, however it ends.
  auto other = start_in(root);
  other->ask("merge.conflicts.preview");
  other->kill(SIGKILL);
  other.reset();
  restart();
  preview();
  CHECK(std::distance(std::filesystem::directory_iterator{root / ".codex-orch" / "radar"},
                      std::filesystem::directory_iterator{})
        <= 1);
}

TEST_CASE_METHOD(previewing, "conflicts: a link where objects are kept leads nowhere",
                 "[scenario][conflicts]") {
  auto outside = base / "outside";
  write(outside / "photos" / "precious", "mine\n");
  write(outside / "7" / "precious", "mine\n");
  std::filesystem::create_directory_symlink(outside, root / ".codex-orch" / "radar");
  CHECK(serve().error_of("merge.conflicts.preview", json::object())["code"] == "unavailable");
  CHECK(read(outside / "photos" / "precious") == "mine\n");
  CHECK(read(outside / "7" / "precious") == "mine\n");
}
