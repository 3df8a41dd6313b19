#include "merging.hpp"

#include <random>

using namespace orch::test;

TEST_CASE_METHOD(merging, "merging: a request that passes the check is on main, files and all",
                 "[scenario][merging]") {
  auto branch = queue(file("new.txt"));
  auto before = tip();
  write(root / "b.txt", "changed by a person\n");
  auto done = process();
  REQUIRE(done["requests"].size() == 1);
  auto merged = done["requests"][0];
  CHECK(merged["state"] == "merged");
  CHECK(merged["merge_commit"] == tip());
  CHECK(done["target_before"] == before);
  CHECK(done["target_after"] == tip());
  CHECK(done["checks"] == 1);
  CHECK(git({"rev-parse", "main^1"}) == before);
  CHECK(git({"rev-parse", "main^2"}) == merged["head_sha"]);
  CHECK(read(root / "new.txt") == "x\n");
  CHECK(read(root / "b.txt") == "changed by a person\n");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}) == " M b.txt");
  CHECK(read(merged["check_log"].get<std::string>()).empty());
  auto trees = serve().ask("worktree.list")["worktrees"];
  auto row = std::find_if(trees.begin(), trees.end(),
                          [&](const json& x) { return x["id"] == branch.worktree; });
  CHECK((*row)["merge_state"] == "merged_to_main");
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: needs the main merge lock", "[scenario][merging]") {
  auto branch = queue(file("new.txt"));
  auto before = tip();
  CHECK(serve().error_of("merge.main.process", {{"session_id", branch.session}})["code"]
        == "failed_precondition");
  serve().ask("merge.main.acquire_lock", {{"session_id", branch.session}});
  auto other = contract::open_session_on(serve());
  CHECK(serve().error_of("merge.main.process", {{"session_id", other}})["code"]
        == "failed_precondition");
  CHECK(tip() == before);
  CHECK(state(branch) == "queued");
}

TEST_CASE_METHOD(merging, "merging: a conflict is set aside and says with whom, the rest goes on",
                 "[scenario][merging]") {
  auto first = queue(file("a.txt", "one\n"));
  auto second = queue(file("a.txt", "two\n"));
  auto third = queue(file("c.txt"));
  process_all();
  CHECK(state(first) == "merged");
  CHECK(state(third) == "merged");
  auto refused = status(second.request);
  CHECK(refused["state"] == "conflict");
  CHECK(refused["conflict_paths"] == json{"a.txt"});
  CHECK(refused["conflicts_with_request"] == first.request);
  CHECK(refused["conflicts_with_commit"] == status(first.request)["merge_commit"]);
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: local changes in the way stop it before anything moves",
                 "[scenario][merging]") {
  auto branch = queue(file("a.txt", "merged\n"));
  auto before = tip();
  write(root / "a.txt", "a person's\n");
  auto done = process();
  CHECK(done["why_stopped"].get<std::string>().find("a.txt") != std::string::npos);
  CHECK(tip() == before);
  CHECK(read(root / "a.txt") == "a person's\n");
  CHECK(state(branch) == "queued");
  git({"checkout", "--quiet", "a.txt"});
  process();
  CHECK(state(branch) == "merged");
  CHECK(checks() == 1); // the tree has passed before
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a failed check keeps its output and changes nothing",
                 "[scenario][merging]") {
  configure({{"check_command", counted("echo out; echo err >&2; test ! -e bad")}});
  auto bad = queue(file("bad"));
  auto before = tip();
  process();
  auto refused = status(bad.request);
  CHECK(refused["state"] == "checks_failed");
  CHECK(read(refused["check_log"].get<std::string>()) == "out\nerr\n");
  CHECK(refused["error_message"].get<std::string>().find("exited with 1") != std::string::npos);
  CHECK(refused["error_message"].get<std::string>().find("out\nerr") != std::string::npos);
  CHECK(tip() == before);
  CHECK(checks() == 3); // once, once more, and main itself
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a check that passes when repeated is a flake",
                 "[scenario][merging]") {
  auto mark = quoted((base / "failed-once").string());
  configure(
    {{"check_command", counted("test -e " + mark + " || { touch " + mark + "; exit 1; }")}});
  auto branch = queue(file("new.txt"));
  process();
  auto merged = status(branch.request);
  CHECK(merged["state"] == "merged");
  CHECK(merged["flaky"] == true);
  CHECK(checks() == 2);
}

TEST_CASE_METHOD(merging, "merging: nobody is blamed for a main that does not pass",
                 "[scenario][merging]") {
  configure({{"check_command", "exit 3"}});
  auto branch = queue(file("new.txt"));
  auto done = process();
  CHECK(done["why_stopped"].get<std::string>().find("main itself") != std::string::npos);
  CHECK(state(branch) == "queued");
  configure({{"check_command", "no-such-command-here"}});
  restart();
  CHECK(process()["why_stopped"].get<std::string>().find("127") != std::string::npos);
  CHECK(state(branch) == "queued");
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: whatever a check does, it ends and nothing of it lives on",
                 "[scenario][merging]") {
  auto leaves = quoted((base / "left").string());
  SECTION("it hangs") {
    configure({{"check_command", "test ! -e new.txt || sleep 600"}, {"check_timeout_seconds", 1}});
    auto branch = queue(file("new.txt"));
    process();
    CHECK(state(branch) == "checks_failed");
    CHECK(status(branch.request)["error_message"].get<std::string>().find("longer than 1 s")
          != std::string::npos);
  }
  SECTION("it leaves something behind") {
    configure({{"check_command",
                "setsid sh -c 'echo $$ > \"$0\"; exec sleep 600' " + leaves + " & sleep 0.2"}});
    auto branch = queue(file("new.txt"));
    process();
    CHECK(state(branch) == "merged");
    INFO(read(status(branch.request)["check_log"].get<std::string>()));
    REQUIRE(std::filesystem::exists(base / "left"));
    auto left = std::stol(read(base / "left"));
    // Nobody may have reaped it yet.
    auto stat = read(fmt::format("/proc/{}/stat", left));
    CHECK((stat.empty() || stat.find(") Z ") != std::string::npos));
  }
  SECTION("it floods") {
    configure({{"check_command", "head -c 40000000 /dev/zero | tr '\\0' x; echo; echo "
                                 "the end of it; test ! -e new.txt"}});
    auto branch = queue(file("new.txt"));
    process();
    auto refused = status(branch.request);
    CHECK(refused["state"] == "checks_failed");
    auto size = std::filesystem::file_size(refused["check_log"].get<std::string>());
    CHECK(size > 16U << 20);
    CHECK(size < (16U << 20) + 200'000);
    CHECK(refused["error_message"].get<std::string>().find("the end of it") != std::string::npos);
    CHECK(refused["error_message"].get<std::string>().size() < 10'000);
  }
  SECTION("it is killed") {
    configure({{"check_command", "test ! -e new.txt || kill -9 $$"}});
    auto branch = queue(file("new.txt"));
    process();
    CHECK(status(branch.request)["error_message"].get<std::string>().find("signal 9")
          != std::string::npos);
  }
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a check has a small environment and the very commit",
                 "[scenario][merging]") {
  auto out = quoted((base / "env").string());
  configure({{"check_command", "env > " + out + "; git rev-parse HEAD >> " + out
                                 + "; git status --porcelain >> " + out}});
  auto branch = queue(file("new.txt"));
  process();
  auto said = read(base / "env");
  CHECK(said.find("ORCH_THREAD") == std::string::npos);
  CHECK(said.find("TMUX") == std::string::npos);
  CHECK(said.find("PATH=") != std::string::npos);
  CHECK(said.ends_with(tip() + "\n"));
}

TEST_CASE_METHOD(merging, "merging: what cannot be merged any more has failed, and says why",
                 "[scenario][merging]") {
  auto moved = queue(file("moved.txt"));
  auto deleted = queue(file("deleted.txt"));
  auto dirty = queue(file("dirty.txt"));
  auto fine = queue(file("fine.txt"));
  commit(moved.directory, "more.txt", "more\n");
  git_in(deleted.directory, {"checkout", "--quiet", "--detach"});
  git({"update-ref", "-d", "refs/heads/" + deleted.name});
  write(dirty.directory / "dirty.txt", "not committed\n");
  process_all();
  CHECK(state(moved) == "failed");
  CHECK(status(moved.request)["error_message"].get<std::string>().find("has moved")
        != std::string::npos);
  CHECK(state(deleted) == "failed");
  CHECK(state(fine) == "merged");
  CHECK(state(dirty) == "queued");
  auto why = serve().ask("merge.main.explain", {{"request_id", dirty.request}});
  CHECK(why["reasons"][0]["code"] == "worktree_dirty");
  CHECK(why["reasons"][0]["data"]["files"] == json{"dirty.txt"});
  auto refused = serve().error_of("merge.main.process",
                                  {{"session_id", *merger_}, {"request_id", dirty.request}});
  CHECK(refused["code"] == "failed_precondition");
  CHECK(refused["data"]["reason"] == "worktree_dirty");
  git_in(dirty.directory, {"checkout", "--quiet", "."});
  CHECK(process({{"request_id", dirty.request}})["requests"][0]["state"] == "merged");
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: the review has to be of that very commit",
                 "[scenario][merging]") {
  auto feature = serve().ask("task.create", {{"level", "feature"}, {"title", "f"}})["id"];
  auto review = serve().ask("merge.request", {{"feature_task_id", feature}})["id"];
  auto branch = queue(file("new.txt"), {{"merge_request_id", review}, {"auto_review", false}});
  auto code = [&] {
    return serve().ask("merge.main.explain",
                       {{"request_id", branch.request}})["reasons"][0]["code"];
  };
  CHECK(code() == "review_pending");
  CHECK(process()["requests"].empty());
  auto approve = [&](const std::string& head) {
    state_file{root}.rows(fmt::format(
      "INSERT INTO review_jobs(merge_request_id, session_id, state, verdict, head_sha, "
      "holds_main_lock, created_at, updated_at) VALUES({}, {}, 'completed', 'approve', '{}', 0, 1, "
      "1)",
      review.get<int64_t>(), branch.session, head));
    state_file{root}.rows("UPDATE merge_requests SET status = 'approved'");
  };
  approve(std::string(40, '0'));
  CHECK(code() == "review_outdated");
  CHECK(process()["requests"].empty());
  approve(git({"rev-parse", branch.name}));
  CHECK(code() == "lock_held"); // by whoever merges here
  CHECK(process()["requests"][0]["state"] == "merged");
  CHECK(state_file{root}.rows("SELECT status FROM merge_requests") == words{"merged"});
}

TEST_CASE_METHOD(merging, "merging: a branch that nobody has checked out is moved as well",
                 "[scenario][merging]") {
  git({"branch", "release", "main"});
  auto branch = queue(file("new.txt"), {{"target_branch", "release"}});
  auto main = tip();
  CHECK(process()["requests"][0]["state"] == "merged");
  CHECK(tip() == main);
  CHECK(git({"rev-parse", "release"}) == status(branch.request)["merge_commit"]);
  auto gone = queue(file("other.txt"), {{"target_branch", "release"}});
  git({"branch", "-D", "release"});
  CHECK(process()["requests"].empty());
  CHECK(state(gone) == "failed");
}

TEST_CASE_METHOD(merging, "merging: squashed, each request is one commit", "[scenario][merging]") {
  configure({{"style", "squash"}});
  auto branch = queue(file("one.txt"));
  auto second = queue(file("two.txt"));
  auto before = tip();
  process();
  CHECK(state(branch) == "merged");
  CHECK(state(second) == "merged");
  CHECK(git({"rev-list", "--count", before + "..main"}) == "2");
  CHECK(git({"log", "-1", "--format=%B", "main"}).find("- work on " + second.name)
        != std::string::npos);
}

TEST_CASE_METHOD(merging, "merging: of a hundred, five bad ones are found with few checks",
                 "[scenario][merging]") {
  configure({{"check_command", counted("test -z \"$(ls | grep '^bad')\"")}});
  std::vector<branch> good;
  std::vector<branch> bad;
  for (int i = 0; i < 100; ++i) {
    auto is_bad = i == 0 || i == 13 || i == 47 || i == 50 || i == 99;
    (is_bad ? bad : good)
      .push_back(queue(file(fmt::format("{}-{}.txt", is_bad ? "bad" : "good", i))));
  }
  process_all();
  CHECK(checks() <= 40);
  std::vector<int64_t> expected;
  for (const auto& one : good)
    expected.push_back(one.request);
  CHECK(order_on_main() == expected);
  for (const auto& one : bad)
    CHECK(state(one) == "checks_failed");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}).empty());
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a hundred good ones in batches of eight are thirteen checks",
                 "[scenario][merging]") {
  std::vector<int64_t> expected;
  for (int i = 0; i < 100; ++i)
    expected.push_back(queue(file(fmt::format("good-{}.txt", i))).request);
  process_all();
  CHECK(checks() == 13);
  CHECK(order_on_main() == expected);
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: higher priority goes first, and waiting counts",
                 "[scenario][merging]") {
  auto old = queue(file("old.txt"));
  auto urgent = queue(file("urgent.txt"), {{"priority", 5}});
  CHECK(serve().ask("merge.main.next")["main_merge_request"]["id"] == urgent.request);
  // Ten hours count as ten.
  state_file{root}.rows(
    fmt::format("UPDATE merge_main_queue SET created_at = created_at - 36000000000 WHERE id = {}",
                old.request));
  CHECK(serve().ask("merge.main.next")["main_merge_request"]["id"] == old.request);
  CHECK(serve().ask("merge.main.status", {{"request_id", urgent.request}})["position"] == 2);
  process();
  CHECK(order_on_main() == std::vector{old.request, urgent.request});
}

TEST_CASE_METHOD(merging, "merging: two processes at once merge each request once",
                 "[scenario][merging]") {
  configure({{"batch_size", 3}});
  std::vector<int64_t> expected;
  for (int i = 0; i < 12; ++i)
    expected.push_back(queue(file(fmt::format("f-{}.txt", i))).request);
  auto session = contract::open_session_on(serve());
  serve().ask("merge.main.acquire_lock", {{"session_id", session}});
  auto other = start_in(root);
  other->ask("workspace.init");
  for (int round = 0; round < 4; ++round) {
    auto a = serve().request("merge.main.process", {{"session_id", session}});
    auto b = other->request("merge.main.process", {{"session_id", session}});
    result_of(serve().answer_to(a));
    result_of(other->answer_to(b));
  }
  CHECK(order_on_main() == expected);
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a target that moves meanwhile is merged onto anew",
                 "[scenario][merging]") {
  auto once = quoted((base / "once").string());
  git({"branch", "release", "main"});
  auto other = git({"commit-tree", "-p", "release", "-m", "by hand", "release^{tree}"});
  configure(
    {{"check_command", counted("mkdir " + once + " 2>/dev/null && git -C " + quoted(root.string())
                               + " update-ref refs/heads/release " + other + "; true")}});
  auto branch = queue(file("new.txt"), {{"target_branch", "release"}});
  CHECK(process()["requests"][0]["state"] == "merged");
  CHECK(git({"rev-parse", "release^1"}) == other);
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: the loop does it by itself", "[scenario][merging][loops]") {
  configure(json::object(), {{"enabled", true}, {"merge_processing", 1}});
  auto branch = queue(file("new.txt"));
  eventually("it is merged", [&] { return state(branch) == "merged"; });
  eventually("the lock is given back", [&] {
    return state_file{root}.rows("SELECT state FROM merge_main_lock") == words{"unlocked"};
  });
  CHECK(read(root / "new.txt") == "x\n");
}

TEST_CASE_METHOD(merging, "merging: the tree is the one that git merge gives in that order",
                 "[scenario][merging]") {
  auto seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  std::mt19937 random{seed};
  auto below = [&](int most) { return std::uniform_int_distribution{0, most - 1}(random); };
  configure({{"batch_size", 1 + below(5)}});
  constexpr int files = 5;
  constexpr int lines = 12;
  for (int f = 0; f < files; ++f) {
    std::string text;
    for (int line = 0; line < lines; ++line)
      text += fmt::format("line {}\n", line);
    commit(root, fmt::format("file-{}.txt", f), text);
  }
  auto start = tip();
  for (int i = 0; i < 14; ++i) {
    std::map<std::string, std::string> changed;
    for (int n = 1 + below(2); n > 0; --n) {
      auto name = fmt::format("file-{}.txt", below(files));
      auto text = lines_of(git({"show", "main:" + name}) + "\n");
      text[static_cast<std::size_t>(below(lines))] = fmt::format("changed by {}", i);
      changed[name] = fmt::format("{}\n", fmt::join(text, "\n"));
    }
    queue(changed);
    if (below(4) == 0)
      process();
  }
  process_all();
  auto order = order_on_main();
  CHECK(order.size() > 5);
  auto by_hand = base / "by-hand";
  git({"worktree", "add", "--quiet", "--detach", by_hand.string(), start});
  for (auto id : order)
    git_in(by_hand, {"-c", "user.name=t", "-c", "user.email=t@example.com", "merge", "--quiet",
                     "--no-ff", "--no-edit", status(id)["head_sha"]});
  CHECK(git_in(by_hand, {"rev-parse", "HEAD^{tree}"}) == git({"rev-parse", "main^{tree}"}));
  check_repository();
}
