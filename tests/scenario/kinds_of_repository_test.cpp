#include "state.hpp"

using namespace orch::test;

namespace {

struct kinds : sandbox {
  /// A new repository with one commit of `a.txt`, made as git's options say.
  path make(const path& at, const words& options = {}) const {
    words command{"init", "--quiet", "--initial-branch=main"};
    command.insert(command.end(), options.begin(), options.end());
    std::filesystem::create_directories(at);
    git_in(at, command);
    write(at / "a.txt", "a\n");
    git_in(at, {"add", "a.txt"});
    commit_as_tester(at);
    return at;
  }

  void commit_as_tester(const path& at) const {
    git_in(at, {"-c", "user.name=Tester", "-c", "user.email=tester@example.org", "commit",
                "--quiet", "--message", "first"});
  }

  /// Opens a session and looks at its worktree.
  json check_session(server& on) const {
    auto opened = contract::open_on(on);
    auto tree = opened.at("session_root_worktree");
    auto at = tree.at("path").get<std::string>();
    INFO(opened);
    CHECK(read(path{at} / "a.txt") == "a\n");
    CHECK(git_in(at, {"status", "--porcelain"}).empty());
    CHECK(git_in(at, {"symbolic-ref", "--short", "HEAD"}) == tree.at("branch"));
    return opened;
  }

  /// A session works in that repository, which is left clean.
  json check_usable(const path& at) const {
    auto on = start_in(at);
    auto opened = check_session(*on);
    CHECK(on->ask("workspace.init").at("repo_path") == at.string());
    CHECK(git_in(at, {"status", "--porcelain"}).empty());
    check_consistent(*this, at, *on);
    CHECK(on->finish().code == 0);
    return opened;
  }
};

} // namespace

TEST_CASE_METHOD(kinds, "session.open works in a bare repository", "[scenario]") {
  auto seed = make(base / "seed");
  path bare = base / "bare.git";
  git_in(base, {"clone", "--quiet", "--bare", seed.string(), bare.string()});
  auto on = start_in(bare);
  auto opened = check_session(*on);
  CHECK(opened.at("session").at("repo_path") == bare.string());
  CHECK(linked_in_server(*on) == linked_in_git(*this, bare));
  CHECK(git_in(bare, {"fsck", "--strict"}).empty());
  CHECK(on->finish().code == 0);
}

TEST_CASE_METHOD(kinds, "a session starts from the default branch while the HEAD is detached",
                 "[scenario]") {
  auto at = make(base / "detached");
  git_in(at, {"checkout", "--quiet", "--detach"});
  auto head = git_in(at, {"rev-parse", "HEAD"});
  auto tree = check_usable(at).at("session_root_worktree");
  CHECK(git_in(tree.at("path").get<std::string>(), {"rev-parse", "HEAD"}) == head);
  CHECK(git_in(at, {"rev-parse", "--abbrev-ref", "HEAD"}) == "HEAD");
}

TEST_CASE_METHOD(kinds, "session.open needs a commit and leaves nothing without one",
                 "[scenario]") {
  auto at = base / "unborn";
  std::filesystem::create_directories(at);
  git_in(at, {"init", "--quiet", "--initial-branch=main"});
  auto on = start_in(at);
  auto error = on->error_of("session.open");
  CHECK(error.at("code") == "failed_precondition");
  CHECK(error.at("message").get<std::string>().find("commit") != std::string::npos);
  CHECK(on->ask("session.list", {{"include_closed", true}}).at("count") == 0);
  CHECK(entries(at / ".git" / "worktrees").empty());
  CHECK(entries(at / ".codex-orch" / "worktrees").empty());
  // What needs no commit is possible, and the first commit is enough for the rest.
  on->ask("task.create", {{"level", "epic"}, {"title", "begin"}});
  write(at / "a.txt", "a\n");
  git_in(at, {"add", "a.txt"});
  commit_as_tester(at);
  check_session(*on);
  CHECK(on->finish().code == 0);
}

TEST_CASE_METHOD(kinds, "workspace.init from a linked worktree finds the main repository",
                 "[scenario]") {
  auto at = make(base / "shared");
  auto linked = base / "elsewhere" / "linked tree";
  git_in(at, {"worktree", "add", "--quiet", "-b", "side", linked.string()});
  auto main = start_in(at);
  auto side = start_in(linked);
  CHECK(side->ask("workspace.init").at("repo_path") == at.string());
  auto task = main->ask("task.create", {{"level", "epic"}, {"title", "shared"}});
  CHECK(side->ask("task.get", {{"task_id", task.at("id")}}).at("title") == "shared");
  // A session's own worktree, and a directory in it, are the same repository too.
  auto opened = check_session(*side).at("session_root_worktree").at("path").get<std::string>();
  std::filesystem::create_directories(path{opened} / "deep" / "in it");
  auto deep = start_in(path{opened} / "deep" / "in it");
  CHECK(deep->ask("workspace.init").at("repo_path") == at.string());
  CHECK(deep->db_version() == main->db_version());
  CHECK_FALSE(std::filesystem::exists(linked / ".codex-orch"));
  CHECK_FALSE(std::filesystem::exists(path{opened} / ".codex-orch"));
}

TEST_CASE_METHOD(kinds, "session.open starts from the main branch, whatever its name",
                 "[scenario]") {
  auto at = make(base / "trunk", {"--initial-branch=trunk"});
  auto opened = check_usable(at);
  CHECK(opened.at("main_worktree").at("branch") == "trunk");
  CHECK(lines_of(git_in(at, {"for-each-ref", "--format=%(refname)"})).size() == 2);
}

TEST_CASE_METHOD(kinds, "worktree.merge_to_parent works for a user without a name", "[scenario]") {
  auto at = make(base / "nameless");
  auto on = start_in(at);
  auto opened = check_session(*on);
  auto session = opened.at("session").at("id");
  auto parent = opened.at("session_root_worktree");
  auto child =
    on->ask("worktree.spawn", {{"session_id", session}, {"parent_worktree_id", parent.at("id")}});
  path tree = child.at("path").get<std::string>();
  write(tree / "b.txt", "b\n");
  git_in(tree, {"add", "b.txt"});
  commit_as_tester(tree);
  auto merged =
    on->ask("worktree.merge_to_parent", {{"session_id", session}, {"worktree_id", child.at("id")}});
  path root_tree = parent.at("path").get<std::string>();
  CHECK(git_in(root_tree, {"rev-parse", "HEAD"}) == merged.at("merge_commit"));
  CHECK(read(root_tree / "b.txt") == "b\n");
  CHECK(git_in(root_tree, {"status", "--porcelain"}).empty());
  CHECK(on->finish().code == 0);
}

TEST_CASE_METHOD(kinds, "session.open applies the filters of the repository", "[scenario]") {
  auto at = make(base / "filtered");
  git_in(at, {"config", "filter.loud.smudge", "tr a-z A-Z"});
  git_in(at, {"config", "filter.loud.clean", "tr A-Z a-z"});
  write(at / ".gitattributes", "*.loud filter=loud\n*.crlf text eol=crlf\n*.id ident\n");
  write(at / "word.loud", "WORD\n");
  write(at / "line.crlf", "line\r\n");
  write(at / "name.id", "$Id$\n");
  git_in(at, {"add", "."});
  commit_as_tester(at);
  CHECK(git_in(at, {"show", "HEAD:word.loud"}) == "word");
  auto tree = path{check_usable(at).at("session_root_worktree").at("path").get<std::string>()};
  CHECK(read(tree / "word.loud") == "WORD\n");
  CHECK(read(tree / "line.crlf") == "line\r\n");
  CHECK(read(tree / "name.id").starts_with("$Id: "));
}

TEST_CASE_METHOD(kinds, "session.open works in a repository with SHA-256 names", "[scenario]") {
  auto at = make(base / "long names", {"--object-format=sha256"});
  auto tree = check_usable(at).at("session_root_worktree").at("path").get<std::string>();
  CHECK(git_in(tree, {"rev-parse", "HEAD"}).size() == 64);
}

TEST_CASE_METHOD(kinds, "session.open works with configuration for each worktree", "[scenario]") {
  auto at = make(base / "own configuration");
  git_in(at, {"config", "extensions.worktreeConfig", "true"});
  git_in(at, {"config", "--worktree", "core.sparseCheckout", "false"});
  check_usable(at);
}

TEST_CASE_METHOD(kinds, "session.open works below a path with spaces and letters of any language",
                 "[scenario]") {
  auto at = make(base / "a  b's \"저장소\" $HOME" / "-é;#");
  auto tree = check_usable(at).at("session_root_worktree").at("path").get<std::string>();
  CHECK(tree.starts_with(at.string() + "/.codex-orch/worktrees/"));
}
