#include "client.hpp"

#include <fmt/format.h>

using namespace orch::test;

namespace {

struct locks : contract {
  locks() {
    for (int i = 0; i < 3; ++i)
      owners.push_back(std::to_string(open_session()));
  }

  json wanted(int owner, const std::string& scope, const json& more = json::object()) const {
    auto colon = scope.find(':');
    json params{{"scope_type", scope.substr(0, colon)},
                {"scope_path", scope.substr(colon + 1)},
                {"owner_session", owners[static_cast<std::size_t>(owner)]}};
    params.update(more);
    return params;
  }
  json take(int owner, const std::string& scope, const json& more = json::object()) {
    return ask("lock.acquire", wanted(owner, scope, more));
  }
  std::string code(int owner, const std::string& scope, const json& more = json::object()) {
    return code_of("lock.acquire", wanted(owner, scope, more));
  }
  std::size_t active() { return ask("lock.list")["locks"].size(); }

  words owners;
};

} // namespace

TEST_CASE_METHOD(locks, "lock.acquire answers with the lease", "[locks]") {
  auto lock = take(0, "file:src/a.cpp", {{"ttl_seconds", 60}});
  CHECK(lock["scope_type"] == "file");
  CHECK(lock["scope_path"] == "src/a.cpp");
  CHECK(lock["owner_session"] == owners[0]);
  CHECK(lock["mode"] == "exclusive");
  CHECK(lock["state"] == "active");
  CHECK(shape_of_time(lock["lease_until"]) == "time");
  CHECK(lock["lease_until"] > lock["heartbeat_at"]);
}

TEST_CASE_METHOD(locks, "lock.acquire refuses what overlaps a lease of another", "[locks]") {
  auto [held, asked] = GENERATE(table<std::string, std::string>({{"file:a", "file:a"},
                                                                 {"prefix:src", "file:src/a"},
                                                                 {"file:src/a", "prefix:src"},
                                                                 {"prefix:src", "prefix:src"},
                                                                 {"prefix:src", "prefix:src/api"},
                                                                 {"prefix:src/api", "prefix:src"},
                                                                 {"prefix:.", "file:x/y"},
                                                                 {"file:x/y", "prefix:."},
                                                                 {"prefix:src", "file:src"}}));
  auto lock = take(0, held);
  auto error = error_of("lock.acquire", wanted(1, asked));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["holder"] == lock);
  CHECK(active() == 1);
}

TEST_CASE_METHOD(locks, "lock.acquire allows what does not overlap", "[locks]") {
  auto [held, asked] =
    GENERATE(table<std::string, std::string>({{"file:a", "file:b"},
                                              {"prefix:src/api", "prefix:src/api2"},
                                              {"prefix:src/api", "file:src/api2"},
                                              {"file:src", "file:src/a"},
                                              {"prefix:src/api", "file:src/ap"},
                                              {"file:a", "file:A"},
                                              {"file:src/a_b", "file:src/axb"},
                                              {"prefix:x%", "file:xyz/a"}}));
  take(0, held);
  CHECK(code(1, asked) == "ok");
}

TEST_CASE_METHOD(locks, "lock.acquire knows one path under all its names", "[locks]") {
  write(root / "src" / "a.cpp", "x");
  std::filesystem::create_directory_symlink("src", root / "link");
  auto name = GENERATE(as<std::string>{}, "./src/a.cpp", "src//a.cpp", "src/./a.cpp",
                       "lib/../src/a.cpp", "ABSOLUTE", "link/a.cpp", "src/b/../a.cpp");
  if (name == "ABSOLUTE")
    name = (root / "src" / "a.cpp").string();
  take(0, "file:src/a.cpp");
  CHECK(code(1, "file:" + name) == "conflict");
}

TEST_CASE_METHOD(locks, "lock.acquire knows a directory with and without its slash", "[locks]") {
  take(0, "prefix:src/api/");
  CHECK(code(1, "prefix:src/api") == "conflict");
  CHECK(ask("lock.list")["locks"][0]["scope_path"] == "src/api");
}

TEST_CASE_METHOD(locks, "lock.acquire refuses paths outside the repository", "[locks]") {
  std::filesystem::create_directory_symlink(base, root / "out");
  auto name = GENERATE(as<std::string>{}, "..", "../x", "a/../../x", "/etc/passwd", "/", "out/x",
                       "src/../../repo2/x", "~root/../../x/../..");
  auto error = error_of("lock.acquire", wanted(0, "file:" + name));
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "scope_path");
}

TEST_CASE_METHOD(locks, "lock.acquire refuses a path with a NUL", "[locks]") {
  json params = wanted(0, "file:x");
  params["scope_path"] = std::string("a\0b", 3);
  CHECK(error_of("lock.acquire", params)["data"]["field"] == "scope_path");
}

TEST_CASE_METHOD(locks, "lock.acquire shares shared leases only", "[locks]") {
  json shared{{"mode", "shared"}};
  take(0, "prefix:src", shared);
  CHECK(code(1, "file:src/a", shared) == "ok");
  CHECK(code(2, "file:src/a") == "conflict");
}

TEST_CASE_METHOD(locks, "lock.acquire again by the owner renews the lease", "[locks]") {
  auto lock = take(0, "file:a", {{"ttl_seconds", 10}});
  auto again = take(0, "file:./a", {{"ttl_seconds", 1'000}});
  CHECK(again["id"] == lock["id"]);
  CHECK(again["lease_until"] > lock["lease_until"]);
  CHECK(active() == 1);
}

TEST_CASE_METHOD(locks, "lock.acquire never sets an owner against itself", "[locks]") {
  take(0, "prefix:src");
  CHECK(code(0, "file:src/a") == "ok");
  CHECK(code(0, "prefix:.") == "ok");
  CHECK(active() == 3);
}

TEST_CASE_METHOD(locks, "lock.acquire keeps the longest lease in the future", "[locks]") {
  json longest{{"ttl_seconds", 366 * 86'400}};
  auto lock = take(0, "file:a", longest);
  CHECK(lock["lease_until"] > lock["heartbeat_at"]);
  CHECK(code(1, "file:a") == "conflict");
}

TEST_CASE_METHOD(locks, "lock.acquire gives ids that only grow", "[locks]") {
  int64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    auto id = take(i % 3, "file:a")["id"].get<int64_t>();
    CHECK(id > last);
    last = id;
    ask("lock.release", {{"lock_id", id}});
  }
}

TEST_CASE_METHOD(locks, "lock.acquire takes any name as owner but no closed session", "[locks]") {
  auto params = wanted(0, "file:a");
  ask("session.close", {{"session_id", std::stoll(owners[0])}});
  CHECK(code_of("lock.acquire", params) == "failed_precondition");
  params["owner_session"] = "a name";
  CHECK(code_of("lock.acquire", params) == "ok");
}

TEST_CASE_METHOD(locks, "a lease ends by itself", "[locks]") {
  auto id = take(0, "file:a", {{"ttl_seconds", 1}})["id"];
  take(0, "file:b");
  eventually("the lease has ended", [&] { return active() == 1; });
  CHECK(code_of("lock.heartbeat", {{"lock_id", id}}) == "not_found");
  CHECK(code_of("lock.release", {{"lock_id", id}}) == "not_found");
  CHECK(take(1, "file:a")["id"] > id);
}

TEST_CASE_METHOD(locks, "lock.acquire_many takes all or none", "[locks]") {
  take(1, "file:c");
  auto scope = [](const char* name) { return json{{"scope_type", "file"}, {"scope_path", name}}; };
  json params{{"locks", {scope("a"), scope("b"), scope("c")}}, {"owner_session", owners[0]}};
  CHECK(error_of("lock.acquire_many", params)["code"] == "conflict");
  CHECK(active() == 1);
  params["locks"] = {scope("a"), scope("b")};
  auto taken = ask("lock.acquire_many", params)["locks"];
  REQUIRE(taken.size() == 2);
  CHECK(taken[0]["scope_path"] == "a");
  CHECK(active() == 3);
}

TEST_CASE_METHOD(locks, "lock.acquire_many names the element that is wrong", "[locks]") {
  json params{{"locks",
               {{{"scope_type", "file"}, {"scope_path", "a"}},
                {{"scope_type", "file"}, {"scope_path", "../b"}}}},
              {"owner_session", owners[0]}};
  auto error = error_of("lock.acquire_many", params);
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "locks[1].scope_path");
  CHECK(active() == 0);
}

TEST_CASE_METHOD(locks, "lock.acquire_many needs a path", "[locks]") {
  CHECK(error_of("lock.acquire_many",
                 {{"locks", json::array()}, {"owner_session", owners[0]}})["data"]["field"]
        == "locks");
}

TEST_CASE_METHOD(locks, "lock.heartbeat renews the lease", "[locks]") {
  auto lock = take(0, "file:a", {{"ttl_seconds", 10}});
  auto renewed = ask("lock.heartbeat", {{"lock_id", lock["id"]}, {"ttl_seconds", 1'000}});
  CHECK(renewed["lease_until"] > lock["lease_until"]);
  CHECK(renewed["id"] == lock["id"]);
}

TEST_CASE_METHOD(locks, "lock.heartbeat and release refuse another owner", "[locks]") {
  auto method = GENERATE(as<std::string>{}, "lock.heartbeat", "lock.release");
  auto id = take(0, "file:a")["id"];
  CHECK(code_of(method, {{"lock_id", id}, {"owner_session", owners[1]}}) == "permission_denied");
  CHECK(active() == 1);
  CHECK(code_of(method, {{"lock_id", id}, {"owner_session", owners[0]}}) == "ok");
}

TEST_CASE_METHOD(locks, "lock.release ends the lease once", "[locks]") {
  auto id = take(0, "file:a")["id"];
  CHECK(ask("lock.release", {{"lock_id", id}})["state"] == "released");
  CHECK(code_of("lock.release", {{"lock_id", id}}) == "not_found");
  CHECK(code_of("lock.heartbeat", {{"lock_id", id}}) == "not_found");
  CHECK(code(1, "file:a") == "ok");
}

TEST_CASE_METHOD(locks, "lock.list filters by owner and by conflict with a path", "[locks]") {
  take(0, "prefix:src");
  take(1, "file:docs/a");
  CHECK(ask("lock.list", {{"owner_session", owners[1]}})["locks"][0]["scope_path"] == "docs/a");
  auto meeting = ask("lock.list", {{"path", "src/deep/x"}})["locks"];
  REQUIRE(meeting.size() == 1);
  CHECK(meeting[0]["scope_path"] == "src");
  CHECK(ask("lock.list", {{"path", "docs"}})["locks"].size() == 1);
  CHECK(ask("lock.list", {{"path", "."}})["locks"].size() == 2);
  CHECK(ask("lock.list", {{"path", "lib"}})["locks"].empty());
  CHECK(error_of("lock.list", {{"path", "../x"}})["data"]["field"] == "path");
}

TEST_CASE_METHOD(locks, "lock.acquire gives one path to one of many servers", "[locks]") {
  std::vector<server*> servers{&first, &start(), &start()};
  for (int round = 0; round < 20; ++round) {
    auto scope = fmt::format("file:f{}", round);
    std::vector<int64_t> asked;
    for (int i = 0; i < 3; ++i)
      asked.push_back(
        servers[static_cast<std::size_t>(i)]->request("lock.acquire", wanted(i, scope)));
    int won = 0;
    for (std::size_t i = 0; i < 3; ++i)
      won += servers[i]->answer_to(asked[i]).contains("result") ? 1 : 0;
    CHECK(won == 1);
  }
}
