#include "crew.hpp"
#include "state.hpp"

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>

using namespace orch::test;

namespace {

constexpr std::size_t workers = 8;
constexpr std::size_t victims = 3;
constexpr int cases = 200;
constexpr int areas = 25;
constexpr int cases_before_death = 4;
/// More than a worker has done when it dies, so that it leaves files that are in no commit.
constexpr int cases_in_a_commit = 6;
const std::vector<std::string> steps{"read", "change", "test"};

/// Where in a case a worker dies.
enum class death { before_lock, between_steps, in_step };

/// What a worker that died had been told was done.
struct testament {
  int64_t session = 0;
  int64_t task = 0;
  path worktree;
  bool written = false;
};

/// What the members of the crew write down together.
class logbook {
public:
  /// The lease on an area says that nobody else is in it: this checks.
  void enter(const std::string& area, int64_t task) {
    std::lock_guard guard{mutex_};
    auto [at, fresh] = inside_.emplace(area, task);
    if (!fresh && at->second != task)
      throw crew_error{area + " is leased to two at once"};
  }
  void leave(const std::string& area) {
    std::lock_guard guard{mutex_};
    inside_.erase(area);
  }
  void acknowledge_step(int64_t task, const std::string& title) {
    std::lock_guard guard{mutex_};
    ++steps_[{task, title}];
  }
  void acknowledge_case(int64_t task) {
    std::lock_guard guard{mutex_};
    ++completed_[task];
  }

  /// Runs `claim` while no session is dead and without an heir. A dead session's case is anybody's,
  /// and here its heirs are to have it.
  template <class Claim>
  auto claim_in_peace(Claim claim) {
    std::unique_lock guard{mutex_};
    wait(guard, [&] { return graves_.size() == heirs_.size() && !dying_; });
    ++claiming_;
    guard.unlock();
    auto claimed = claim();
    guard.lock();
    --claiming_;
    changed_.notify_all();
    return claimed;
  }

  /// A worker dies, by `kill`.
  template <class Kill>
  void bury(const testament& left, Kill kill) {
    std::unique_lock guard{mutex_};
    wait(guard, [&] { return !dying_; });
    dying_ = true;
    wait(guard, [&] { return claiming_ == 0; });
    kill();
    graves_.emplace(left.session, left);
    dying_ = false;
    changed_.notify_all();
  }

  void wait_for_a_grave() {
    std::unique_lock guard{mutex_};
    wait(guard, [&] { return graves_.size() > heirs_.size(); });
  }

  testament inherit(int64_t session) {
    std::lock_guard guard{mutex_};
    if (!graves_.contains(session) || !heirs_.insert(session).second)
      throw crew_error{fmt::format("session {} was inherited twice or never died", session)};
    changed_.notify_all();
    return graves_.at(session);
  }

  const std::map<std::pair<int64_t, std::string>, int>& steps() const { return steps_; }
  const std::map<int64_t, int>& completed() const { return completed_; }
  const std::set<int64_t>& heirs() const { return heirs_; }

private:
  template <class Condition>
  void wait(std::unique_lock<std::mutex>& guard, Condition condition) {
    if (!changed_.wait_for(guard, patience, condition))
      throw crew_error{"the crew has come to a halt"};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int claiming_ = 0;
  bool dying_ = false;
  std::map<std::string, int64_t> inside_;
  std::map<std::pair<int64_t, std::string>, int> steps_;
  std::map<int64_t, int> completed_;
  std::map<int64_t, testament> graves_;
  std::set<int64_t> heirs_;
};

std::string area_of(int64_t task) {
  return fmt::format("area {}", task % areas);
}

/// The file that a case adds.
std::string file_of(int64_t task) {
  return fmt::format("{}/case {} é.txt", area_of(task), task);
}

/// One agent: takes cases until there are none.
class member {
public:
  member(const sandbox& box, logbook& book)
    : root_{box.root}, home_{box.base / "home"}, book_{book}, server_{root_, home_} {}

  /// Works in a new session; dies where it is told to.
  void work(std::optional<death> end) {
    auto opened = server_.ask("session.open", {{"user_request", "work the cases"}});
    join(opened.at("session_context"));
    if (!work_cases(end))
      return;
    if (end)
      throw crew_error{"there was no case to die in"};
    leave();
  }

  /// Takes over one of the dead and goes on with what it left; then with the other cases.
  void resume() {
    auto opened = server_.ask("session.open", {{"intent", "resume_work"}});
    session_ = opened.at("session").at("id");
    auto left = take_over();
    auto point = server_.ask("work.current_ref", {{"session_id", session_}});
    if (point.at("current_ref").at("node_id") != left.task)
      throw crew_error{"another case than the dead one's: " + point.dump()};
    if (left.written && !std::filesystem::exists(worktree_ / file_of(left.task)))
      throw crew_error{"uncommitted work was lost"};
    work_case(left.task, recorded_steps(left.task), {});
    work_cases({});
    leave();
  }

private:
  void join(const json& context) {
    session_ = context.at("session").at("id");
    worktree_ = context.at("session_root_worktree").at("path").get<std::string>();
  }

  void commit() {
    run_program({"git", "add", "--all"}, worktree_, home_);
    run_program({"git", "commit", "--quiet", "--message", "cases"}, worktree_, home_);
    uncommitted_ = 0;
  }

  void leave() {
    if (uncommitted_ > 0)
      commit();
    server_.ask("session.close", {{"session_id", session_}});
    server_.finish();
  }

  /// Works cases until there are none; false if it died.
  bool work_cases(std::optional<death> end) {
    for (int done = 0;; ++done) {
      auto taken = book_.claim_in_peace([&] {
        return server_.ask("resume.next", {{"session_id", session_}, {"claim", true}});
      });
      if (!taken.contains("task"))
        return true;
      auto task = taken["task"].at("id").get<int64_t>();
      auto dies = done == cases_before_death ? end : std::nullopt;
      if (dies == death::before_lock) {
        die({session_, task, worktree_, false});
        return false;
      }
      if (!work_case(task, {}, dies))
        return false;
    }
  }

  /// Attaches to a candidate. Others try the same ones at the same time.
  testament take_over() {
    auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
      book_.wait_for_a_grave();
      auto list = server_.ask("resume.candidates.list", {{"requester_session_id", session_}});
      for (const auto& candidate : list.at("candidates")) {
        auto target = candidate.at("session").at("id").get<int64_t>();
        auto answer = server_.call("resume.candidates.attach", {{"requester_session_id", session_},
                                                                {"target_session_id", target}});
        if (answer.contains("result")) {
          join(answer["result"]);
          auto left = book_.inherit(target);
          if (left.worktree != worktree_)
            throw crew_error{"attached to another worktree"};
          return left;
        }
        if (answer.at("error").at("code") != "conflict")
          throw crew_error{"attach: " + answer.dump()};
      }
    }
    throw crew_error{"no candidate to take over"};
  }

  /// Steps of a case that are in its checkpoints.
  std::set<std::string> recorded_steps(int64_t task) {
    std::set<std::string> titles;
    auto list = server_.ask("checkpoint.list", {{"task_id", task}});
    for (const auto& checkpoint : list.at("checkpoints"))
      titles.insert(checkpoint.at("step_title").get<std::string>());
    return titles;
  }

  /// False: died in it.
  bool work_case(int64_t task, const std::set<std::string>& recorded, std::optional<death> end) {
    auto lock = server_.ask("lock.acquire", {{"scope_type", "prefix"},
                                             {"scope_path", area_of(task)},
                                             {"owner_session", std::to_string(session_)},
                                             {"wait_seconds", 60}});
    book_.enter(area_of(task), task);
    auto file = worktree_ / file_of(task);
    if (!std::filesystem::exists(file))
      std::ofstream{file} << "session " << session_ << '\n';
    for (const auto& title : steps) {
      if (recorded.contains(title))
        continue;
      json step{
        {"case_id", task}, {"step_title", title}, {"result", "seen"}, {"session_id", session_}};
      if (end == death::in_step && title == steps[1]) {
        server_.send("step.check", step);
        die({session_, task, worktree_, true});
        return false;
      }
      server_.ask("step.check", step);
      book_.acknowledge_step(task, title);
      if (end == death::between_steps) {
        die({session_, task, worktree_, true});
        return false;
      }
    }
    if (++uncommitted_ == cases_in_a_commit)
      commit();
    book_.leave(area_of(task));
    server_.ask("lock.release", {{"lock_id", lock.at("id")}});
    server_.ask("case.complete", {{"case_id", task}, {"session_id", session_}});
    book_.acknowledge_case(task);
    return true;
  }

  void die(const testament& left) {
    book_.bury(left, [this] { server_.kill(); });
  }

  path root_;
  path home_;
  logbook& book_;
  crew_server server_;
  int64_t session_ = 0;
  path worktree_;
  int uncommitted_ = 0;
};

struct crew : sandbox {
  crew() {
    for (int i = 0; i < areas; ++i)
      write(root / fmt::format("area {}", i) / "notes.txt", "notes\n");
    for (int i = 0; i < 5'000 - areas; ++i)
      write(root / fmt::format("package {}", i % 21) / fmt::format("폴더 {}", i % 525)
              / fmt::format("file {}.txt", i),
            fmt::format("content of {}\n", i));
    git({"add", "."});
    git({"commit", "--quiet", "--message", "a large repository"});
  }

  /// Cases in groups of ten, groups in features.
  void make_cases(server& on) const {
    auto make = [&](const std::string& level, int number, const json& parent) {
      json params{{"level", level}, {"title", fmt::format("{} {}", level, number)}};
      if (!parent.is_null())
        params["parent_id"] = parent;
      return on.ask("task.create", params).at("id");
    };
    json feature;
    json group;
    for (int i = 0; i < cases; ++i) {
      if (i % 50 == 0)
        feature = make("feature", i, {});
      if (i % 10 == 0)
        group = make("test_group", i, feature);
      make("case", i, group);
    }
  }

  /// Every case was done once, by its record and by its file.
  void check_cases(const logbook& book) const {
    state_file state{root};
    auto all = std::to_string(cases);
    CHECK(state.rows("SELECT count(*) FROM tasks WHERE level = 'case' AND status = 'done'").at(0)
          == all);
    CHECK(state
            .rows("SELECT count(*), count(DISTINCT task_id) FROM checkpoints "
                  "WHERE step_title = 'case.complete'")
            .at(0)
          == all + "|" + all);
    CHECK(state.number("SELECT count(*) FROM current_refs WHERE status = 'active'") == 0);
    CHECK(state.number("SELECT count(*) FROM locks WHERE state = 'active'") == 0);
    CHECK(book.completed().size() == cases);
    for (const auto& [task, times] : book.completed())
      CHECK(times == 1);

    std::set<std::string> recorded;
    for (const auto& row : state.rows("SELECT task_id, title FROM steps WHERE status = 'passed'"))
      CHECK(recorded.insert(row).second);
    for (const auto& [step, times] : book.steps()) {
      CHECK(times == 1);
      CHECK(recorded.contains(fmt::format("{}|{}", step.first, step.second)));
    }
    CHECK(recorded.size() == cases * steps.size());
  }

  void check_files() const {
    std::map<std::string, int> found;
    for (const auto& branch : session_branches(*this, root))
      for (const auto& name :
           lines_of(git({"-c", "core.quotePath=false", "diff", "--name-only", "main", branch})))
        ++found[name];
    CHECK(found.size() == cases);
    for (const auto& [name, times] : found) {
      INFO(name);
      CHECK(times == 1);
      CHECK(name.find("/case ") != std::string::npos);
    }
    for (const auto& [tree, branch] : linked_in_git(*this, root))
      CHECK(git_in(tree, {"status", "--porcelain"}).empty());
  }
};

} // namespace

TEST_CASE_METHOD(crew, "8 servers finish 200 cases though three of them are killed", "[scenario]") {
  auto before = std::signal(SIGPIPE, SIG_IGN);
  auto& on = start();
  make_cases(on);
  logbook book;
  std::vector<std::future<void>> members;
  auto begin = [&](auto part) {
    members.push_back(std::async(std::launch::async, [this, &book, part] {
      member one{*this, book};
      part(one);
    }));
  };
  const std::vector<death> ends{death::before_lock, death::between_steps, death::in_step};
  for (std::size_t i = 0; i < workers; ++i)
    begin([end = i < victims ? std::optional{ends[i]} : std::nullopt](member& m) { m.work(end); });
  for (std::size_t i = 0; i < victims; ++i)
    begin([](member& m) { m.resume(); });
  for (auto& one : members)
    CHECK_NOTHROW(one.get());
  std::signal(SIGPIPE, before);

  CHECK(book.heirs().size() == victims);
  check_cases(book);
  check_files();
  CHECK(linked_in_git(*this, root).size() == workers);
  check_consistent(*this, root, on);
  auto sessions = on.ask("session.list", {{"include_closed", true}}).at("sessions");
  std::map<std::string, int> statuses;
  for (const auto& entry : sessions)
    ++statuses[entry.at("session").at("status")];
  CHECK(statuses
        == std::map<std::string, int>{{"closed", static_cast<int>(workers)},
                                      {"handoff_attached", static_cast<int>(victims)}});
  auto end = on.finish();
  CHECK(end.code == 0);
  CHECK(end.err.empty());
}
