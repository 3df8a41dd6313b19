#include "client.hpp"

using namespace orch::test;

TEST_CASE_METHOD(contract, "task.create answers with the task", "[tasks]") {
  auto task = ask(
    "task.create",
    {{"level", "feature"}, {"title", "  login  "}, {"priority", 7}, {"assignee_session", "ann"}});
  CHECK(task["level"] == "feature");
  CHECK(task["title"] == "login");
  CHECK(task["status"] == "todo");
  CHECK(task["priority"] == 7);
  CHECK(task["assignee_session"] == "ann");
  CHECK_FALSE(task.contains("parent_id"));
  CHECK(shape_of_time(task["created_at"]) == "time");
  CHECK(shape_of_time(task["updated_at"]) == "time");
}

TEST_CASE_METHOD(contract, "task.create takes a parent of any higher level", "[tasks]") {
  auto level = GENERATE(as<std::string>{}, "feature", "test_group", "case", "step");
  auto parent = make_task("epic");
  CHECK(ask("task.create", {{"level", level}, {"title", "x"}, {"parent_id", parent}})["parent_id"]
        == parent);
}

TEST_CASE_METHOD(contract, "task.create refuses a parent that is not of a higher level",
                 "[tasks]") {
  auto [parent, child] = GENERATE(table<std::string, std::string>(
    {{"epic", "epic"}, {"case", "case"}, {"case", "feature"}, {"step", "epic"}, {"step", "step"}}));
  auto id = make_task(parent);
  auto error = error_of("task.create", {{"level", child}, {"title", "x"}, {"parent_id", id}});
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "parent_id");
}

TEST_CASE_METHOD(contract, "task.create refuses a parent that does not exist", "[tasks]") {
  CHECK(code_of("task.create", {{"level", "case"}, {"title", "x"}, {"parent_id", 1}})
        == "not_found");
  CHECK(ask("task.list")["tasks"].empty());
}

TEST_CASE_METHOD(contract, "task.list goes by priority, then oldest update, then id", "[tasks]") {
  auto low = make_task("epic", {{"priority", -1}});
  auto older = make_task("epic", {{"priority", 5}});
  auto newer = make_task("epic", {{"priority", 5}});
  auto top = make_task("epic", {{"priority", 9}});
  ask("task.update", {{"task_id", older}, {"title", "touched"}});
  std::vector<int64_t> order;
  auto rows = ask("task.list")["tasks"];
  for (const auto& task : rows)
    order.push_back(task["id"]);
  CHECK(order == std::vector<int64_t>{top, newer, older, low});
}

TEST_CASE_METHOD(contract, "task.list filters by level, status and parent", "[tasks]") {
  auto epic = make_task("epic");
  auto below = make_task("case", {{"parent_id", epic}});
  auto begun = make_task("case");
  ask("case.begin", {{"case_id", begun}});
  auto ids = [&](const json& params) {
    std::vector<int64_t> found;
    auto rows = ask("task.list", params)["tasks"];
    for (const auto& task : rows)
      found.push_back(task["id"]);
    return found;
  };
  CHECK(ids({{"level", "epic"}}) == std::vector<int64_t>{epic});
  CHECK(ids({{"status", "in_progress"}}) == std::vector<int64_t>{begun});
  CHECK(ids({{"parent_id", epic}}) == std::vector<int64_t>{below});
  CHECK(ids({{"level", "case"}, {"status", "done"}}).empty());
}

TEST_CASE_METHOD(contract, "task.list gives all in pages, each once", "[tasks]") {
  for (int i = 0; i < 25; ++i)
    make_task("epic", {{"priority", i % 3}});
  std::vector<int64_t> all;
  json params{{"limit", 10}};
  for (int pages = 0; pages < 3; ++pages) {
    auto page = ask("task.list", params);
    for (const auto& task : page["tasks"])
      all.push_back(task["id"]);
    if (pages < 2)
      params["cursor"] = page.at("next_cursor");
    else
      CHECK_FALSE(page.contains("next_cursor"));
  }
  std::sort(all.begin(), all.end());
  CHECK(all.size() == 25);
  CHECK(std::unique(all.begin(), all.end()) == all.end());
}

TEST_CASE_METHOD(contract, "task.get counts the cases below", "[tasks]") {
  auto epic = make_task("epic");
  auto feature = make_task("feature", {{"parent_id", epic}});
  auto done = make_task("case", {{"parent_id", feature}});
  make_task("case", {{"parent_id", epic}});
  make_task("step", {{"parent_id", done}});
  ask("case.begin", {{"case_id", done}});
  ask("case.complete", {{"case_id", done}});
  CHECK(ask("task.get", {{"task_id", epic}})["progress"] == json({{"done", 1}, {"total", 2}}));
  CHECK(ask("task.get", {{"task_id", feature}})["progress"] == json({{"done", 1}, {"total", 1}}));
}

TEST_CASE_METHOD(contract, "task.update changes what is given and nothing else", "[tasks]") {
  auto id = make_task("epic", {{"priority", 3}});
  auto task = ask(
    "task.update",
    {{"task_id", id}, {"title", "other"}, {"assignee_session", "bob"}, {"next_action", "look"}});
  CHECK(task["title"] == "other");
  CHECK(task["assignee_session"] == "bob");
  CHECK(task["next_action"] == "look");
  CHECK(task["priority"] == 3);
  CHECK(task["status"] == "todo");
}

TEST_CASE_METHOD(contract, "task.update refuses an empty title", "[tasks]") {
  auto id = make_task("epic");
  CHECK(error_of("task.update", {{"task_id", id}, {"title", " "}})["data"]["field"] == "title");
}

TEST_CASE_METHOD(contract, "task.update does not put a case in progress or done", "[tasks]") {
  auto status = GENERATE(as<std::string>{}, "in_progress", "done");
  auto id = make_case();
  CHECK(code_of("task.update", {{"task_id", id}, {"status", status}}) == "failed_precondition");
  CHECK(ask("task.get", {{"task_id", id}})["status"] == "todo");
}

TEST_CASE_METHOD(contract, "task.update of a missing task changes nothing", "[tasks]") {
  auto before = first.db_version();
  CHECK(code_of("task.update", {{"task_id", 5}, {"title", "x"}}) == "not_found");
  CHECK(first.db_version() == before);
}

TEST_CASE_METHOD(contract, "request_key gives the first answer again", "[tasks]") {
  json params{{"level", "epic"}, {"title", "once"}, {"request_key", "k1"}};
  auto one = ask("task.create", params);
  ask("task.update", {{"task_id", one["id"]}, {"title", "changed"}});
  CHECK(ask("task.create", params) == one);
  CHECK(ask("task.list")["tasks"].size() == 1);
}

TEST_CASE_METHOD(contract, "request_key works across servers and restarts", "[tasks]") {
  json params{{"level", "epic"}, {"title", "once"}, {"request_key", "k1"}};
  auto one = ask("task.create", params);
  CHECK(start().ask("task.create", params) == one);
  first.finish();
  CHECK(start().ask("task.create", params) == one);
}

TEST_CASE_METHOD(contract, "request_key does it once however many ask at the same time",
                 "[tasks]") {
  json params{{"level", "epic"}, {"title", "once"}, {"request_key", "k1"}};
  std::vector<server*> servers{&first, &start(), &start()};
  for (auto one : servers)
    for (int i = 0; i < 10; ++i)
      one->request("task.create", params);
  for (auto one : servers)
    for (int i = 0; i < 10; ++i)
      CHECK(result_of(one->next())["id"] == 1);
  CHECK(ask("task.list")["tasks"].size() == 1);
}

TEST_CASE_METHOD(contract, "request_key of session.open makes one worktree", "[tasks]") {
  auto one = open({{"request_key", "k"}});
  CHECK(open({{"request_key", "k"}})["session"]["id"] == one["session"]["id"]);
  CHECK(ask("session.list")["count"] == 1);
}
