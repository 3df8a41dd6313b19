#include "client.hpp"

using namespace orch::test;

namespace {

struct wire : contract {
  /// The answer to one line, as text.
  std::string answer_line(const std::string& line) {
    first.send_line(line);
    return first.next_line();
  }
  json answer(const std::string& line) { return json::parse(answer_line(line)); }
  std::string code(const std::string& line) { return test_code(answer(line)); }
  static std::string test_code(const json& answer) { return orch::test::error_of(answer)["code"]; }

  void check_alive() { CHECK(code_of("workspace.init") == "ok"); }
};

} // namespace

TEST_CASE_METHOD(wire, "the wire gives the id of a request back unchanged", "[wire]") {
  auto id = GENERATE(as<std::string>{}, "1", "-7", "9007199254740993", "18446744073709551616",
                     "123456789012345678901234567890123456789", "\"1\"", "\"\"",
                     "\"é \\u0000 \\\"\"", "null", "\"9007199254740993\"");
  auto line = answer_line(R"({"id":)" + id + R"(,"method":"workspace.init"})");
  INFO(line);
  if (id.find("\\u0000") == std::string::npos)
    CHECK(line.starts_with(R"({"id":)" + id + R"(,"result":)"));
  CHECK(json::parse(line)["id"] == json::parse(id));
}

TEST_CASE_METHOD(wire, "the wire keeps a huge id of a JSON-RPC request", "[wire]") {
  auto line = answer_line(
    R"({"jsonrpc":"2.0","id":98765432109876543210987,"method":"task.get","params":{"task_id":5}})");
  CHECK(line.find(R"("id":98765432109876543210987)") != std::string::npos);
}

TEST_CASE_METHOD(wire, "the wire answers a bare request without an id with id null", "[wire]") {
  auto got = answer(R"({"method":"workspace.init"})");
  CHECK(got.at("id").is_null());
  CHECK(got.contains("result"));
  CHECK_FALSE(got.contains("jsonrpc"));
}

TEST_CASE_METHOD(wire, "the wire refuses an id that is no string, number or null", "[wire]") {
  auto id = GENERATE(as<std::string>{}, "true", "{}", "[1]");
  CHECK(code(R"({"id":)" + id + R"(,"method":"workspace.init"})") == "invalid_request");
  check_alive();
}

TEST_CASE_METHOD(wire, "the wire answers a bare error with a word as its code", "[wire]") {
  auto got = answer(R"({"id":"x","method":"task.get","params":{"task_id":77}})");
  CHECK(got["id"] == "x");
  CHECK(got["error"]["code"] == "not_found");
  CHECK_FALSE(got.contains("jsonrpc"));
}

TEST_CASE_METHOD(wire, "the wire answers a JSON-RPC error with number and word", "[wire]") {
  using row = std::tuple<std::string, int, std::string>;
  auto [request, number, word] = GENERATE(table<std::string, int, std::string>(
    {row{R"("method":"nope")", -32601, "method_not_found"},
     row{R"("method":7)", -32600, "invalid_request"},
     row{R"("params":{})", -32600, "invalid_request"},
     row{R"("method":"task.get")", -32602, "invalid_params"},
     row{R"("method":"task.get","params":{"task_id":9})", -32000, "not_found"}}));
  auto got = answer(R"({"jsonrpc":"2.0","id":3,)" + request + "}");
  CHECK(got["jsonrpc"] == "2.0");
  CHECK(got["id"] == 3);
  CHECK(got["error"]["code"] == number);
  CHECK(got["error"]["data"]["code"] == word);
}

TEST_CASE_METHOD(wire, "the wire calls an orchestrator method over JSON-RPC by its name",
                 "[wire]") {
  auto got = first.rpc("task.create", {{"level", "epic"}, {"title", "direct"}});
  CHECK(got["jsonrpc"] == "2.0");
  CHECK(got["result"]["title"] == "direct");
}

TEST_CASE_METHOD(wire, "the wire never answers a JSON-RPC notification", "[wire]") {
  first.send_line(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  first.send_line(R"({"jsonrpc":"2.0","method":"notifications/nobody_knows_it"})");
  first.send_line(R"({"jsonrpc":"2.0","method":"task.get","params":{"task_id":9}})");
  first.send_line(R"({"jsonrpc":"2.0","method":"nope"})");
  CHECK(answer(R"({"id":"after","method":"workspace.init"})")["id"] == "after");
}

TEST_CASE_METHOD(wire, "the wire tells the dialects apart for each message", "[wire]") {
  CHECK(answer(R"({"jsonrpc":"2.0","id":1,"method":"workspace.init"})").contains("jsonrpc"));
  CHECK_FALSE(answer(R"({"id":1,"method":"workspace.init"})").contains("jsonrpc"));
  CHECK(answer(R"({"id":2,"method":"ping"})")["jsonrpc"] == "2.0");
}

TEST_CASE_METHOD(wire, "the wire skips blank lines and a carriage return", "[wire]") {
  first.send("\n\r\n   \n\t\n");
  CHECK(answer("{\"id\":4,\"method\":\"workspace.init\"}\r")["id"] == 4);
}

TEST_CASE_METHOD(wire, "the wire skips a byte order mark", "[wire]") {
  auto got = answer("\xEF\xBB\xBF{\"id\":4,\"method\":\"workspace.init\"}");
  CHECK(got["id"] == 4);
  CHECK(got.contains("result"));
}

TEST_CASE_METHOD(wire, "the wire answers a last line without a newline", "[wire]") {
  first.send(R"({"id":8,"method":"task.create","params":{"level":"epic","title":"last"}})");
  auto end = first.finish();
  CHECK(end.code == 0);
  CHECK(json::parse(end.out)["result"]["title"] == "last");
}

TEST_CASE_METHOD(wire, "the wire refuses a line that is no object", "[wire]") {
  auto line = GENERATE(as<std::string>{}, "null", "123", "\"hi\"", "[]", "true", "1.5",
                       R"([{"id":1,"method":"workspace.init"}])");
  auto got = answer(line);
  CHECK(test_code(got) == "invalid_request");
  CHECK(got["id"].is_null());
  check_alive();
}

TEST_CASE_METHOD(wire, "the wire refuses a line that is no JSON", "[wire]") {
  auto line = GENERATE(as<std::string>{}, "{", "hello", R"({"id":1,"method":"works)", "{'id':1}",
                       R"({"id":1,"method":"workspace.init"} x)", R"({"id":01})", "\x01", "nul",
                       R"({"id":1,"method":"workspace.init",})", "{\"id\":1,\"method\":\"a\tb\"}");
  auto got = answer(line);
  CHECK(test_code(got) == "parse_error");
  check_alive();
}

TEST_CASE_METHOD(wire, "the wire refuses a line that is not UTF-8", "[wire]") {
  auto bytes =
    GENERATE(as<std::string>{}, "\xFF", "\xC3(", "\xED\xA0\x80", "\xC0\xAF", "\xF5\x80\x80\x80");
  auto got =
    answer(R"({"id":1,"method":"task.create","params":{"level":"epic","title":")" + bytes + "\"}}");
  CHECK(test_code(got) == "parse_error");
  check_alive();
}

TEST_CASE_METHOD(wire,
                 "the wire keeps the id of a line that it cannot parse, if it is plain to see",
                 "[wire]") {
  CHECK(answer(R"({"id":"seen","method":"task.get","params":{)")["id"] == "seen");
}

TEST_CASE_METHOD(wire, "the wire refuses a request without a proper method", "[wire]") {
  auto members = GENERATE(as<std::string>{}, "", R"(,"method":null)", R"(,"method":5)",
                          R"(,"method":["task.get"])");
  auto got = answer(R"({"id":6)" + members + "}");
  CHECK(test_code(got) == "invalid_request");
  CHECK(got["id"] == 6);
}

TEST_CASE_METHOD(wire, "the wire refuses parameters that are no object", "[wire]") {
  auto params = GENERATE(as<std::string>{}, "[]", "[1]", "\"x\"", "5", "true");
  auto got = answer(R"({"id":6,"method":"workspace.init","params":)" + params + "}");
  CHECK(test_code(got) == "invalid_request");
  CHECK(got["id"] == 6);
}

TEST_CASE_METHOD(wire, "the wire takes missing parameters as none", "[wire]") {
  auto params = GENERATE(as<std::string>{}, "", R"(,"params":{})", R"(,"params":null)");
  CHECK(answer(R"({"id":6,"method":"task.list")" + params + "}").contains("result"));
}

TEST_CASE_METHOD(wire, "an unknown method is answered with the nearest known one", "[wire]") {
  using row = std::tuple<std::string, std::string>;
  auto [asked, meant] = GENERATE(table<std::string, std::string>(
    {row{"task.creat", "task.create"}, row{"lock.aquire", "lock.acquire"},
     row{"session_open", "session.open"}, row{"Task.Get", "task.get"}}));
  auto error = error_of(asked);
  CHECK(error["code"] == "method_not_found");
  CHECK_THAT(error["message"].get<std::string>(), Catch::Contains(meant));
}

TEST_CASE_METHOD(wire, "the methods of later stages are unknown", "[wire]") {
  auto method =
    GENERATE(as<std::string>{}, "merge.conflicts.resolve", "worktree.rename", "supervise");
  CHECK(code_of(method) == "method_not_found");
}

TEST_CASE_METHOD(wire, "piped requests take effect and are answered in their order", "[wire]") {
  std::string script;
  constexpr int count = 400;
  script += R"({"id":0,"method":"task.create","params":{"level":"epic","title":"0"}})"
            "\n";
  for (int i = 1; i < count; ++i)
    script +=
      i % 2 == 1
        ? json{{"id", i}, {"method", "task.get"}, {"params", {{"task_id", i / 2 + 1}}}}.dump()
            + "\n"
        : json{{"id", i},
               {"method", "task.create"},
               {"params", {{"level", "epic"}, {"title", std::to_string(i)}}}}
              .dump()
            + "\n";
  first.send(script);
  for (int i = 0; i < count; ++i) {
    auto answer = json::parse(first.next_line());
    REQUIRE(answer["id"] == i);
    REQUIRE(result_of(answer)["id"] == i / 2 + 1);
  }
}

TEST_CASE_METHOD(wire, "what was read before the end of stdin is done and answered", "[wire]") {
  std::string script;
  for (int i = 0; i < 600; ++i)
    script += R"({"id":1,"method":"task.create","params":{"level":"epic","title":"x"}})"
              "\n";
  first.send(script);
  auto end = first.finish();
  CHECK(end.code == 0);
  CHECK(std::count(end.out.begin(), end.out.end(), '\n') == 600);
  CHECK(start().ask("task.list", {{"limit", 10'000}})["tasks"].size() == 600);
}

TEST_CASE_METHOD(wire, "stdout carries protocol lines only, whatever goes wrong", "[wire]") {
  auto& chatty = start({"--log-level", "debug"});
  chatty.send("hello\n{\"id\":1,\"method\":\"nope\"}\n");
  chatty.request("session.open");
  auto end = chatty.finish();
  std::istringstream lines{end.out};
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    CHECK(json::accept(line));
  CHECK(count == 3);
}
