#include "supervised_repositories.hpp"

using namespace orch::test;

TEST_CASE_METHOD(supervised_repositories, "supervise: requests go to the repository that they name",
                 "[scenario][supervisor]") {
  supervise();
  auto made = ask("one", "task.create", {{"level", "case"}, {"title", "in one"}});
  CHECK(ask("one", "task.get", {{"task_id", made["id"]}})["title"] == "in one");
  CHECK(ask("two", "task.list")["tasks"].empty());
  auto unknown = call("six", "task.list")["error"];
  CHECK(unknown["code"] == "not_found");
  CHECK(unknown["data"]["field"] == "repo");
  CHECK(unknown["message"].get<std::string>().find("five, four, one") != std::string::npos);
  auto nameless = error_of(running->answer_to(running->request("task.list")));
  CHECK(nameless["code"] == "invalid_request");
  CHECK(nameless["data"]["field"] == "repo");
  running->kill(SIGTERM);
  CHECK(running->wait().code == 0);
}

TEST_CASE_METHOD(supervised_repositories, "supervise: one repository needs no name",
                 "[scenario][supervisor]") {
  configure({"two"});
  supervise();
  CHECK(running->ask("workspace.init")["repo_path"] == repository("two").string());
}

TEST_CASE_METHOD(supervised_repositories, "supervise: many requests to all are all answered",
                 "[scenario][supervisor]") {
  supervise();
  constexpr int rounds = 400;
  words names{"one", "two", "three", "four", "five"};
  std::string all;
  for (int i = 0; i < rounds; ++i)
    for (const auto& name : names)
      all += json{{"id", ++last_id},
                  {"repo", name},
                  {"method", "task.create"},
                  {"params", {{"level", "case"}, {"title", name}}}}
               .dump()
             + "\n";
  REQUIRE(running->send(all));
  for (int i = 0; i < rounds * 5; ++i)
    REQUIRE(running->next().contains("result"));
  for (const auto& name : names)
    CHECK(state_file{repository(name)}.number("SELECT count(*) FROM tasks") == rounds);
}

TEST_CASE_METHOD(supervised_repositories,
                 "supervise: a repository with a bad disk is refused, the others go on",
                 "[scenario][supervisor]") {
  auto file = repository("three") / ".codex-orch" / "state.db";
  write(file, std::string(8'192, 'x'));
  supervise();
  for (const char* name : {"one", "two", "four", "five"})
    CHECK(answers(name));
  auto error = call("three", "task.list")["error"];
  CHECK(error["code"] == "unavailable");
  CHECK(error["message"].get<std::string>().find("three") != std::string::npos);
  eventually("it is stopped for good", [&] {
    return call("three", "task.list")["error"]["message"].get<std::string>().find("SIGHUP")
           != std::string::npos;
  });
  std::filesystem::remove(file);
  CHECK(call("three", "task.list")["error"]["code"] == "unavailable");
  running->kill(SIGHUP);
  eventually("it has come back", [&] { return answers("three"); });
  CHECK(answers("one"));
}

TEST_CASE_METHOD(supervised_repositories,
                 "supervise: a repository that fails while it starts is refused until a reload",
                 "[scenario][supervisor]") {
  auto in_the_way = repository("three") / ".codex-orch" / "supervisor.lock";
  std::filesystem::create_directories(in_the_way);
  supervise();
  // Whenever they come: before it fails, or after.
  for (int i = 0; i < 3; ++i) {
    auto error = call("three", "task.list")["error"];
    CHECK(error["code"] == "unavailable");
    CHECK(error["message"].get<std::string>().find("SIGHUP") != std::string::npos);
    CHECK(answers("one"));
  }
  std::filesystem::remove(in_the_way);
  running->kill(SIGHUP);
  eventually("it has come back", [&] { return answers("three"); });
  running->kill(SIGTERM);
  CHECK(running->wait().code == 0);
}

TEST_CASE_METHOD(supervised_repositories, "supervise: a repository that appears later is found",
                 "[scenario][supervisor]") {
  std::filesystem::rename(repository("four"), base / "away");
  supervise();
  CHECK(call("four", "task.list")["error"]["code"] == "unavailable");
  std::filesystem::rename(base / "away", repository("four"));
  eventually("it is there", [&] { return answers("four"); });
}

TEST_CASE_METHOD(supervised_repositories, "supervise: a new configuration loses no request",
                 "[scenario][supervisor]") {
  configure({"one", "two"});
  supervise();
  CHECK(call("three", "task.list")["error"]["code"] == "not_found");
  std::size_t sent = 0;
  auto create = [&] {
    ++sent;
    running->send_line(json{{"id", ++last_id},
                            {"repo", "one"},
                            {"method", "task.create"},
                            {"params", {{"level", "case"}, {"title", "t"}}}}
                         .dump());
  };
  // "one" gets other settings while requests to it are on their way.
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i)
      create();
    configure({"one", "three"}, {{"own_worktree_from_score", 13 + round}});
    running->kill(SIGHUP);
    for (int i = 0; i < 100; ++i)
      create();
  }
  for (std::size_t i = 0; i < sent; ++i)
    REQUIRE(running->next().contains("result"));
  CHECK(state_file{repository("one")}.number("SELECT count(*) FROM tasks")
        == static_cast<int64_t>(sent));
  eventually("the new one answers", [&] { return answers("three"); });
  CHECK(call("two", "task.list")["error"]["code"] == "not_found");
}

TEST_CASE_METHOD(supervised_repositories, "supervise: a bad new configuration changes nothing",
                 "[scenario][supervisor]") {
  supervise();
  CHECK(answers("one"));
  write(config, "{\"repositories\": [{\"name\": \"one\"}]}");
  running->kill(SIGHUP);
  eventually("it says so", [&] { return running->errors().find("path") != std::string::npos; });
  CHECK(answers("one"));
  CHECK(answers("five"));
}

TEST_CASE_METHOD(supervised_repositories, "supervise: the loops of all repositories run",
                 "[scenario][supervisor][loops]") {
  configure({"one", "two"}, {{"loops", {{"lease_expiry", 1}}}});
  supervise();
  for (const char* name : {"one", "two"})
    ask(name, "lock.acquire",
        {{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", "x"}, {"ttl_seconds", 1}});
  for (const char* name : {"one", "two"})
    eventually("a lease of " + std::string{name} + " is ended", [&] {
      return state_file{repository(name)}.rows("SELECT state FROM locks") == words{"expired"};
    });
}

TEST_CASE_METHOD(supervised_repositories,
                 "supervise: a bad configuration is refused by line and key",
                 "[scenario][supervisor]") {
  write(config, "{\n\"repositories\": [\n{\"name\": \"one\", \"path\": \"x\", \"pth\": \"x\"}]}\n");
  auto refused = run({"supervise", "--config", config.string()});
  CHECK(refused.code == 2);
  CHECK(refused.err.find("supervisor.json:3: repositories[0].pth") != std::string::npos);
  auto checked = run({"config", "check", config.string()});
  CHECK(checked.code == 1);
  CHECK(checked.out.find(":3: repositories[0].pth") != std::string::npos);
  configure({"one"});
  CHECK(run({"config", "check", config.string()}).code == 0);
}

TEST_CASE_METHOD(supervised_repositories, "supervise: the end of input does not end it",
                 "[scenario][supervisor]") {
  supervise();
  CHECK(answers("one"));
  running->close_input();
  configure({"one"}, {{"loops", {{"lease_expiry", 1}}}});
  running->kill(SIGHUP);
  auto other = start_in(repository("one"));
  other->ask(
    "lock.acquire",
    {{"scope_type", "file"}, {"scope_path", "a"}, {"owner_session", "x"}, {"ttl_seconds", 1}});
  eventually("a lease is ended", [&] {
    return state_file{repository("one")}.rows("SELECT state FROM locks") == words{"expired"};
  });
  running->kill(SIGTERM);
  CHECK(running->wait().code == 0);
}
