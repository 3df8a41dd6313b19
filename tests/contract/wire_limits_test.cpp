#include "client.hpp"

#include <fmt/format.h>

#include <csignal>

using namespace orch::test;

namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

std::string nested(int depth) {
  std::string text = R"({"id":1,"method":"case.begin","params":{"case_id":1,"fixtures":)";
  // The request and its params are two levels already.
  text.append(static_cast<std::size_t>(depth - 2), '[');
  text.append(static_cast<std::size_t>(depth - 2), ']');
  return text + "}}";
}

std::string create_with_title(std::size_t size) {
  return json{{"id", 1},
              {"method", "task.create"},
              {"params", {{"level", "epic"}, {"title", std::string(size, 'x')}}}}
    .dump();
}

std::string frame(const std::string& body) {
  return fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
}

} // namespace

TEST_CASE_METHOD(contract, "the wire takes nesting of 128 levels", "[wire]") {
  make_case();
  first.send_line(nested(128));
  CHECK(first.next().contains("result"));
}

TEST_CASE_METHOD(contract, "the wire refuses deeper nesting", "[wire]") {
  auto depth = GENERATE(129, 130, 1'000, 200'000);
  first.send_line(nested(depth));
  CHECK(orch::test::error_of(first.next())["code"] == "parse_error");
  CHECK(code_of("workspace.init") == "ok");
}

TEST_CASE_METHOD(contract, "the wire takes a line just below its limit", "[wire]") {
  first.send_line(create_with_title(15 * mebibyte));
  CHECK(result_of(first.next())["title"].get<std::string>().size() == 15 * mebibyte);
}

TEST_CASE_METHOD(contract, "the wire skips a line over its limit and goes on", "[wire]") {
  first.send_line(create_with_title(17 * mebibyte));
  CHECK(orch::test::error_of(first.next())["code"] == "too_large");
  CHECK(ask("task.list")["tasks"].empty());
}

TEST_CASE_METHOD(contract, "the wire refuses an endless last line", "[wire]") {
  first.send(std::string(17 * mebibyte, ' ') + "{");
  auto end = first.finish();
  CHECK(end.code == 0);
  CHECK(json::parse(end.out)["error"]["code"] == "too_large");
}

TEST_CASE_METHOD(sandbox, "the wire takes its limit from the command line", "[wire]") {
  auto& small = start({"--max-message-bytes", "2000"});
  small.send_line(create_with_title(2'000));
  CHECK(error_of(small.next())["code"] == "too_large");
  small.send_line(create_with_title(1'000));
  CHECK(small.next().contains("result"));
}

TEST_CASE_METHOD(sandbox, "the wire numbers too_large as invalid params over JSON-RPC", "[wire]") {
  auto& small = start({"--max-message-bytes", "2000"});
  small.rpc("ping");
  auto body = json{{"jsonrpc", "2.0"},
                   {"id", 5},
                   {"method", "ping"},
                   {"params", {{"x", std::string(3'000, 'x')}}}};
  small.send_line(body.dump());
  auto answer = small.next();
  if (answer.contains("jsonrpc"))
    CHECK(answer["error"]["code"] == -32602);
  else
    CHECK(answer["error"]["code"] == "too_large");
}

TEST_CASE_METHOD(contract, "the wire answers framed messages framed", "[wire]") {
  first.send(frame(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"));
  CHECK(json::parse(first.next_frame()) == json::parse(R"({"jsonrpc":"2.0","id":1,"result":{}})"));
  first.send(frame(R"({"id":2,"method":"task.create","params":{"level":"epic","title":"é\n"}})"));
  CHECK(json::parse(first.next_frame())["result"]["title"] == "é");
}

TEST_CASE_METHOD(contract, "the wire takes several frames at once and in pieces", "[wire]") {
  auto both = frame(R"({"id":1,"method":"workspace.init"})") + "Content-Type: application/json\r\n"
              + frame(R"({"id":2,"method":"task.list"})");
  for (char c : both)
    first.send({&c, 1});
  CHECK(json::parse(first.next_frame())["id"] == 1);
  CHECK(json::parse(first.next_frame())["id"] == 2);
}

TEST_CASE_METHOD(contract, "the wire answers a frame that is no JSON and goes on", "[wire]") {
  first.send(frame("{oh"));
  CHECK(json::parse(first.next_frame())["error"]["code"] == "parse_error");
  first.send(frame(R"({"id":2,"method":"task.list"})"));
  CHECK(json::parse(first.next_frame())["id"] == 2);
}

TEST_CASE_METHOD(contract, "the wire survives a frame with a senseless length", "[wire]") {
  auto length = GENERATE(as<std::string>{}, "-1", "x", "99999999999999999999999", "");
  first.send("Content-Length: " + length + "\r\n\r\n");
  first.send_line(R"({"id":"after","method":"workspace.init"})");
  bool answered = false;
  auto end = first.finish();
  CHECK(end.code == 0);
  for (std::size_t at = 0; (at = end.out.find("\"error\"", at)) != std::string::npos; ++at)
    answered = true;
  CHECK(answered);
}

TEST_CASE_METHOD(contract, "the wire holds back a flood without losing any of it", "[wire]") {
  constexpr int count = 5'000;
  std::string flood;
  for (int i = 0; i < count; ++i)
    flood += fmt::format(R"({{"id":{},"method":"task.list"}})"
                         "\n",
                         i);
  first.send(flood);
  for (int i = 0; i < count; ++i)
    REQUIRE(first.next()["id"] == i);
}

TEST_CASE_METHOD(contract, "a closed stdout ends the server quietly and loses nothing acknowledged",
                 "[wire]") {
  auto id = make_task("epic");
  first.close_output();
  for (int i = 0; i < 50; ++i)
    first.request("task.list");
  first.close_input();
  auto end = first.wait();
  CHECK(end.code == 0);
  CHECK(start().ask("task.get", {{"task_id", id}})["id"] == id);
}

TEST_CASE_METHOD(contract, "a signal ends the server with exit code 0", "[wire]") {
  auto signal = GENERATE(SIGTERM, SIGINT);
  auto id = make_task("epic");
  auto begun = std::chrono::steady_clock::now();
  first.kill(signal);
  CHECK(first.wait().code == 0);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{5});
  CHECK(start().ask("task.get", {{"task_id", id}})["id"] == id);
}

TEST_CASE_METHOD(contract, "a signal ends the server within 5 seconds while a request waits",
                 "[wire]") {
  auto a = open_session();
  auto b = open_session();
  ask("merge.main.acquire_lock", {{"session_id", a}});
  first.request("merge.main.acquire_lock", {{"session_id", b}, {"wait_seconds", 600}});
  CHECK(code_of("workspace.init") == "ok");
  auto begun = std::chrono::steady_clock::now();
  first.kill(SIGTERM);
  CHECK(first.wait().code == 0);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{5});
}

TEST_CASE_METHOD(contract, "what is acknowledged survives kill -9", "[wire]") {
  for (int i = 1; i <= 100; ++i)
    first.request("task.create", {{"level", "epic"}, {"title", "x"}});
  int acknowledged = 0;
  while (acknowledged < 50)
    acknowledged = result_of(first.next())["id"];
  first.kill(SIGKILL);
  CHECK(first.wait().code == 128 + SIGKILL);
  CHECK(start().ask("task.list")["tasks"].size() >= static_cast<std::size_t>(acknowledged));
}
