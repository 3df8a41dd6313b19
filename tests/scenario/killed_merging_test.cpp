#include "merging.hpp"

#include <fcntl.h>
#include <sys/file.h>

using namespace orch::test;

namespace {

/// Lets a server write one transaction at a time.
class write_turns {
public:
  write_turns(const path& repository, const server& of)
    : file_{::open((repository / ".codex-orch" / "write.lock").c_str(), O_RDWR | O_CLOEXEC)},
      pid_{of.pid()} {
    REQUIRE(::flock(file_, LOCK_EX) == 0);
  }
  write_turns(const write_turns&) = delete;
  write_turns& operator=(const write_turns&) = delete;
  ~write_turns() { ::close(file_); }

  /// Does it wait for its turn?
  bool is_waited_for() const {
    auto locks = lines_of(read("/proc/locks"));
    auto mine = fmt::format(" {} ", pid_);
    return std::any_of(locks.begin(), locks.end(), [&](const std::string& line) {
      return line.find("-> FLOCK") != std::string::npos && line.find(mine) != std::string::npos;
    });
  }

  /// One transaction is written. Our next turn begins right behind it.
  void give_one() const {
    ::flock(file_, LOCK_UN);
    eventually("it takes its turn", [&] { return !is_waited_for(); });
    REQUIRE(::flock(file_, LOCK_EX) == 0);
  }

private:
  int file_;
  pid_t pid_;
};

/// A queue with everything in it: good ones, a bad one, one in conflict.
struct killed_merging : merging {
  killed_merging() {
    configure({{"check_command", "test -z \"$(ls | grep '^bad')\""}, {"batch_size", 3}});
    good.push_back(queue(file("one.txt")));
    good.push_back(queue(file("a.txt", "theirs\n")));
    bad = queue(file("bad.txt"));
    conflict = queue(file("a.txt", "mine\n"));
    good.push_back(queue(file("two.txt")));
    write(root / "b.txt", "changed by a person\n");
  }

  /// Runs the queue in a server that is killed after so many transactions: right behind one, or
  /// once it has done what that one announced and wants to write the next. False if it had none
  /// left to write.
  bool run_and_kill(int transactions, bool at_once) {
    merger_ = contract::open_session_on(serve());
    serve().ask("merge.main.acquire_lock", {{"session_id", *merger_}});
    auto& victim = serve();
    auto killed = false;
    {
      write_turns turns{root, victim};
      std::atomic<bool> answered = false;
      victim.request("merge.main.process", {{"session_id", *merger_}});
      std::thread reader{[&] { answered = victim.try_line().has_value(); }};
      auto wait = [&] {
        eventually("it wants to write, or is done",
                   [&] { return turns.is_waited_for() || answered; });
      };
      wait();
      for (int i = 0; i < transactions && !answered; ++i) {
        turns.give_one();
        if (i + 1 < transactions || !at_once)
          wait();
      }
      killed = !answered;
      victim.kill(SIGKILL);
      reader.join();
    }
    victim.wait();
    restart();
    return killed;
  }

  void check_end() {
    process_all();
    std::vector<int64_t> expected;
    for (const auto& one : good)
      expected.push_back(one.request);
    CHECK(order_on_main() == expected);
    CHECK(state(bad) == "checks_failed");
    CHECK(state(conflict) == "conflict");
    CHECK(status(conflict.request)["conflicts_with_request"] == good[1].request);
    CHECK(git({"status", "--porcelain", "--untracked-files=no"}) == " M b.txt");
    CHECK(read(root / "b.txt") == "changed by a person\n");
    CHECK(read(root / "a.txt") == "theirs\n");
    CHECK(read(root / "two.txt") == "x\n");
    check_repository();
  }

  std::vector<branch> good;
  branch bad;
  branch conflict;
};

} // namespace

TEST_CASE("merging: killed behind each transaction, the queue ends as without",
          "[scenario][merging]") {
  auto at_once = GENERATE(true, false);
  auto reached = 0;
  for (int transactions = 0;; ++transactions) {
    INFO("killed after " << transactions << " transactions, at once: " << at_once);
    killed_merging one;
    auto killed = one.run_and_kill(transactions, at_once);
    one.check_end();
    if (!killed)
      break;
    reached = transactions;
    REQUIRE(transactions < 100);
  }
  CHECK(reached > 5);
}
