#include "state.hpp"

#include <csignal>
#include <thread>

using namespace orch::test;

namespace {

using steady = std::chrono::steady_clock;

constexpr int files = 400;

struct traces;
/// Is it time to kill, given what there was before and how long ago the request was sent?
using moment = std::function<bool(const traces&, steady::duration)>;

/// What there is of sessions: in the database, in git and on disk.
struct traces {
  std::vector<std::string> rows;
  std::set<std::string> branches;
  std::set<std::string> directories;
  std::set<std::string> metadata;
  int64_t intents = 0;

  bool operator==(const traces&) const = default;
};

std::ostream& operator<<(std::ostream& out, const traces& t) {
  return out << json{{"rows", t.rows},
                     {"branches", t.branches},
                     {"directories", t.directories},
                     {"metadata", t.metadata},
                     {"intents", t.intents}};
}

struct killed_open : sandbox {
  killed_open() {
    for (int i = 0; i < files; ++i)
      write(root / ("part " + std::to_string(i % 40)) / (std::to_string(i) + ".txt"),
            "file " + std::to_string(i) + "\n");
  }

  void commit_files() const {
    git({"add", "."});
    git({"commit", "--quiet", "--message", "files"});
  }

  traces look() const {
    state_file state{root};
    return {state.rows("SELECT s.id, w.branch, w.path FROM sessions s LEFT JOIN worktrees w "
                       "ON w.id = s.session_root_worktree_id ORDER BY s.id"),
            session_branches(*this, root), entries(worktrees), entries(metadata),
            state.number("SELECT count(*) FROM intents")};
  }

  /// The moments of a `session.open` that can be seen from outside.
  bool reached(int stage, const traces& before) const {
    if (stage == 0)
      return true;
    if (stage == 1)
      return entries(metadata).size() > before.metadata.size();
    if (stage == 2)
      return entries(root / ".git" / "refs" / "heads" / "session").size() > before.branches.size();
    for (const auto& name : entries(worktrees))
      if (!before.directories.contains(name))
        return static_cast<int>(entries(worktrees / name).size()) >= 10 * (stage - 3);
    return false;
  }

  json params() const {
    return {{"user_request", "parse the dates"}, {"request_key", std::to_string(round)}};
  }

  /// What there is once nothing is half made any more.
  traces settled() const {
    auto end = steady::now() + patience;
    while (state_file{root}.number("SELECT count(*) FROM intents") > 0 && steady::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    return look();
  }

  /// Who repeats the request gets the session that was opened, or a new one; never a second one.
  void repeat(server& on, const traces& before, bool opened) const {
    auto id = on.ask("session.open", params()).at("session_context").at("session").at("id");
    auto after = settled();
    INFO("repeated " << after);
    CHECK(after.rows.size() == before.rows.size() + 1);
    CHECK(after.branches.size() == before.branches.size() + 1);
    CHECK(after.directories.size() == before.directories.size() + 1);
    if (opened)
      CHECK(after.rows.back().starts_with(id.dump() + "|"));
  }

  /// Kills the server in the middle of `session.open`; whether that was answered before.
  bool open_and_kill(server& victim, const traces& before, const moment& now) const {
    auto begin = steady::now();
    victim.request("session.open", params());
    while (!now(before, steady::now() - begin) && steady::now() < begin + patience)
      ;
    victim.kill(SIGKILL);
    auto line = victim.try_line();
    return line && json::parse(*line, nullptr, false).contains("result");
  }

  /// Kills a server as `now` says; the next one must find all of the session or nothing. True if it
  /// was nothing.
  bool check_round(const moment& now) {
    ++round;
    auto before = look();
    auto victim = start_in(root);
    victim->ask("workspace.init");
    auto answered = open_and_kill(*victim, before, now);
    // A program that the dead server had started may still run: `victim` ends it only below. Two
    // servers may find the same remains.
    auto next = start_in(root);
    auto other = start_in(root);
    for (auto on : {next.get(), other.get()})
      on->ask("session.list", {{"include_closed", true}});
    auto after = settled();
    INFO("before " << before);
    INFO("after " << after);
    auto opened = after.rows.size() > before.rows.size();
    if (answered || after.rows.size() > before.rows.size()) {
      CHECK(after.rows.size() == before.rows.size() + 1);
      CHECK(after.branches.size() == before.branches.size() + 1);
      CHECK(after.directories.size() == before.directories.size() + 1);
      CHECK(after.metadata.size() == before.metadata.size() + 1);
      CHECK(after.intents == 0);
    } else {
      CHECK(after == before);
    }
    repeat(*other, before, opened);
    check_consistent(*this, root, *next);
    CHECK(next->finish().code == 0);
    CHECK(other->finish().code == 0);
    return after == before;
  }

  /// Kills at stages that can be seen and at moments in between; then opens a session in peace.
  void check_all_rounds() {
    auto first = start_in(root);
    auto begin = steady::now();
    first->ask("session.open");
    auto duration = steady::now() - begin;
    first->finish();
    int undone = 0;
    for (int stage = 0; stage < 7; ++stage)
      undone += check_round([&](const traces& before, auto) { return reached(stage, before); });
    for (int part = 0; part < 8; ++part)
      undone += check_round([&](auto&, auto passed) { return passed >= duration * part / 8; });
    CHECK(undone > 4);

    auto last = start_in(root);
    auto opened = last->ask("session.open").at("session_context").at("session_root_worktree");
    path tree = opened.at("path").get<std::string>();
    CHECK(git_in(tree, {"status", "--porcelain"}).empty());
    CHECK(entries(tree).size() == entries(root).size() - 1);
    CHECK(last->finish().code == 0);
  }

  int round = 0;
  path worktrees = root / ".codex-orch" / "worktrees";
  path metadata = root / ".git" / "worktrees";
};

} // namespace

TEST_CASE_METHOD(killed_open, "session.open killed at any moment is undone by the next server",
                 "[scenario]") {
  commit_files();
  check_all_rounds();
}

TEST_CASE_METHOD(killed_open,
                 "session.open killed while git runs filters is undone by the next server",
                 "[scenario]") {
  git({"config", "filter.loud.smudge", "tr a-z A-Z"});
  git({"config", "filter.loud.clean", "tr A-Z a-z"});
  write(root / ".gitattributes", "part*/1*.txt filter=loud\n");
  commit_files();
  check_all_rounds();
}
