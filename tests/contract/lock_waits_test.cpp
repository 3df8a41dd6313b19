#include "client.hpp"

#include <csignal>

using namespace orch::test;

namespace {

struct lock_waits : contract {
  lock_waits() {
    for (int i = 0; i < 4; ++i)
      sessions.push_back(open_session());
  }

  json wanted(std::size_t owner, const std::string& file, int wait_seconds = 0) const {
    return {{"scope_type", "file"},
            {"scope_path", file},
            {"owner_session", std::to_string(sessions[owner])},
            {"wait_seconds", wait_seconds}};
  }
  int64_t take(std::size_t owner, const std::string& file) {
    return ask("lock.acquire", wanted(owner, file))["id"];
  }
  int64_t wait_for(std::size_t owner, const std::string& file, int seconds = 600) {
    return first.request("lock.acquire", wanted(owner, file, seconds));
  }
  void release(int64_t lock) { ask("lock.release", {{"lock_id", lock}}); }
  json granted(int64_t request) { return result_of(first.answer_to(request)); }

  std::vector<int64_t> sessions;
};

} // namespace

TEST_CASE_METHOD(lock_waits, "lock.acquire with wait_seconds holds up nobody else", "[locks]") {
  auto lock = take(0, "a");
  auto waiting = wait_for(1, "a");
  for (int i = 0; i < 50; ++i)
    CHECK(code_of("task.list") == "ok");
  release(lock);
  CHECK(granted(waiting)["owner_session"] == std::to_string(sessions[1]));
}

TEST_CASE_METHOD(lock_waits, "lock.acquire gets its turn however soon the lock is given back",
                 "[locks]") {
  for (int round = 0; round < 40; ++round) {
    auto lock = take(0, "a");
    auto waiting = wait_for(1, "a");
    auto giving = first.request("lock.release", {{"lock_id", lock}});
    first.answer_to(giving);
    release(granted(waiting)["id"]);
  }
}

TEST_CASE_METHOD(lock_waits, "lock.acquire with wait_seconds answers at once when it is free",
                 "[locks]") {
  CHECK(granted(wait_for(0, "a"))["state"] == "active");
}

TEST_CASE_METHOD(lock_waits, "lock.acquire serves first who came first", "[locks]") {
  auto lock = take(0, "a");
  std::vector<int64_t> waiting;
  for (std::size_t owner : {3, 1, 2})
    waiting.push_back(wait_for(owner, "a"));
  CHECK(code_of("workspace.init") == "ok");
  release(lock);
  int64_t last = lock;
  for (auto request : waiting) {
    auto next = granted(request)["id"].get<int64_t>();
    CHECK(next > last);
    last = next;
    release(next);
  }
}

TEST_CASE_METHOD(lock_waits, "lock.acquire does not overtake those who wait", "[locks]") {
  auto lock = take(0, "a");
  auto waiting = wait_for(1, "a");
  CHECK(code_of("lock.acquire", wanted(2, "a")) == "conflict");
  release(lock);
  granted(waiting);
}

TEST_CASE_METHOD(lock_waits, "lock.acquire gives up when its time is over", "[locks]") {
  take(0, "a");
  auto error = orch::test::error_of(first.answer_to(wait_for(1, "a", 1)));
  CHECK(error["code"] == "timeout");
  CHECK(ask("lock.list")["locks"].size() == 1);
}

TEST_CASE_METHOD(lock_waits, "lock.acquire wakes up when a lease runs out", "[locks]") {
  auto brief = wanted(0, "a");
  brief["ttl_seconds"] = 1;
  ask("lock.acquire", brief);
  CHECK(granted(wait_for(1, "a"))["state"] == "active");
}

TEST_CASE_METHOD(lock_waits, "lock.acquire waits for a lock that another server holds", "[locks]") {
  auto& other = start();
  auto lock = other.ask("lock.acquire", wanted(0, "a"))["id"];
  auto waiting = wait_for(1, "a");
  CHECK(code_of("workspace.init") == "ok");
  other.ask("lock.release", {{"lock_id", lock}});
  CHECK(granted(waiting)["state"] == "active");
}

TEST_CASE_METHOD(lock_waits, "lock.acquire does not wait behind the waiters of a killed server",
                 "[locks]") {
  auto& other = start();
  auto lock = take(0, "a");
  other.request("lock.acquire", wanted(1, "a", 600));
  CHECK(other.code_of("workspace.init") == "ok");
  auto waiting = wait_for(2, "a");
  CHECK(code_of("workspace.init") == "ok");
  other.kill(SIGKILL);
  other.wait();
  release(lock);
  CHECK(granted(waiting)["owner_session"] == std::to_string(sessions[2]));
}

TEST_CASE_METHOD(lock_waits, "lock.acquire answers a deadlock with its cycle", "[locks]") {
  auto lock_a = take(0, "a");
  take(1, "b");
  auto waiting = wait_for(1, "a");
  CHECK(code_of("workspace.init") == "ok");
  auto error = error_of("lock.acquire", wanted(0, "b", 600));
  CHECK(error["code"] == "conflict");
  for (auto session : {sessions[0], sessions[1]})
    CHECK(error["data"]["cycle"].dump().find(std::to_string(session)) != std::string::npos);
  release(lock_a);
  granted(waiting);
}

TEST_CASE_METHOD(lock_waits, "lock.acquire finds a deadlock of three", "[locks]") {
  auto lock_a = take(0, "a");
  take(1, "b");
  take(2, "c");
  auto one = wait_for(1, "a");
  auto two = wait_for(2, "b");
  CHECK(code_of("workspace.init") == "ok");
  auto error = error_of("lock.acquire", wanted(0, "c", 600));
  CHECK(error["code"] == "conflict");
  CHECK(error["data"]["cycle"].size() >= 3);
  release(lock_a);
  granted(one);
  first.request("lock.release", {{"lock_id", 2}});
  granted(two);
}

TEST_CASE_METHOD(lock_waits, "lock.acquire_many waits until all are free", "[locks]") {
  auto a = take(0, "a");
  auto b = take(1, "b");
  json params{{"locks",
               {{{"scope_type", "file"}, {"scope_path", "a"}},
                {{"scope_type", "file"}, {"scope_path", "b"}}}},
              {"owner_session", std::to_string(sessions[2])},
              {"wait_seconds", 600}};
  auto waiting = first.request("lock.acquire_many", params);
  release(a);
  CHECK(ask("lock.list")["locks"].size() == 1);
  release(b);
  CHECK(granted(waiting)["locks"].size() == 2);
}

TEST_CASE_METHOD(lock_waits, "merge.main.acquire_lock waits for its turn", "[locks]") {
  ask("merge.main.acquire_lock", {{"session_id", sessions[0]}});
  std::vector<int64_t> waiting;
  for (std::size_t owner : {2, 1})
    waiting.push_back(first.request("merge.main.acquire_lock",
                                    {{"session_id", sessions[owner]}, {"wait_seconds", 600}}));
  CHECK(code_of("workspace.init") == "ok");
  ask("merge.main.release_lock", {{"session_id", sessions[0]}});
  CHECK(granted(waiting[0])["holder_session_id"] == sessions[2]);
  ask("merge.main.release_lock", {{"session_id", sessions[2]}});
  CHECK(granted(waiting[1])["holder_session_id"] == sessions[1]);
}

TEST_CASE_METHOD(lock_waits, "notifications/cancelled stops a waiting request without an answer",
                 "[locks][mcp]") {
  auto lock = take(0, "a");
  json arguments = wanted(1, "a", 600);
  first.send_line(json{{"jsonrpc", "2.0"},
                       {"id", "w"},
                       {"method", "tools/call"},
                       {"params", {{"name", "lock_acquire"}, {"arguments", arguments}}}}
                    .dump());
  CHECK(code_of("workspace.init") == "ok");
  first.send_line(
    R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w"}})");
  CHECK(code_of("workspace.init") == "ok");
  release(lock);
  CHECK(ask("lock.list")["locks"].empty());
  auto end = first.finish();
  CHECK(end.out.find("\"w\"") == std::string::npos);
}

TEST_CASE_METHOD(lock_waits, "the end of stdin does not leave a waiting request unanswered",
                 "[locks]") {
  take(0, "a");
  auto waiting = wait_for(1, "a", 1);
  auto end = first.finish();
  CHECK(end.code == 0);
  REQUIRE_FALSE(end.out.empty());
  auto answer = json::parse(end.out);
  CHECK(answer["id"] == waiting);
  CHECK(answer["error"]["code"] == "timeout");
}
