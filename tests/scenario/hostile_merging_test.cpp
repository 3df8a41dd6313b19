#include "merging.hpp"

#include <sys/mount.h>

using namespace orch::test;

namespace {

/// A program that is called git and says of each call what it is, before git does it.
struct watched_git {
  explicit watched_git(const path& base, const std::string& script) {
    auto real = find_program("git");
    REQUIRE(real);
    auto directory = base / "bin";
    std::filesystem::create_directory(directory);
    write(directory / "git", fmt::format("#!/bin/sh\nreal={}\n{}\nexec \"$real\" \"$@\"\n",
                                         orch::test::quoted(*real), script));
    std::filesystem::permissions(directory / "git", std::filesystem::perms::owner_all);
    path_ = std::getenv("PATH");
    ::setenv("PATH", (directory.string() + ":" + path_).c_str(), 1);
  }
  watched_git(const watched_git&) = delete;
  watched_git& operator=(const watched_git&) = delete;
  ~watched_git() { ::setenv("PATH", path_.c_str(), 1); }

  static std::optional<std::string> find_program(const std::string& name) {
    std::istringstream all{std::getenv("PATH")};
    for (std::string one; std::getline(all, one, ':');)
      if (::access((one + "/" + name).c_str(), X_OK) == 0)
        return one + "/" + name;
    return {};
  }

  std::string path_;
};

/// A file system of 24 MiB.
class small_disk {
public:
  explicit small_disk(path place) : place_{std::move(place)} {
    std::filesystem::create_directory(place_);
    there_ = ::mount("none", place_.c_str(), "tmpfs", 0, "size=24m") == 0;
    if (!there_)
      WARN("skipped: no right to mount a small disk");
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  ~small_disk() {
    if (there_)
      ::umount2(place_.c_str(), MNT_DETACH);
  }

  bool is_there() const { return there_; }

private:
  path place_;
  bool there_ = false;
};

} // namespace

TEST_CASE_METHOD(merging, "merging: nobody can check out another branch while main moves",
                 "[scenario][merging]") {
  git({"branch", "feature", "main"});
  auto seen = quoted((base / "seen").string());
  // The update of the files begins with a look at the index, and HEAD is locked by then.
  watched_git watched{base, "case \"$*\" in *'update-index -q --refresh'*) \"$real\" symbolic-ref "
                            "HEAD refs/heads/feature 2>/dev/null && echo yes >> "
                              + seen + " || echo no >> " + seen + ";; esac"};
  auto branch = queue(file("new.txt"));
  auto before = tip();
  process();
  CHECK(read(base / "seen").find("no") == 0);
  CHECK(state(branch) == "merged");
  CHECK(on_main("new.txt"));
  CHECK(git({"rev-parse", "feature"}) == before);
  CHECK(git({"symbolic-ref", "HEAD"}) == "refs/heads/main");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}).empty());
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: main moves under whoever checks it out at the same time",
                 "[scenario][merging]") {
  git({"checkout", "--quiet", "--detach"});
  watched_git watched{base, "case \"$*\" in *'update-ref -m codex-orchestrator refs/heads/main'*) "
                            "cd "
                              + quoted(root.string())
                              + " && \"$real\" checkout --quiet main;; esac"};
  auto branch = queue(file("new.txt"));
  process();
  CHECK(state(branch) == "merged");
  CHECK(on_main("new.txt"));
  CHECK(git({"symbolic-ref", "HEAD"}) == "refs/heads/main");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}).empty());
  CHECK(read(root / "new.txt") == "x\n");
}

TEST_CASE_METHOD(merging, "merging: another name of main means main", "[scenario][merging]") {
  git({"symbolic-ref", "refs/heads/trunk", "refs/heads/main"});
  auto branch = queue(file("new.txt"), {{"target_branch", "trunk"}});
  CHECK(status(branch.request)["target_branch"] == "main");
  process();
  CHECK(read(root / "new.txt") == "x\n");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}).empty());
}

TEST_CASE_METHOD(merging,
                 "merging: whoever has another name of main checked out is kept up to date",
                 "[scenario][merging]") {
  git({"symbolic-ref", "refs/heads/trunk", "refs/heads/main"});
  git({"symbolic-ref", "HEAD", "refs/heads/trunk"});
  auto branch = queue(file("new.txt"));
  process();
  CHECK(state(branch) == "merged");
  CHECK(read(root / "new.txt") == "x\n");
  CHECK(git({"status", "--porcelain", "--untracked-files=no"}).empty());
}

TEST_CASE_METHOD(merging, "merging: what a check does to its repository stays there",
                 "[scenario][merging]") {
  git({"branch", "release", "main"});
  git({"tag", "v1"});
  auto refs = [&] {
    return git(
      {"for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/release", "refs/tags"});
  };
  auto before = refs();
  configure(
    {{"check_command",
      "set -e; bad=$(ls -d bad* 2>/dev/null || true); git describe --tags HEAD; git checkout -q "
      "main; git checkout -q release; git "
      "-c user.name=c -c user.email=c@c commit -q --allow-empty -m x; git branch -f main; "
      "git tag -d v1; git sparse-checkout set none; git config core.bare true; rm -rf .git; "
      "test -z \"$bad\""}});
  auto first = queue(file("one.txt"));
  auto bad = queue(file("bad.txt"));
  auto second = queue(file("two.txt"));
  process_all();
  INFO(status(first.request));
  CHECK(state(first) == "merged");
  CHECK(state(bad) == "checks_failed");
  CHECK(state(second) == "merged");
  CHECK(refs() == before);
  CHECK_FALSE(on_main("bad.txt"));
  CHECK(git({"config", "--get", "core.bare"}) == "false");
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: in a repository with a colon in its path",
                 "[scenario][merging]") {
  auto place = base / "co:lon";
  std::filesystem::create_directory(place);
  std::filesystem::rename(root, place / "repo");
  root = place / "repo";
  configure({{"check_command", "rm -rf .git; test ! -e bad.txt"}});
  auto bad = queue(file("bad.txt"));
  auto good = queue(file("new.txt"));
  write(root / "b.txt", "changed by a person\n");
  process_all();
  CHECK(state(bad) == "checks_failed");
  CHECK(state(good) == "merged");
  CHECK(read(root / "b.txt") == "changed by a person\n");
  CHECK_FALSE(on_main("bad.txt"));
}

TEST_CASE_METHOD(merging, "merging: links where checks are lead nowhere", "[scenario][merging]") {
  auto outside = base / "outside";
  std::filesystem::create_directory(outside);
  write(outside / "precious", "mine\n");
  write(outside / "run-1-1.log", "mine\n");
  auto state_dir = root / ".codex-orch";
  auto branch = queue(file("new.txt"));
  SECTION("the scratch directory") {
    std::filesystem::create_directory(state_dir / "queue");
    std::filesystem::create_directory_symlink(outside, state_dir / "queue" / "run-1");
    process();
    CHECK(state(branch) == "merged");
  }
  SECTION("the directory of all") {
    std::filesystem::create_directory_symlink(outside, state_dir / "queue");
    serve().ask("merge.main.acquire_lock", {{"session_id", branch.session}});
    auto refused = serve().error_of("merge.main.process", {{"session_id", branch.session}});
    CHECK(refused["code"] == "unavailable");
    CHECK(refused["message"].get<std::string>().find("queue") != std::string::npos);
    CHECK(state(branch) == "queued");
  }
  SECTION("the logs") {
    std::filesystem::create_directory_symlink(outside, state_dir / "checks");
    serve().ask("merge.main.acquire_lock", {{"session_id", branch.session}});
    auto refused = serve().error_of("merge.main.process", {{"session_id", branch.session}});
    CHECK(refused["code"] == "unavailable");
    CHECK(refused["message"].get<std::string>().find("checks") != std::string::npos);
    CHECK(state(branch) == "queued");
  }
  SECTION("a log") {
    std::filesystem::create_directory(state_dir / "checks");
    std::filesystem::create_symlink(outside / "precious", state_dir / "checks" / "run-1-1.log");
    serve().ask("merge.main.acquire_lock", {{"session_id", branch.session}});
    auto ask = [&] { return serve().call("merge.main.process", {{"session_id", branch.session}}); };
    CHECK(orch::test::error_of(ask())["code"] == "unavailable");
    CHECK(state(branch) == "queued");
    ask(); // another run, another name
    CHECK(state(branch) == "merged");
  }
  CHECK(read(outside / "precious") == "mine\n");
  CHECK(read(outside / "run-1-1.log") == "mine\n");
  CHECK(std::filesystem::exists(state_dir / "state.db"));
}

TEST_CASE_METHOD(merging, "merging: a git that is killed in the middle of a move is undone",
                 "[scenario][merging]") {
  // Files of the merge come in one after the other; the filter of one of them kills git.
  auto mark = quoted((base / "killed").string());
  git({"config", "filter.deadly.smudge",
       "cat; case $PWD in */queue/*) ;; */.codex-orch/*) ;; *) test -e " + mark + " || { touch "
         + mark + "; kill -9 $PPID; sleep 0.2; } ;; esac"});
  git({"config", "filter.deadly.clean", "cat"});
  commit(root, ".gitattributes", "m*.txt filter=deadly\n");
  auto branch =
    queue({{"a.txt", "changed\n"}, {"k.txt", "k\n"}, {"m.txt", "m\n"}, {"z.txt", "z\n"}});
  auto before = tip();
  write(root / "b.txt", "changed by a person\n");
  auto stopped = process();
  INFO(stopped);
  REQUIRE(std::filesystem::exists(base / "killed"));
  CHECK(stopped.contains("why_stopped"));
  CHECK(tip() == before);
  CHECK(git({"status", "--porcelain", "--untracked-files=all"}) == " M b.txt");
  CHECK_FALSE(std::filesystem::exists(root / ".git" / "index.lock"));
  process();
  CHECK(state(branch) == "merged");
  CHECK(read(root / "m.txt") == "m\n");
  CHECK(read(root / "b.txt") == "changed by a person\n");
  CHECK(git({"status", "--porcelain", "--untracked-files=all"}) == " M b.txt");
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: a disk that fills up while main moves", "[scenario][merging]") {
  auto small = base / "small";
  small_disk disk{small};
  if (!disk.is_there())
    return;
  std::filesystem::copy(root, small / "repo", std::filesystem::copy_options::recursive);
  root = small / "repo";
  configure({{"check_command", "true"}});
  std::string big(3'000'000, 'x');
  auto branch = queue({{"a.txt", "changed\n"}, {"big.txt", big}, {"c.txt", "c\n"}});
  // As much as the check and the log need, but not the move.
  auto filler = small / "filler";
  watched_git watched{base, "case \"$*\" in *'update-index -q --refresh'*) head -c 24m /dev/zero > "
                              + quoted(filler.string())
                              + " 2>/dev/null; head -c 1000000 /dev/zero > "
                              + quoted((small / "room").string()) + " 2>/dev/null; rm -f "
                              + quoted((small / "room").string()) + ";; esac"};
  restart();
  auto before = tip();
  merger_.reset();
  auto session = contract::open_session_on(serve());
  serve().ask("merge.main.acquire_lock", {{"session_id", session}});
  auto answer = serve().call("merge.main.process", {{"session_id", session}});
  INFO(answer);
  CHECK(tip() == before);
  CHECK(state(branch) != "merged");
  std::filesystem::remove(filler);
  write(base / "bin" / "git", "#!/bin/sh\nexec /usr/bin/git \"$@\"\n");
  eventually("it goes on by itself once there is room", [&] {
    serve().call("merge.main.acquire_lock", {{"session_id", session}});
    serve().call("merge.main.process", {{"session_id", session}});
    return state(branch) == "merged";
  });
  CHECK(git({"status", "--porcelain", "--untracked-files=all"}).empty());
  CHECK(read(root / "big.txt") == big);
  check_repository();
  server_.reset();
}

TEST_CASE_METHOD(merging, "merging: a disk that is full when the check begins is nobody's fault",
                 "[scenario][merging]") {
  auto small = base / "small";
  small_disk disk{small};
  if (!disk.is_there())
    return;
  std::filesystem::copy(root, small / "repo", std::filesystem::copy_options::recursive);
  root = small / "repo";
  configure({{"check_command", "true"}});
  auto branch = queue({{"big.txt", std::string(3'000'000, 'x')}});
  auto filler = small / "filler";
  // The files of main fit, those of the request do not.
  auto room = orch::test::quoted((small / "room").string());
  auto full = orch::test::quoted((base / "full").string());
  watched_git watched{
    base,
    fmt::format("case \"$*\" in *'read-tree --reset'*) test -e {1} || {{ head -c 1000000 "
                "/dev/zero > {0}; head -c 24m /dev/zero > {2} 2>/dev/null; rm {0}; touch {1}; "
                "}} ;; esac",
                room, full, orch::test::quoted(filler.string()))};
  restart();
  auto session = contract::open_session_on(serve());
  auto process_it = [&] {
    serve().call("merge.main.acquire_lock", {{"session_id", session}});
    return serve().call("merge.main.process", {{"session_id", session}});
  };
  auto refused = process_it();
  INFO(refused);
  REQUIRE(std::filesystem::exists(base / "full"));
  CHECK_FALSE(on_main("big.txt"));
  std::filesystem::remove(filler);
  CHECK(state(branch) != "checks_failed");
  eventually("it goes on by itself once there is room", [&] {
    process_it();
    return state(branch) == "merged";
  });
  check_repository();
  server_.reset();
}

TEST_CASE_METHOD(merging, "merging: one that cannot be merged at all holds nobody up",
                 "[scenario][merging]") {
  auto bad = work(file("x.txt"));
  auto good = work(file("new.txt"));
  auto why = [&] { return status(bad.request)["error_message"].get<std::string>(); };
  auto ask = [&](branch& of) {
    of.request = serve().ask("merge.main.request", request_params(of))["main_merge_request"]["id"];
  };
  SECTION("it has nothing in common with main") {
    git_in(bad.directory, {"checkout", "--quiet", "--orphan", "other"});
    git_in(bad.directory, {"commit", "--quiet", "--message", "alone"});
    git_in(bad.directory, {"branch", "--force", bad.name});
    git_in(bad.directory, {"checkout", "--quiet", bad.name});
    ask(bad);
    ask(good);
    process_all();
    CHECK(state(bad) == "failed");
    CHECK(why().find("unrelated histories") != std::string::npos);
  }
  SECTION("its worktree is broken") {
    ask(bad);
    ask(good);
    std::filesystem::remove(bad.directory / ".git");
    process_all();
    CHECK(state(bad) == "queued");
    auto reasons = serve().ask("merge.main.explain", {{"request_id", bad.request}})["reasons"];
    CHECK(reasons[0]["code"] == "worktree_unreadable");
  }
  SECTION("a filter refuses its file") {
    git_in(bad.directory, {"reset", "--quiet", "--hard", "HEAD~1"});
    write(bad.directory / ".gitattributes", "x.txt filter=no\n");
    write(bad.directory / "x.txt", "x\n");
    git_in(bad.directory, {"add", "."});
    git_in(bad.directory, {"commit", "--quiet", "--message", "x"});
    git({"config", "filter.no.smudge", "false"});
    git({"config", "filter.no.required", "true"});
    git({"config", "filter.no.clean", "cat"});
    ask(bad);
    ask(good);
    process_all();
    CHECK(state(bad) == "checks_failed");
    CHECK(why().find("filter") != std::string::npos);
  }
  SECTION("somebody is changing its file in the main work tree") {
    ask(bad);
    ask(good);
    write(root / "x.txt", "a person's\n");
    CHECK(process()["why_stopped"].get<std::string>().find("x.txt") != std::string::npos);
    CHECK(state(bad) == "queued");
    auto reasons = serve().ask("merge.main.explain", {{"request_id", bad.request}})["reasons"];
    CHECK(reasons[0]["code"] == "last_try");
    CHECK(reasons[0]["message"].get<std::string>().find("x.txt") != std::string::npos);
    CHECK(read(root / "x.txt") == "a person's\n");
  }
  CHECK(state(good) == "merged");
}

TEST_CASE_METHOD(merging, "merging: nobody is blamed for a command that stops working",
                 "[scenario][merging]") {
  auto command = base / "check.sh";
  write(command, "#!/bin/sh\nexit 0\n");
  configure({{"check_command", "sh " + quoted(command.string())}});
  auto first = queue(file("one.txt"));
  process();
  CHECK(state(first) == "merged");
  std::filesystem::remove(command);
  auto second = queue(file("two.txt"));
  auto third = queue(file("three.txt"));
  auto done = process();
  CHECK(done["why_stopped"].get<std::string>().find("main itself") != std::string::npos);
  CHECK(state(second) == "queued");
  CHECK(state(third) == "queued");
  write(command, "exit 0\n");
  process();
  CHECK(state(second) == "merged");
  CHECK(state(third) == "merged");
}

TEST_CASE_METHOD(merging, "merging: of two that conflict the one with priority is merged",
                 "[scenario][merging]") {
  auto low = queue(file("a.txt", "low\n"));
  auto high = queue(file("a.txt", "high\n"), {{"priority", 100}});
  process_all();
  CHECK(state(high) == "merged");
  CHECK(state(low) == "conflict");
}

TEST_CASE_METHOD(merging, "merging: a daemon that hides from its check is killed all the same",
                 "[scenario][merging]") {
  auto id = base / "id";
  auto file_of_id = orch::test::quoted(id.string());
  configure(
    {{"check_command", "env -i setsid sh -c 'setsid sleep 600 & echo $! > \"$0\"' " + file_of_id
                         + " & while ! test -s " + file_of_id + "; do sleep 0.01; done"}});
  auto branch = queue(file("new.txt"));
  process();
  CHECK(state(branch) == "merged");
  auto stat = read(fmt::format("/proc/{}/stat", std::stol(read(id))));
  CHECK((stat.empty() || stat.find(") Z ") != std::string::npos));
}

TEST_CASE_METHOD(merging, "merging: a rebase of main that a person has begun is not disturbed",
                 "[scenario][merging]") {
  git({"checkout", "--quiet", "-b", "upstream"});
  commit(root, "a.txt", "theirs\n");
  git({"checkout", "--quiet", "main"});
  commit(root, "a.txt", "ours\n");
  auto branch = queue(file("new.txt"));
  auto before = tip();
  CHECK(std::system(
          fmt::format("git -C {} rebase upstream >/dev/null 2>&1", quoted(root.string())).c_str())
        != 0);
  CHECK(process()["why_stopped"].get<std::string>().find("being rebased") != std::string::npos);
  CHECK(tip() == before);
  git({"rebase", "--abort"});
  process();
  CHECK(state(branch) == "merged");
}

TEST_CASE_METHOD(merging, "merging: rebased, main gets the commits one after the other",
                 "[scenario][merging]") {
  configure({{"style", "rebase"}});
  auto first = work(file("one.txt"));
  git_in(first.directory, {"-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit",
                           "--quiet", "--allow-empty", "--message", "nothing in it"});
  write(first.directory / "two.txt", "two\n");
  git_in(first.directory, {"add", "."});
  git_in(first.directory, {"commit", "--quiet", "--author", "Ann <ann@example.com>", "--date",
                           "2001-02-03T04:05:06Z", "--message", "second\n\nwith a body"});
  auto resolved = work(file("a.txt", "a branch's\n"));
  commit(root, "a.txt", "main's\n");
  CHECK(std::system(fmt::format("git -C {} merge -q main >/dev/null 2>&1",
                                quoted(resolved.directory.string()))
                      .c_str())
        != 0);
  write(resolved.directory / "a.txt", "both\n");
  git_in(resolved.directory, {"commit", "--quiet", "--all", "--message", "resolved"});
  for (auto* one : {&first, &resolved})
    one->request =
      serve().ask("merge.main.request", request_params(*one))["main_merge_request"]["id"];
  auto before = tip();
  process_all();
  CHECK(state(first) == "merged");
  CHECK(state(resolved) == "merged");
  CHECK(git({"rev-list", "--merges", before + "..main"}).empty());
  auto subjects =
    git({"log", "--reverse", "--format=%an|%ad|%s|%b", "--date=iso-strict", before + "..main"});
  INFO(subjects);
  auto lines = lines_of(subjects);
  REQUIRE(lines.size() >= 3);
  CHECK(lines[0].find("work on " + first.name) != std::string::npos);
  CHECK(lines[1].find("Ann|2001-02-03T04:05:06") == 0);
  CHECK(lines[1].find("second|with a body") != std::string::npos);
  // Its commits do not apply one after the other, so it is one.
  CHECK(subjects.find("Squash branch '" + resolved.name) != std::string::npos);
  CHECK(git({"show", "main:a.txt"}) == "both");
  // All that it has is on main, under other names.
  serve().ask("worktree.remove", {{"worktree_id", first.worktree}});
  check_repository();
}

TEST_CASE_METHOD(merging, "merging: the lock is kept through a check that outlasts its lease",
                 "[scenario][merging]") {
  auto go = base / "go";
  configure(
    {{"check_command", "while ! test -e " + quoted(go.string()) + "; do sleep 0.05; done"}});
  auto branch = queue(file("new.txt"));
  serve().ask("merge.main.acquire_lock", {{"session_id", branch.session}, {"ttl_seconds", 1}});
  auto id = serve().request("merge.main.process", {{"session_id", branch.session}});
  state_file state_db{root};
  eventually("it is kept longer", [&] {
    return state_db.number("SELECT lease_until > (unixepoch() + 30) * 1000000 FROM "
                           "merge_main_lock")
           == 1;
  });
  write(go, "");
  CHECK(result_of(serve().answer_to(id))["requests"][0]["state"] == "merged");
}

TEST_CASE_METHOD(merging, "merging: whoever gets the lock need not wait for a process that stands",
                 "[scenario][merging]") {
  auto standing = quoted((base / "standing").string());
  configure({{"check_command", "test ! -e one.txt || { touch " + standing + "; sleep 600; }"}});
  auto first = queue(file("one.txt"));
  auto stuck = start_in(root);
  auto session = contract::open_session_on(*stuck);
  stuck->ask("merge.main.acquire_lock", {{"session_id", session}});
  stuck->request("merge.main.process", {{"session_id", session}});
  eventually("its check runs", [&] { return std::filesystem::exists(base / "standing"); });
  ::kill(stuck->pid(), SIGSTOP);
  serve().ask("merge.main.release_lock", {{"session_id", session}});
  auto second = queue(file("two.txt"));
  process();
  CHECK(state(second) == "merged");
  ::kill(stuck->pid(), SIGCONT);
  eventually("what it had begun is queued again", [&] { return state(first) == "queued"; });
  CHECK(on_main("two.txt"));
  CHECK_FALSE(on_main("one.txt"));
}

TEST_CASE_METHOD(merging, "merging: what git ignores is not overwritten", "[scenario][merging]") {
  write(root / ".gitignore", "mine\nmine/\n");
  git({"add", ".gitignore"});
  git({"commit", "--quiet", "--message", "ignore"});
  auto bring = [&](const std::string& path) {
    auto made = open_branch();
    write(made.directory / path, "theirs\n");
    git_in(made.directory, {"add", "--force", "."});
    git_in(made.directory, {"commit", "--quiet", "--message", "theirs"});
    made.request =
      serve().ask("merge.main.request", request_params(made))["main_merge_request"]["id"];
    return made;
  };
  path kept;
  branch blocked;
  SECTION("a file where they bring a directory") {
    kept = root / "mine";
    blocked = bring("mine/x");
  }
  SECTION("a directory where they bring a file") {
    kept = root / "mine" / "x";
    blocked = bring("mine");
  }
  SECTION("a file deeper down") {
    kept = root / "sub" / "mine";
    blocked = bring("sub/mine/deep/x");
  }
  SECTION("the same file") {
    kept = root / "mine";
    blocked = bring("mine");
  }
  write(kept, "precious\n");
  auto other = queue(file("new.txt"));
  CHECK(process()["why_stopped"].get<std::string>().find("mine") != std::string::npos);
  CHECK(state(blocked) == "queued");
  CHECK(state(other) == "merged");
  CHECK(read(kept) == "precious\n");
}

TEST_CASE_METHOD(merging, "merging: a move that had changed no file yet undoes nothing",
                 "[scenario][merging]") {
  // It is killed when it looks what is in the way, which is the same as what comes.
  watched_git watched{base, "case \"$*\" in *'status --porcelain'*) if test \"$PWD\" = "
                              + orch::test::quoted(root.string())
                              + " -a -e .git/HEAD.lock; then kill -9 $PPID; sleep 0.2; fi;; esac"};
  auto branch = queue(file("new.txt"));
  write(root / "new.txt", "x\n");
  if (!merger_)
    merger_ = contract::open_session_on(serve());
  serve().ask("merge.main.acquire_lock", {{"session_id", *merger_}});
  serve().request("merge.main.process", {{"session_id", *merger_}});
  serve().wait();
  write(base / "bin" / "git", "#!/bin/sh\nexec /usr/bin/git \"$@\"\n");
  restart();
  eventually("the run is ended", [&] { return state(branch) == "queued"; });
  CHECK(read(root / "new.txt") == "x\n");
  CHECK_FALSE(std::filesystem::exists(root / ".git" / "HEAD.lock"));
}
