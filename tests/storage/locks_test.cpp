#include "state_fixture.hpp"
#include "storage/waiters.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>

using namespace orch;

namespace {

struct lock_fixture : state_fixture {
  lock acquire(const std::string& owner, const std::string& type, const std::string& path,
               const std::string& mode = "exclusive", int64_t ttl = 600) {
    return in_tx([&](tx& t) {
      return acquire_locks(t, {owner, {{type, path, mode}}, ttl}).front();
    });
  }

  bool grants(const std::string& owner, const std::string& type, const std::string& path,
              const std::string& mode = "exclusive") {
    return refused([&](tx& t) {
             acquire_locks(t, {owner, {{type, path, mode}}, 600});
           }).code
           == errc::none;
  }

  int64_t wait_for(const std::string& owner, const std::string& type, const std::string& path,
                   int64_t server = 1) {
    return in_tx([&](tx& t) {
      wanted_locks wanted{owner, {{type, path, "exclusive"}}, 600};
      auto taken = take_locks(t, wanted);
      REQUIRE(std::holds_alternative<blocked_by>(taken));
      auto id = get_in_line(t, "lock", wanted, std::get<blocked_by>(taken));
      t.run("UPDATE waiters SET server_id = ? WHERE id = ?", server, id);
      places[id] = t.take_in_hand(name_of_waiter(id));
      return id;
    });
  }

  wait_state look(int64_t waiter) {
    return in_tx([&](tx& t) { return look_at_wait(t, waiter); });
  }

  void release(int64_t id) {
    in_tx([&](tx& t) { release_lock(t, {id, {}}); });
  }

  lock stored(int64_t id) {
    return in_tx([&](tx& t) { return t.get<lock>("locks", id, "lock"); });
  }

  std::map<int64_t, in_hand::token> places; ///< of those who wait
};

} // namespace

TEST_CASE_METHOD(lock_fixture, "locks of two owners exclude each other where paths overlap",
                 "[locks]") {
  auto [held_type, held, type, path, granted] =
    GENERATE(table<std::string, std::string, std::string, std::string, bool>({
      {"file", "src/a.cpp", "file", "src/a.cpp", false},
      {"file", "src/a.cpp", "file", "src/b.cpp", true},
      {"file", "src/a.cpp", "prefix", "src", false},
      {"file", "src/a.cpp", "prefix", ".", false},
      {"file", "src/a.cpp", "prefix", "src/a.cpp", false},
      {"file", "src/a.cpp", "prefix", "sr", true},
      {"prefix", "src/api", "file", "src/api/x/y.cpp", false},
      {"prefix", "src/api", "file", "src/api2", true},
      {"prefix", "src/api", "prefix", "src/api2", true},
      {"prefix", "src/api", "prefix", "src/api-2/x", true},
      {"prefix", "src/api", "prefix", "src", false},
      {"prefix", "src/api", "prefix", "src/api/deep", false},
      {"prefix", ".", "file", "anything", false},
      {"file", "a b/\xc3\xa9%_", "prefix", "a b", false},
      {"file", "a_b", "file", "a%b", true},
    }));
  INFO(held_type << ":" << held << " against " << type << ":" << path);
  acquire("1", held_type, held);
  CHECK(grants("2", type, path) == granted);
  lock_scope a{held_type, held, "exclusive"};
  lock_scope b{type, path, "exclusive"};
  CHECK(scopes_conflict(a, b) == !granted);
  CHECK(scopes_conflict(b, a) == !granted);
}

TEST_CASE_METHOD(lock_fixture, "shared locks exclude only exclusive ones", "[locks]") {
  acquire("1", "prefix", "src", "shared");
  CHECK(grants("2", "file", "src/a", "shared"));
  CHECK_FALSE(grants("3", "file", "src/b", "exclusive"));
  CHECK_FALSE(grants("1", "prefix", "src", "exclusive"));
}

TEST_CASE_METHOD(lock_fixture, "lock.acquire of the same scope by its owner renews the lease",
                 "[locks]") {
  auto first = acquire("1", "file", "a", "exclusive", 10);
  pass_seconds(5);
  auto second = acquire("1", "file", "a", "exclusive", 100);
  CHECK(second.id == first.id);
  CHECK(second.lease_until == plus_seconds(now, 100));
}

TEST_CASE_METHOD(lock_fixture, "an owner never conflicts with itself", "[locks]") {
  acquire("1", "prefix", "src");
  CHECK(grants("1", "file", "src/a"));
  CHECK(grants("1", "prefix", "."));
}

TEST_CASE_METHOD(lock_fixture, "an owner that is waited for goes on with its work", "[locks]") {
  acquire("1", "prefix", "src");
  wait_for("2", "prefix", "src");
  CHECK(grants("1", "prefix", "src"));
  CHECK(grants("1", "file", "src/a"));
  CHECK_FALSE(grants("3", "file", "src/a"));
}

TEST_CASE_METHOD(lock_fixture, "a conflict names the holder", "[locks]") {
  auto held = acquire("1", "prefix", "src");
  auto error = refused([](tx& t) {
    acquire_locks(t, {"2", {{"file", "src/a", "exclusive"}}, 600});
  });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["holder"]["id"] == held.id);
  CHECK(error.data["holder"]["owner_session"] == "1");
}

TEST_CASE_METHOD(lock_fixture, "several locks are granted all or none", "[locks]") {
  acquire("1", "file", "b");
  auto error = refused([](tx& t) {
    acquire_locks(t, {"2", {{"file", "a", "exclusive"}, {"file", "b", "exclusive"}}, 600});
  });
  CHECK(error.code == errc::conflict);
  CHECK(grants("3", "file", "a"));
}

TEST_CASE_METHOD(lock_fixture, "a lease ends at its time, once, and counts as a change",
                 "[locks]") {
  auto held = acquire("1", "file", "a", "exclusive", 10);
  auto before = changes;
  pass_seconds(9);
  CHECK_FALSE(grants("2", "file", "a"));
  pass_seconds(1);
  in_tx([](tx&) {});
  CHECK(changes == before + 1);
  in_tx([](tx&) {});
  CHECK(changes == before + 1);
  auto error = refused([&](tx& t) { heartbeat_lock(t, {held.id, {}, {}}); });
  CHECK(error.code == errc::not_found);
  CHECK(grants("2", "file", "a"));
}

TEST_CASE_METHOD(lock_fixture, "a very long lease lasts, and never begins in the past", "[locks]") {
  auto held = acquire("1", "file", "a", "exclusive", longest_lease_seconds);
  CHECK(held.lease_until > now);
  pass_seconds(longest_lease_seconds - 1);
  CHECK_FALSE(grants("2", "file", "a"));
}

TEST_CASE_METHOD(lock_fixture, "lock.heartbeat renews by the last duration and checks the owner",
                 "[locks]") {
  auto held = acquire("1", "file", "a", "exclusive", 50);
  pass_seconds(40);
  auto renewed = in_tx([&](tx& t) { return heartbeat_lock(t, {held.id, {}, "1"}); });
  CHECK(renewed.lease_until == plus_seconds(now, 50));
  CHECK(refused([&](tx& t) {
          heartbeat_lock(t, {held.id, {}, "2"});
        }).code
        == errc::permission_denied);
  CHECK(refused([&](tx& t) { release_lock(t, {held.id, "2"}); }).code == errc::permission_denied);
}

TEST_CASE_METHOD(lock_fixture, "waiters get a lock in the order in which they came", "[locks]") {
  auto held = acquire("1", "file", "a");
  auto second = wait_for("2", "file", "a");
  auto third = wait_for("3", "prefix", ".");
  CHECK_FALSE(grants("4", "file", "a"));
  CHECK_FALSE(look(second).over);
  release(held.id);
  auto granted = look(second);
  REQUIRE(granted.granted);
  CHECK(granted.locks.front().owner_session == "2");
  CHECK(granted.locks.front().id > held.id);
  CHECK_FALSE(look(third).over);
  release(granted.locks.front().id);
  CHECK(look(third).granted);
}

TEST_CASE_METHOD(lock_fixture, "nobody overtakes a waiter whose path overlaps", "[locks]") {
  acquire("1", "prefix", "src", "shared");
  wait_for("2", "prefix", "src");
  CHECK_FALSE(grants("3", "file", "src/a", "shared"));
  CHECK(grants("3", "file", "doc/a"));
  CHECK(grants("1", "prefix", "src", "shared"));
}

TEST_CASE_METHOD(lock_fixture, "a lease that ends by itself goes to the first waiter", "[locks]") {
  acquire("1", "file", "a", "exclusive", 10);
  auto second = wait_for("2", "file", "a");
  CHECK(look(second).look_again_at == plus_seconds(now, 10));
  pass_seconds(10);
  CHECK(look(second).granted);
}

TEST_CASE_METHOD(lock_fixture, "waiting in a circle is refused with the circle", "[locks]") {
  acquire("1", "file", "a");
  acquire("2", "file", "b");
  acquire("3", "file", "c");
  wait_for("1", "file", "b");
  wait_for("2", "file", "c");
  auto error = refused([](tx& t) {
    wanted_locks wanted{"3", {{"file", "a", "exclusive"}}, 600};
    get_in_line(t, "lock", wanted, std::get<blocked_by>(take_locks(t, wanted)));
  });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["cycle"] == json{"3", "1", "2", "3"});
}

TEST_CASE_METHOD(lock_fixture, "a circle through any of several holders is found", "[locks]") {
  acquire("1", "file", "src/a", "shared");
  acquire("2", "file", "src/b", "shared");
  acquire("3", "file", "c");
  wait_for("2", "file", "c");
  // 3 would wait for 1, who waits for nobody, and for 2, who waits for 3.
  auto error = refused([](tx& t) {
    wanted_locks wanted{"3", {{"prefix", "src", "exclusive"}}, 600};
    get_in_line(t, "lock", wanted, std::get<blocked_by>(take_locks(t, wanted)));
  });
  CHECK(error.code == errc::conflict);
  CHECK(error.data["cycle"] == json{"3", "2", "3"});
}

TEST_CASE_METHOD(lock_fixture, "a grant that nobody takes leaves the lease that it renewed",
                 "[locks]") {
  auto own = acquire("1", "file", "a", "shared", 60);
  auto other = acquire("2", "file", "a", "shared");
  auto waiting = wait_for("1", "file", "a");
  release(other.id);
  CHECK(stored(own.id).mode == "exclusive");
  in_tx([&](tx& t) { leave_line(t, waiting); });
  auto left = stored(own.id);
  CHECK(left.state == "active");
  CHECK(left.mode == "shared");
  CHECK(left.lease_until == own.lease_until);
}

TEST_CASE_METHOD(lock_fixture, "a grant that nobody takes ends a renewed lease that would be over",
                 "[locks]") {
  auto own = acquire("1", "file", "a", "shared", 60);
  auto other = acquire("2", "file", "a", "shared");
  auto waiting = wait_for("1", "file", "a");
  release(other.id);
  pass_seconds(61);
  in_tx([&](tx& t) { leave_line(t, waiting); });
  CHECK(stored(own.id).state == "expired");
}

TEST_CASE_METHOD(lock_fixture, "a wait that its own server has lost holds nobody up", "[locks]") {
  auto held = acquire("1", "file", "a");
  auto lost = wait_for("2", "file", "a");
  auto next = wait_for("3", "file", "a");
  places.erase(lost);
  release(held.id);
  CHECK(look(next).granted);
}

TEST_CASE_METHOD(lock_fixture, "looking for a circle is no change of state", "[locks]") {
  acquire("1", "file", "a");
  wait_for("2", "file", "a");
  auto before = changes;
  acquire("3", "file", "b");
  wait_for("2", "file", "b");
  CHECK(changes == before + 1);
}

TEST_CASE_METHOD(lock_fixture, "a wait says what holds it up", "[locks]") {
  auto held = acquire("1", "file", "a");
  auto second = wait_for("2", "file", "a");
  CHECK(in_tx([&](tx& t) { return what_holds_up(t, second); })["holder"]["id"] == held.id);
}

TEST_CASE_METHOD(lock_fixture, "a waiter whose server died is passed over", "[locks]") {
  auto held = acquire("1", "file", "a");
  wait_for("2", "file", "a", /*server=*/7);
  auto third = wait_for("3", "file", "a");
  dead_servers.insert(7);
  release(held.id);
  CHECK(look(third).granted);
}

TEST_CASE_METHOD(lock_fixture, "what a dead server was granted and never took is given back",
                 "[locks]") {
  auto held = acquire("1", "file", "a");
  wait_for("2", "file", "a", /*server=*/7);
  release(held.id);
  CHECK_FALSE(grants("3", "file", "a"));
  auto third = wait_for("3", "file", "a");
  dead_servers.insert(7);
  in_tx([](tx& t) { give_waiters_their_turn(t); });
  CHECK(look(third).granted);
}

TEST_CASE_METHOD(lock_fixture, "leaving the line lets those behind go on", "[locks]") {
  acquire("1", "prefix", "src", "shared");
  auto second = wait_for("2", "prefix", "src");
  in_tx([&](tx& t) { leave_line(t, second); });
  CHECK(grants("3", "file", "src/a", "shared"));
  CHECK_FALSE(look(second).granted);
}

TEST_CASE_METHOD(lock_fixture, "one file has one name, however it is written", "[locks]") {
  std::filesystem::create_directories(directory.path / "src/real");
  std::filesystem::create_directory_symlink("real", directory.path / "src/alias");
  auto written = GENERATE(as<std::string>{}, "src/real/a.cpp", "./src//real/a.cpp",
                          "src/real/../real/a.cpp", "src/alias/a.cpp", "nowhere/../src/real/a.cpp",
                          ".codex-orch/worktrees/session-1/src/real/a.cpp");
  INFO(written);
  CHECK(normalize_path(*around, "path", written) == "src/real/a.cpp");
  CHECK(normalize_path(*around, "path", (directory.path / written).string()) == "src/real/a.cpp");
}

TEST_CASE_METHOD(lock_fixture, "a file has its one name in linked worktrees anywhere", "[locks]") {
  auto link = [&](const std::string& at, const std::string& gitdir) {
    std::filesystem::create_directories(directory.path / at);
    std::ofstream{directory.path / at / ".git"} << "gitdir: " << gitdir << "\n";
  };
  link("own/place", (directory.path / ".git/worktrees/place").string());
  link(".codex-orch/worktrees/deep/er", (directory.path / ".git/worktrees/er").string());
  link("lib/part", "../../.git/modules/part");
  CHECK(normalize_path(*around, "path", "own/place/src/a.cpp") == "src/a.cpp");
  CHECK(normalize_path(*around, "path", "own/place") == ".");
  CHECK(normalize_path(*around, "path", ".codex-orch/worktrees/deep/er/src/a.cpp") == "src/a.cpp");
  CHECK(normalize_path(*around, "path", "lib/part/src/a.cpp") == "lib/part/src/a.cpp");
}

TEST_CASE_METHOD(lock_fixture, "the repository itself is the path .", "[locks]") {
  auto written =
    GENERATE(as<std::string>{}, ".", "./", "src/..", ".codex-orch/worktrees/session-1");
  CHECK(normalize_path(*around, "path", written) == ".");
}

TEST_CASE_METHOD(lock_fixture, "a path that leads out of the repository is refused", "[locks]") {
  std::filesystem::create_directory_symlink("/etc", directory.path / "out");
  auto written = GENERATE(as<std::string>{}, "..", "../x", "a/../../x", "/etc/passwd", "out/passwd",
                          std::string{"a\0b", 3}, "");
  try {
    normalize_path(*around, "scope_path", written);
    FAIL("accepted " << written);
  } catch (const request_error& e) {
    CHECK(e.code == errc::invalid_params);
    CHECK(e.data["field"] == "scope_path");
  }
}

TEST_CASE_METHOD(lock_fixture, "lock.list of a path shows what a lock on it would meet",
                 "[locks]") {
  auto on_prefix = acquire("1", "prefix", "src");
  auto below = acquire("1", "file", "src/api/a");
  acquire("1", "file", "doc/a");
  auto listed = [&](const std::string& path) {
    lock_list request;
    request.path = path;
    std::vector<int64_t> ids;
    for (const auto& x : in_tx([&](tx& t) { return list_locks(t, request); }).locks)
      ids.push_back(x.id);
    return ids;
  };
  CHECK(listed("src/api") == std::vector{on_prefix.id, below.id});
  CHECK(listed("src/other") == std::vector{on_prefix.id});
  CHECK(listed("lib").empty());
  CHECK(listed(".").size() == 3);
}
