#include "client.hpp"

#include <map>
#include <set>

using namespace orch::test;

namespace {

struct mcp : contract {
  json initialize(const std::string& version) {
    return result_of(first.rpc("initialize", {{"protocolVersion", version},
                                              {"capabilities", json::object()},
                                              {"clientInfo", {{"name", "t"}, {"version", "1"}}}}));
  }
  json modern(const std::string& method, json params = json::object(),
              const std::string& version = "2026-07-28") {
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", version},
                       {"io.modelcontextprotocol/clientCapabilities", json::object()}};
    return first.rpc(method, params);
  }
  json resource(const std::string& uri) {
    return result_of(first.rpc("resources/read", {{"uri", uri}}))["contents"][0];
  }
};

} // namespace

TEST_CASE_METHOD(mcp, "initialize answers with the version asked for", "[mcp]") {
  auto version =
    GENERATE(as<std::string>{}, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25");
  auto result = initialize(version);
  CHECK(result["protocolVersion"] == version);
  CHECK(result["serverInfo"]["name"] == "codex-orchestrator");
  CHECK(result["serverInfo"].contains("title"));
  CHECK(result["serverInfo"].contains("version"));
  CHECK(result["capabilities"].contains("tools"));
  CHECK(result["instructions"].is_string());
}

TEST_CASE_METHOD(mcp, "initialize answers an unknown version with the newest of its era", "[mcp]") {
  auto version = GENERATE(as<std::string>{}, "1999-01-01", "2099-01-01", "", "2026-07-28");
  CHECK(initialize(version)["protocolVersion"] == "2025-11-25");
}

TEST_CASE_METHOD(mcp, "ping and tools are answered before initialize", "[mcp]") {
  CHECK(result_of(first.rpc("ping")) == json::object());
  CHECK(result_of(first.rpc("tools/list"))["tools"].size() > 10);
}

TEST_CASE_METHOD(mcp, "an unknown first request is answered at once", "[mcp]") {
  CHECK(orch::test::error_of(first.rpc("nobody/knows"))["code"] == -32601);
}

TEST_CASE_METHOD(mcp, "the versions of 2026 need no handshake", "[mcp]") {
  auto found = result_of(modern("server/discover"));
  CHECK(found["supportedVersions"].dump().find("2026-07-28") != std::string::npos);
  CHECK(found["resultType"] == "complete");
  CHECK(found["ttlMs"].get<int64_t>() >= 0);
  CHECK(found.contains("cacheScope"));
  auto listed = result_of(modern("tools/list"));
  CHECK(listed["resultType"] == "complete");
  CHECK(listed.contains("ttlMs"));
  auto called =
    result_of(modern("tools/call", {{"name", "task_list"}, {"arguments", json::object()}}));
  CHECK(called["resultType"] == "complete");
  CHECK(called["structuredContent"]["tasks"] == json::array());
}

TEST_CASE_METHOD(mcp, "a version of 2026 that is not supported is refused with those that are",
                 "[mcp]") {
  auto error = orch::test::error_of(modern("tools/list", {}, "2027-01-01"));
  CHECK(error["code"] == -32022);
  CHECK(error["data"]["supported"] == json({"2026-07-28"}));
  CHECK(error["data"]["requested"] == "2027-01-01");
}

TEST_CASE_METHOD(mcp, "legacy results have no members of the new era", "[mcp]") {
  initialize("2025-06-18");
  CHECK_FALSE(result_of(first.rpc("tools/list")).contains("resultType"));
  CHECK_FALSE(first.tool("task_list").contains("resultType"));
}

TEST_CASE_METHOD(mcp, "tools/list has one typed tool for each method", "[mcp]") {
  std::set<std::string> expected;
  for (const auto& method : method_table()) {
    auto name = method["name"].get<std::string>();
    std::replace(name.begin(), name.end(), '.', '_');
    expected.insert(name);
  }
  std::set<std::string> listed;
  auto tools = result_of(first.rpc("tools/list"))["tools"];
  for (const auto& tool : tools) {
    INFO(tool["name"]);
    listed.insert(tool["name"].get<std::string>());
    CHECK(tool["inputSchema"]["type"] == "object");
    CHECK(tool["inputSchema"]["additionalProperties"] == false);
    CHECK(tool["inputSchema"].dump().size() < 4'000);
    CHECK(tool["outputSchema"]["type"] == "object");
    CHECK_FALSE(tool["title"].get<std::string>().empty());
    CHECK_FALSE(tool["description"].get<std::string>().empty());
  }
  CHECK(listed == expected);
}

TEST_CASE_METHOD(mcp, "tools/list says which tools only read and which may destroy", "[mcp]") {
  const std::set<std::string> destructive{"session_cleanup", "worktree_remove", "worktree_prune"};
  const std::set<std::string> reads{"task_list",        "task_get",      "session_list",
                                    "lock_list",        "worktree_list", "mirror_status",
                                    "merge_main_status"};
  auto tools = result_of(first.rpc("tools/list"))["tools"];
  for (const auto& tool : tools) {
    INFO(tool);
    const auto& hints = tool["annotations"];
    auto name = tool["name"].get<std::string>();
    if (reads.count(name) > 0)
      CHECK(hints["readOnlyHint"] == true);
    if (hints["readOnlyHint"] == true)
      continue;
    CHECK(hints["destructiveHint"] == (destructive.count(name) > 0));
    CHECK(hints["openWorldHint"] == false);
  }
}

TEST_CASE_METHOD(mcp, "tools/list refuses a cursor that it never gave", "[mcp]") {
  CHECK(orch::test::error_of(first.rpc("tools/list", {{"cursor", "x"}}))["code"] == -32602);
}

TEST_CASE_METHOD(mcp, "tools/call gives the result as structure and as text", "[mcp]") {
  auto name = GENERATE(as<std::string>{}, "task_create", "task.create");
  auto result = first.tool(name, {{"level", "epic"}, {"title", "é"}});
  CHECK(result["structuredContent"]["title"] == "é");
  CHECK(json::parse(result["content"][0]["text"].get<std::string>())
        == result["structuredContent"]);
  CHECK(result.value("isError", false) == false);
}

TEST_CASE_METHOD(mcp, "tools/call gives business failures as results", "[mcp]") {
  auto result = first.tool("task_get", {{"task_id", 9}});
  CHECK(result["isError"] == true);
  CHECK(result["structuredContent"]["error"]["code"] == "not_found");
  CHECK_THAT(result["content"][0]["text"].get<std::string>(), Catch::Contains("#9"));
}

TEST_CASE_METHOD(mcp, "tools/call refuses an unknown tool and a malformed request", "[mcp]") {
  auto params = GENERATE(as<std::string>{}, R"({"name":"nope"})", R"({})", R"({"name":5})",
                         R"({"name":"task_list","arguments":[1]})");
  CHECK(orch::test::error_of(first.rpc("tools/call", json::parse(params)))["code"] == -32602);
}

TEST_CASE_METHOD(mcp, "tools/call accepts the one tool for everything", "[mcp]") {
  auto result = first.tool("orchestrator.call", {{"method", "task.create"},
                                                 {"params", {{"level", "epic"}, {"title", "x"}}}});
  CHECK(result["structuredContent"]["title"] == "x");
}

TEST_CASE_METHOD(mcp, "tools/call keeps results short unless asked", "[mcp]") {
  for (int i = 0; i < 60; ++i)
    make_task("epic");
  auto page = first.tool("task_list")["structuredContent"];
  CHECK(page["tasks"].size() == 50);
  CHECK(page.contains("next_cursor"));
  CHECK(first.tool("task_list", {{"limit", 60}})["structuredContent"]["tasks"].size() == 60);
}

TEST_CASE_METHOD(mcp, "resources/read gives state, tasks, sessions and mirror", "[mcp]") {
  auto session = std::to_string(open_session());
  auto task = std::to_string(make_task("epic", {{"title", "the epic"}}));
  CHECK(json::parse(resource("orch://status")["text"].get<std::string>()).is_object());
  CHECK(json::parse(resource("orch://tasks/" + task)["text"].get<std::string>())["title"]
        == "the epic");
  CHECK(json::parse(resource("orch://sessions/" + session)["text"].get<std::string>())
          .contains("session"));
  auto mirror = resource("orch://mirror");
  CHECK(mirror["mimeType"] == "text/markdown");
  CHECK_THAT(mirror["text"].get<std::string>(), Catch::Contains("the epic"));
}

TEST_CASE_METHOD(mcp, "resources/read sees what was asked for before it", "[mcp]") {
  auto message = [](int id, const std::string& method, const json& params) {
    return json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}.dump()
           + "\n";
  };
  std::string lines;
  for (int id = 1; id <= 40; ++id) {
    lines += message(id, "task.create", {{"level", "epic"}, {"title", "x"}});
    lines += message(id, "session.list", json::object());
  }
  lines += message(41, "resources/read", {{"uri", "orch://tasks/40"}});
  lines += message(42, "task.update", {{"task_id", 40}, {"title", "later"}});
  REQUIRE(first.send(lines));
  std::map<int, json> answers;
  while (!answers.contains(42)) {
    auto answer = json::parse(first.next_line());
    answers[answer["id"]] = answer;
  }
  auto text = answers.at(41).at("result").at("contents").at(0).at("text").get<std::string>();
  CHECK(json::parse(text)["title"] == "x");
}

TEST_CASE_METHOD(mcp, "the list of tools fits into a context", "[mcp]") {
  auto tools = result_of(first.rpc("tools/list"))["tools"];
  CHECK(tools.dump().size() < 1'400 * tools.size());
}

TEST_CASE_METHOD(mcp, "resources/read refuses what is not there", "[mcp]") {
  auto uri = GENERATE(as<std::string>{}, "orch://tasks/99", "orch://tasks/x", "orch://nope",
                      "file:///etc/passwd", "", "orch://tasks/99999999999999999999");
  CHECK(orch::test::error_of(first.rpc("resources/read", {{"uri", uri}}))["code"] == -32002);
}

TEST_CASE_METHOD(mcp, "resources/list and templates name the resources", "[mcp]") {
  auto listed = result_of(first.rpc("resources/list"))["resources"].dump();
  CHECK_THAT(listed, Catch::Contains("orch://status") && Catch::Contains("orch://mirror"));
  auto templates = result_of(first.rpc("resources/templates/list"))["resourceTemplates"].dump();
  CHECK_THAT(templates,
             Catch::Contains("orch://tasks/{id}") && Catch::Contains("orch://sessions/{id}"));
}

TEST_CASE_METHOD(mcp, "prompts are the agent guides", "[mcp]") {
  auto name = GENERATE(as<std::string>{}, "root", "worker", "reviewer", "planner");
  CHECK_THAT(result_of(first.rpc("prompts/list"))["prompts"].dump(), Catch::Contains(name));
  auto prompt = result_of(first.rpc("prompts/get", {{"name", name}}));
  CHECK(prompt["messages"][0]["role"] == "user");
  CHECK_FALSE(prompt["messages"][0]["content"]["text"].get<std::string>().empty());
}

TEST_CASE_METHOD(mcp, "prompts/get refuses an unknown name", "[mcp]") {
  CHECK(orch::test::error_of(first.rpc("prompts/get", {{"name", "nope"}}))["code"] == -32602);
}

TEST_CASE_METHOD(mcp, "a profile shows a role the tools it needs", "[mcp]") {
  auto [profile, shown] =
    GENERATE(table<std::string, std::string>({{"root", "session_open"},
                                              {"worker", "lock_acquire"},
                                              {"reviewer", "merge_review_context"},
                                              {"planner", "plan_bootstrap"},
                                              {"mirror", "mirror_refresh"}}));
  auto& narrow = start({"--tools", profile});
  auto tools = result_of(narrow.rpc("tools/list"))["tools"];
  CHECK(tools.size() <= (profile == "root" ? 24 : 16)); // the root also leads other agents
  CHECK_THAT(tools.dump(), Catch::Contains("\"name\":\"" + shown + "\""));
  auto called = narrow.tool("orchestrator.call", {{"method", "task.list"}});
  CHECK(called["structuredContent"]["tasks"] == json::array());
}

TEST_CASE_METHOD(mcp, "the profile groups has tools that take method and params", "[mcp]") {
  auto& grouped = start({"--tools", "groups"});
  auto tools = result_of(grouped.rpc("tools/list"))["tools"];
  for (const auto& tool : tools)
    CHECK(tool["name"].get<std::string>().starts_with("orch_"));
  auto made = grouped.tool(
    "orch_task", {{"method", "task.create"}, {"params", {{"level", "epic"}, {"title", "x"}}}});
  CHECK(made["structuredContent"]["title"] == "x");
}
