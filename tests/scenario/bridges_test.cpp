#include "supervised_repositories.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <thread>

using namespace orch::test;

namespace {

/// Servers of one repository whose clients a supervisor answers.
struct bridged : supervised_repositories {
  bridged() { configure({"one"}); }

  path repo() const { return repository("one"); }
  path socket() const { return repo() / ".codex-orch" / "supervisor.sock"; }

  /// A supervisor that lets others in.
  server& supervise_repo() {
    std::filesystem::remove(socket());
    supervise();
    eventually("it listens", [this] { return std::filesystem::exists(socket()); });
    return *running;
  }

  server& serve() { return *served.emplace_back(start_in(repo(), {"--log-level", "info"})); }

  void kill_supervisor() const {
    running->kill(SIGKILL);
    running->wait();
  }

  json status() const {
    return json::parse(run({"status", "--repo", repo().string(), "--json"}).out)["repositories"][0];
  }

  /// Are all clients answered by one process?
  bool all_bridged() const {
    auto now = status();
    return now["servers"] == 1 && now["clients"] == std::ssize(served);
  }

  /// A server whose client the supervisor answers.
  server& bridge() {
    auto& made = serve();
    made.ask("workspace.init");
    CHECK(crossings(made) == 1);
    return made;
  }

  /// How often a supervisor has taken over.
  static std::ptrdiff_t crossings(const server& on) {
    auto lines = lines_of(on.errors());
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find("supervisor of this repository answers") != std::string::npos;
    });
  }

  static json creation(const std::string& title) { return {{"level", "case"}, {"title", title}}; }

  json lock_params(const std::string& owner, int64_t wait_seconds = 0) const {
    return {{"scope_type", "file"},
            {"scope_path", "a"},
            {"owner_session", owner},
            {"wait_seconds", wait_seconds}};
  }

  int64_t waiters() const { return state_file{repo()}.number("SELECT count(*) FROM waiters"); }

  std::vector<std::unique_ptr<server>> served;
};

/// While this lives nobody writes to the state.
class writers_stopped {
public:
  explicit writers_stopped(const path& repository)
    : file_{::open((repository / ".codex-orch" / "write.lock").c_str(), O_RDWR | O_CLOEXEC)} {
    REQUIRE(::flock(file_, LOCK_EX) == 0);
  }
  writers_stopped(const writers_stopped&) = delete;
  writers_stopped& operator=(const writers_stopped&) = delete;
  ~writers_stopped() { ::close(file_); }

private:
  int file_;
};

/// One round of load: every client sends its share at once.
struct load {
  explicit load(std::vector<server*> clients) : clients{std::move(clients)} {}

  void send(int round, int each) {
    for (std::size_t c = 0; c < clients.size(); ++c) {
      std::string lines;
      for (int i = 0; i < each; ++i) {
        auto title = fmt::format("{}/{}/{}", round, c, i);
        json params{{"level", "case"}, {"title", title}};
        // Some have keys of their own; a repeat must not need them.
        if (i % 5 == 0)
          params["request_key"] = title;
        lines += json{{"id", title}, {"method", "task.create"}, {"params", params}}.dump() + '\n';
      }
      REQUIRE(clients[c]->send(lines));
      awaited.push_back(each);
    }
  }

  /// All are answered, in order, with what was asked for.
  void receive(int round, int each) {
    for (std::size_t c = 0; c < clients.size(); ++c)
      for (int i = 0; i < each; ++i) {
        auto title = fmt::format("{}/{}/{}", round, c, i);
        auto answer = json::parse(clients[c]->next_line());
        INFO(answer);
        REQUIRE(answer["id"] == title);
        REQUIRE(answer["result"]["title"] == title);
        ids[title] = answer["result"]["id"];
      }
  }

  std::vector<server*> clients;
  std::vector<int> awaited;
  std::map<std::string, int64_t> ids;
};

/// Something else than a supervisor behind the socket.
class false_supervisor {
public:
  explicit false_supervisor(const path& file) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file.string().copy(address.sun_path, sizeof address.sun_path - 1);
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listening_, 8) == 0);
  }
  false_supervisor(const false_supervisor&) = delete;
  false_supervisor& operator=(const false_supervisor&) = delete;
  ~false_supervisor() {
    ::close(talking_);
    ::close(listening_);
  }

  /// The next who comes; what it says first is read.
  void let_in() {
    talking_ = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(talking_ >= 0);
    std::string hello(1'000, 0);
    REQUIRE(::read(talking_, hello.data(), hello.size()) > 0);
  }

  /// As io/packets writes it.
  void say(uint32_t what, const std::string& text) const {
    struct {
      uint32_t what;
      uint32_t size;
      uint64_t number = 0;
      uint64_t place = 0;
    } head{what, static_cast<uint32_t>(text.size())};
    REQUIRE(::write(talking_, &head, sizeof head) == sizeof head);
    REQUIRE(::write(talking_, text.data(), text.size()) == std::ssize(text));
  }

private:
  int listening_ = -1;
  int talking_ = -1;
};

} // namespace

TEST_CASE_METHOD(bridged, "bridge: the clients of a supervised repository are answered by one",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& a = bridge();
  auto& b = bridge();
  CHECK(all_bridged());
  auto made = a.ask("task.create", creation("t"));
  CHECK(b.ask("task.get", {{"task_id", made["id"]}})["title"] == "t");
  struct stat found {};
  REQUIRE(::stat(socket().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  CHECK(a.finish().code == 0);
  eventually("it has left", [&] { return status()["clients"] == 1; });
}

TEST_CASE_METHOD(bridged, "bridge: whatever a client says, it is answered as without",
                 "[scenario][bridge]") {
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += json{{"id", i}, {"method", "task.list"}}.dump() + '\n';
  auto framed = json{{"id", "f"}, {"method", "methods"}}.dump();
  const auto script =
    std::string{"\xef\xbb\xbf{\"id\":1,\"method\":\"task.list\"}\r\n\n  \n"}
    + "not json\n{\"id\":7}\n[1]\n{\"id\":{},\"method\":\"x\"}\n"
      "{\"id\":8,\"method\":\"no.such\"}\n{\"id\":9,\"method\":\"task.get\",\"params\":7}\n"
      "{\"jsonrpc\":\"2.0\",\"method\":\"task.list\"}\n"
      "{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"task.get\",\"params\":{\"task_id\":99}}\n"
      "{\"id\":11,\"method\":\"ping\"}\n"
      "{\"id\":12,\"method\":\"task.create\",\"params\":{\"level\":\"case\",\"title\":\"t\","
      "\"request_key\":\"\"}}\n{\"id\":13,\"method\":\"task.list\",\"repo\":\"elsewhere\"}\n"
    + "{\"id\":14,\"method\":\"task.list\",\"params\":{\"x\":\"" + std::string(200'000, 'x')
    + "\"}}\n" + fmt::format("Content-Length: {}\r\n\r\n{}", framed.size(), framed) + many
    + "{\"id\":15,\"method\":\"task.list\"}";
  auto said = [&] {
    return run({"serve", "--repo", repo().string(), "--max-message-bytes", "100000"}, script);
  };
  auto alone = said();
  CHECK(alone.code == 0);
  supervise_repo();
  auto over_bridge = said();
  CHECK(over_bridge.code == 0);
  CHECK(over_bridge.out == alone.out);
  CHECK(alone.out.size() > 10'000);
}

TEST_CASE_METHOD(bridged, "bridge: sessions live on when the supervisor is killed",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& client = bridge();
  auto session = contract::open_session_on(client);
  kill_supervisor();
  auto listed = client.ask("session.list")["sessions"][0];
  CHECK(listed["session"]["id"] == session);
  CHECK(listed["session"]["status"] == "active_new");
  CHECK(listed["connected"] == true);
  CHECK(status()["sessions"][0]["server"] == "alive");
  // Another server does not take it for abandoned either.
  CHECK(serve().ask("session.list")["sessions"][0]["connected"] == true);
  client.finish();
  CHECK(state_file{repo()}.rows("SELECT status FROM sessions") == words{"suspended"});
}

TEST_CASE_METHOD(bridged, "bridge: the end of a client suspends its sessions, as without",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& polite = bridge();
  auto& killed = bridge();
  auto first = contract::open_session_on(polite);
  auto second = contract::open_session_on(killed);
  auto status_of = [&](int64_t id) {
    return state_file{repo()}
      .rows(fmt::format("SELECT status FROM sessions WHERE id = {}", id))
      .at(0);
  };
  CHECK(polite.finish().code == 0);
  CHECK(status_of(first) == "suspended");
  killed.kill(SIGKILL);
  eventually("it is suspended", [&] { return status_of(second) == "suspended"; });
}

TEST_CASE_METHOD(bridged, "bridge: a supervisor killed under load loses and doubles nothing",
                 "[scenario][bridge]") {
  constexpr int clients = 16;
  constexpr int each = 60;
  const std::vector<int> answers_before_death{0, 1, 40, 200, 500};
  supervise_repo();
  std::vector<server*> all;
  for (int i = 0; i < clients; ++i)
    all.push_back(&bridge());
  load requests{all};
  for (int round = 0; round < std::ssize(answers_before_death); ++round) {
    requests.send(round, each);
    // The moment to kill at: when so many rows are there.
    auto before = round * clients * each;
    eventually("some are done", [&] {
      return state_file{repo()}.number("SELECT count(*) FROM tasks")
             >= before + answers_before_death[static_cast<std::size_t>(round)];
    });
    kill_supervisor();
    if (round % 2 == 1)
      supervise_repo();
    requests.receive(round, each);
    if (round % 2 == 0)
      supervise_repo();
    eventually("all are served by the supervisor again", [&] {
      for (auto client : all)
        client->ask("task.list", {{"limit", 1}});
      return all_bridged();
    });
  }
  state_file state{repo()};
  auto sent = std::ssize(answers_before_death) * clients * each;
  CHECK(state.number("SELECT count(*) FROM tasks") == sent);
  CHECK(state.number("SELECT count(DISTINCT title) FROM tasks") == sent);
  for (const auto& row : state.rows("SELECT title, id FROM tasks")) {
    auto at = row.find('|');
    CHECK(requests.ids.at(row.substr(0, at)) == std::stoll(row.substr(at + 1)));
  }
  CHECK(state.rows("PRAGMA integrity_check") == words{"ok"});
}

TEST_CASE_METHOD(bridged, "bridge: what makes worktrees is done once when the supervisor is killed",
                 "[scenario][bridge]") {
  for (int moment : {0, 5, 10, 20, 30, 50}) {
    INFO("killed after " << moment << " ms");
    supervise_repo();
    auto& client = bridge();
    auto before = state_file{repo()}.number("SELECT count(*) FROM sessions");
    auto asked = client.request(
      "session.open", {{"agent_role", "worker"}, {"owner", "me"}, {"intent", "new_work"}});
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{moment};
    while (std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    kill_supervisor();
    auto opened = result_of(client.answer_to(asked))["session_context"];
    CHECK(opened["session"]["status"] == "active_new");
    CHECK(std::filesystem::exists(opened["session_root_worktree"]["path"].get<std::string>()));
    CHECK(state_file{repo()}.number("SELECT count(*) FROM sessions") == before + 1);
    CHECK(client.finish().code == 0);
  }
  // What a killed one has left half made is undone by whoever starts next.
  serve().ask("workspace.init");
  eventually("there is one worktree for each session", [&] {
    auto lines = lines_of(git_in(repo(), {"worktree", "list", "--porcelain"}));
    auto count = std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.starts_with("worktree ");
    });
    return count == 1 + state_file{repo()}.number("SELECT count(*) FROM sessions");
  });
}

TEST_CASE_METHOD(bridged, "bridge: who waits for a lock gets it after the supervisor was killed",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& holder = bridge();
  auto& waiting = bridge();
  auto lock = holder.ask("lock.acquire", lock_params("1"));
  auto asked = waiting.request("lock.acquire", lock_params("2", 600));
  eventually("it is in line", [&] { return waiters() == 1; });
  kill_supervisor();
  // Its place is a new one, taken by the server itself.
  eventually("it is in line again", [&] {
    waiting.ask("task.list");
    return waiters() == 1;
  });
  holder.ask("lock.release", {{"lock_id", lock["id"]}});
  CHECK(result_of(waiting.answer_to(asked))["owner_session"] == "2");
  CHECK(waiters() == 0);
}

TEST_CASE_METHOD(bridged, "bridge: a client with a large window is heard while many wait",
                 "[scenario][bridge]") {
  constexpr int many = 300;
  supervise_repo();
  auto& client = *served.emplace_back(start_in(repo(), {"--log-level", "info", "--window", "600"}));
  auto lock = client.ask("lock.acquire", lock_params("1"));
  CHECK(crossings(client) == 1);
  for (int i = 0; i < many; ++i)
    client.request("lock.acquire", lock_params("2", 600));
  eventually("all are in line", [&] { return waiters() == many; });
  CHECK(client.ask("task.list")["tasks"].empty());
  CHECK(all_bridged());
  CHECK(client.errors().find("does not answer") == std::string::npos);
}

TEST_CASE_METHOD(bridged, "bridge: who waits goes on waiting when the configuration changes",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& holder = bridge();
  auto& waiting = bridge();
  auto lock = holder.ask("lock.acquire", lock_params("1"));
  auto asked = waiting.request("lock.acquire", lock_params("2", 600));
  auto events = waiting.request("events.tail",
                                {{"wait_seconds", 600}, {"kinds", json::array({"lock.released"})}});
  eventually("it is in line", [&] { return waiters() == 1; });
  for (int round = 0; round < 3; ++round) {
    configure({"one"}, {{"own_worktree_from_score", 13 + round}});
    running->kill(SIGHUP);
    auto changed = crossings(holder);
    eventually("the changed one answers", [&] {
      holder.ask("task.list");
      waiting.ask("task.list");
      return crossings(holder) > changed && waiters() == 1;
    });
  }
  holder.ask("lock.release", {{"lock_id", lock["id"]}});
  CHECK(result_of(waiting.answer_to(asked))["owner_session"] == "2");
  CHECK(result_of(waiting.answer_to(events))["events"].size() == 1);
}

TEST_CASE_METHOD(bridged, "bridge: a client that dies leaves the line", "[scenario][bridge]") {
  supervise_repo();
  auto& holder = bridge();
  auto lock = holder.ask("lock.acquire", lock_params("1"));
  auto& dying = bridge();
  dying.request("lock.acquire", lock_params("2", 600));
  eventually("it is in line", [&] { return waiters() == 1; });
  auto& next = bridge();
  auto asked = next.request("lock.acquire", lock_params("3", 600));
  eventually("the next is in line", [&] { return waiters() == 2; });
  dying.kill(SIGKILL);
  eventually("it has left", [&] { return waiters() == 1; });
  holder.ask("lock.release", {{"lock_id", lock["id"]}});
  CHECK(result_of(next.answer_to(asked))["owner_session"] == "3");
}

TEST_CASE_METHOD(bridged, "bridge: a signal ends a server whose client waits",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& holder = bridge();
  holder.ask("lock.acquire", lock_params("1"));
  auto& waiting = bridge();
  auto asked = waiting.request("lock.acquire", lock_params("2", 600));
  eventually("it is in line", [&] { return waiters() == 1; });
  waiting.kill(SIGTERM);
  CHECK(error_of(waiting.answer_to(asked))["code"] == "unavailable");
  CHECK(waiting.wait().code == 0);
  CHECK(waiters() == 0);
}

TEST_CASE_METHOD(bridged, "bridge: an MCP client goes on when the supervisor is killed",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& client = bridge();
  client.rpc("initialize", {{"protocolVersion", "2025-11-25"},
                            {"capabilities", json::object()},
                            {"clientInfo", {{"name", "tester"}, {"version", "1"}}}});
  client.send_line(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  CHECK(client.rpc("resources/subscribe", {{"uri", "orch://locks"}}).contains("result"));
  auto session = client.tool("session_open",
                             {{"agent_role", "worker"}, {"owner", "me"}, {"intent", "new_work"}});
  CHECK(session.contains("structuredContent"));
  auto updated = [&] {
    auto message = client.next();
    INFO(message);
    CHECK(message["method"] == "notifications/resources/updated");
    CHECK(message["params"]["uri"] == "orch://locks");
  };
  auto& other = bridge();
  other.ask("lock.acquire", lock_params("1"));
  updated();
  kill_supervisor();
  // It may have changed while nobody looked.
  updated();
  CHECK(client.tool("lock_list").contains("structuredContent"));
  other.ask("lock.acquire", {{"scope_type", "file"}, {"scope_path", "b"}, {"owner_session", "1"}});
  updated();
  CHECK(state_file{repo()}.rows("SELECT client FROM sessions").at(0).find("tester")
        != std::string::npos);
}

TEST_CASE_METHOD(bridged, "bridge: servers cross to a supervisor that comes later",
                 "[scenario][bridge]") {
  auto& client = serve();
  auto session = contract::open_session_on(client);
  CHECK(crossings(client) == 0);
  supervise_repo();
  eventually("it has crossed", [&] {
    client.ask("task.list");
    return crossings(client) == 1;
  });
  eventually("its own actors have ended", [&] { return all_bridged(); });
  CHECK(client.ask("session.list")["sessions"][0]["connected"] == true);
  CHECK(client.ask("session.context", {{"session_id", session}})["session"]["status"]
        == "active_new");
}

TEST_CASE_METHOD(bridged, "bridge: a second supervisor takes the place of one that is killed",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& client = bridge();
  auto second = new_supervisor();
  CHECK(result_of(second->answer_to(second->request("workspace.init")))["repo_path"]
        == repo().string());
  kill_supervisor();
  eventually("the second answers", [&] {
    client.ask("task.list");
    return crossings(client) == 2;
  });
  CHECK(client.ask("task.create", creation("t"))["title"] == "t");
}

TEST_CASE_METHOD(bridged, "bridge: whoever listens there and is no supervisor is passed over",
                 "[scenario][bridge]") {
  serve().finish(); // makes the directory
  SECTION("silent") {
    false_supervisor silent{socket()};
    CHECK(serve().ask("workspace.init")["repo_path"] == repo().string());
  }
  SECTION("refusing") {
    false_supervisor other{socket()};
    auto& client = serve();
    auto asked = client.request("workspace.init");
    other.let_in();
    other.say(1, "the supervisor has version 9.9, the server 0.1");
    CHECK(result_of(client.answer_to(asked))["repo_path"] == repo().string());
    CHECK(client.errors().find("version 9.9") != std::string::npos);
  }
  SECTION("babbling") {
    false_supervisor other{socket()};
    auto& client = serve();
    auto asked = client.request("workspace.init");
    other.let_in();
    other.say(0xffffffff, std::string(10'000, 'x'));
    CHECK(result_of(client.answer_to(asked))["repo_path"] == repo().string());
  }
}

TEST_CASE_METHOD(bridged, "bridge: a supervisor survives whoever is no bridge",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& client = bridge();
  for (const std::string& bytes :
       {std::string(100, '\xff'), std::string(24, '\0'), std::string{"GET / HTTP/1.1\r\n\r\n"},
        std::string{"\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0{}", 26}}) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().string().copy(address.sun_path, sizeof address.sun_path - 1);
    auto fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::write(fd, bytes.data(), bytes.size()) == std::ssize(bytes));
    CHECK(client.ask("task.list")["tasks"].empty());
    ::close(fd);
  }
  CHECK(client.ask("task.list")["tasks"].empty());
}

TEST_CASE_METHOD(bridged, "bridge: a repository with a very long path has one too",
                 "[scenario][bridge]") {
  auto deep = base / "repositories" / std::string(100, 'd') / std::string(100, 'e');
  std::filesystem::create_directories(deep);
  std::filesystem::rename(repo(), deep / "one");
  write(config,
        json{{"repositories", {{{"name", "one"}, {"path", (deep / "one").string()}}}}}.dump());
  supervise();
  eventually("it listens", [&] {
    return std::filesystem::exists(deep / "one" / ".codex-orch" / "supervisor.sock");
  });
  auto client = start_in(deep / "one", {"--log-level", "info"});
  client->ask("workspace.init");
  CHECK(crossings(*client) == 1);
}

TEST_CASE_METHOD(bridged, "bridge: a supervisor that is told to end leaves nobody without answer",
                 "[scenario][bridge]") {
  supervise_repo();
  std::vector<server*> all{&bridge(), &bridge(), &bridge()};
  load requests{all};
  requests.send(0, 200);
  running->kill(SIGTERM);
  CHECK(running->wait().code == 0);
  requests.receive(0, 200);
  CHECK(state_file{repo()}.number("SELECT count(*) FROM tasks") == 600);
  CHECK_FALSE(std::filesystem::exists(socket()));
}

TEST_CASE_METHOD(bridged, "bridge: a supervisor that was stopped does nothing for clients it lost",
                 "[scenario][bridge]") {
  supervise_repo();
  auto& holder = bridge();
  auto lock = holder.ask("lock.acquire", lock_params("1"));
  auto& waiting = bridge();
  auto& keyed = bridge();
  auto& leaving = bridge();
  {
    // Else it might be stopped in the middle of its turn to write, and nobody would get theirs.
    writers_stopped nobody_writes{repo()};
    running->kill(SIGSTOP);
  }
  std::vector<int64_t> asked;
  for (const char* title : {"a", "b", "c"})
    asked.push_back(leaving.request("task.create", creation(title)));
  auto wait = waiting.request("lock.acquire", lock_params("2", 600));
  auto with_key = lock_params("3", 600);
  with_key["scope_path"] = "a";
  with_key["request_key"] = "mine";
  auto keyed_wait = keyed.request("lock.acquire", with_key);
  for (auto id : asked)
    CHECK(leaving.answer_to(id).contains("result"));
  auto session = contract::open_session_on(leaving);
  eventually("both are in line", [&] { return waiters() == 2; });
  CHECK(leaving.finish().code == 0);
  running->kill(SIGCONT);
  // Whoever is let in now is let in after all that was left in its sockets.
  auto& next = serve();
  eventually("the supervisor is back", [&] {
    next.ask("task.list");
    return crossings(next) == 1;
  });
  CHECK(next.ask("task.list")["tasks"].size() == 3);
  CHECK(waiters() == 2);
  CHECK(state_file{repo()}.rows(fmt::format("SELECT status FROM sessions WHERE id = {}", session))
        == words{"suspended"});
  // The holder itself may have been given up and come back; its lease is a row.
  next.ask("lock.release", {{"lock_id", lock["id"]}});
  auto second = result_of(waiting.answer_to(wait));
  CHECK(second["owner_session"] == "2");
  next.ask("lock.release", {{"lock_id", second["id"]}});
  CHECK(result_of(keyed.answer_to(keyed_wait))["owner_session"] == "3");
}

TEST_CASE_METHOD(bridged, "bridge: a read that is asked again does not see what came after it",
                 "[scenario][bridge]") {
  for (int round = 0; round < 15; ++round) {
    supervise_repo();
    auto& client = bridge();
    auto id = client.ask("task.create", creation("old"))["id"];
    auto read = client.request("task.get", {{"task_id", id}});
    auto write = client.request("task.update", {{"task_id", id}, {"title", "new"}});
    auto end = std::chrono::steady_clock::now() + std::chrono::microseconds{100 * round};
    while (std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    kill_supervisor();
    CHECK(result_of(client.answer_to(read))["title"] == "old");
    CHECK(result_of(client.answer_to(write))["title"] == "new");
    client.finish();
  }
}

TEST_CASE_METHOD(bridged, "bridge: nobody is turned away while a supervisor starts",
                 "[scenario][bridge]") {
  for (int round = 0; round < 3; ++round) {
    auto supervisor = new_supervisor();
    for (int i = 0; i < 12; ++i) {
      auto one = start_in(repo());
      CHECK(one->call("task.list").contains("result"));
      CHECK(one->finish().code == 0);
    }
    supervisor->kill(SIGKILL);
    supervisor->wait();
  }
}

TEST_CASE_METHOD(bridged, "a server that cannot open its repository yet ends when it is told to",
                 "[scenario][bridge]") {
  serve().finish();
  {
    writers_stopped nobody_writes{repo()};
    auto& told = serve();
    told.request("task.list");
    auto& alone = serve();
    eventually("both run", [&] { return status()["clients"] == 2; });
    alone.close_input();
    told.kill(SIGTERM);
    told.wait();
    alone.wait();
  }
  CHECK(serve().ask("task.list")["tasks"].empty());
}
