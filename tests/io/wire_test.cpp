#include "io/wire.hpp"

#include <catch2/catch.hpp>

using namespace orch;

TEST_CASE("an id comes back as it was written", "[wire]") {
  auto id = GENERATE(as<std::string>{}, "1", "\"a\"", "null", "-5", "9007199254740993",
                     "123456789012345678901234567890", "1.50", "1e2", "\"\\u00e9\\n\"");
  auto message = read_envelope("{\"id\":" + id + ",\"method\":\"x\"}");
  CHECK_FALSE(message.problem);
  CHECK(json::parse(message.id) == json::parse(id));
  if (id.front() != '"')
    CHECK(message.id == id);
}

TEST_CASE("a message that breaks off is answered by the id it began with", "[wire]") {
  auto message = read_envelope(R"({"id":"7","method":"task.create","params":{"title":"x)");
  REQUIRE(message.problem);
  CHECK(message.problem->code == errc::parse_error);
  CHECK(message.id == "\"7\"");
  CHECK(message.how == dialect::bare);
}

TEST_CASE("what is no request says why", "[wire]") {
  auto [text, code] = GENERATE(table<std::string, errc>({
    {"null", errc::invalid_request},
    {"123", errc::invalid_request},
    {"\"hi\"", errc::invalid_request},
    {"[]", errc::invalid_request},
    {R"([{"id":1,"method":"x"}])", errc::invalid_request},
    {"{}", errc::invalid_request},
    {R"({"id":1})", errc::invalid_request},
    {R"({"id":1,"method":7})", errc::invalid_request},
    {R"({"id":[1],"method":"x"})", errc::invalid_request},
    {R"({"id":{"a":1},"method":"x"})", errc::invalid_request},
    {R"({"id":1,"method":"x","params":[1]})", errc::invalid_request},
    {R"({"id":1,"method":"x","params":"p"})", errc::invalid_request},
    {R"({"jsonrpc":"1.0","id":1,"method":"x"})", errc::invalid_request},
    {"{", errc::parse_error},
    {"{\"id\":1}}", errc::parse_error},
    {"{'id':1}", errc::parse_error},
    {"{\"id\":1,\"method\":\"\xff\"}", errc::parse_error},
    {std::string{"{\"id\":1,\0}", 10}, errc::parse_error},
  }));
  INFO(text);
  auto message = read_envelope(text);
  REQUIRE(message.problem);
  CHECK(message.problem->code == code);
}

TEST_CASE("nesting is taken to a depth of 128 and no deeper", "[wire]") {
  auto nested = [](int depth) {
    // The request and its params are two of the levels.
    return R"({"id":1,"method":"x","params":{"a":)" + std::string(depth - 2, '[')
           + std::string(depth - 2, ']') + "}}";
  };
  CHECK_FALSE(read_envelope(nested(128)).problem);
  auto too_deep = read_envelope(nested(129));
  REQUIRE(too_deep.problem);
  CHECK(too_deep.problem->code == errc::parse_error);
  CHECK(read_envelope(nested(1'000'000)).problem);
}

TEST_CASE("messages are told apart by their dialect", "[wire]") {
  CHECK(read_envelope(R"({"id":1,"method":"task.list"})").how == dialect::bare);
  CHECK(read_envelope(R"({"jsonrpc":"2.0","id":1,"method":"task.list"})").how == dialect::jsonrpc);
  CHECK(read_envelope(R"({"id":1,"method":"tools/list"})").how == dialect::jsonrpc);
  CHECK(read_envelope(R"({"jsonrpc":"2.0","method":"task.list"})").is_notification());
  CHECK_FALSE(read_envelope(R"({"method":"task.list"})").is_notification());
}

TEST_CASE("errors are worded as each dialect wants them", "[wire]") {
  request_error error{errc::not_found, "task #7 does not exist", {{"x", 1}}};
  auto bare = read_envelope(R"({"id":"1","method":"x"})");
  CHECK(
    error_line(bare, error)
    == R"({"id":"1","error":{"code":"not_found","message":"task #7 does not exist","data":{"x":1}}})");
  auto jsonrpc = read_envelope(R"({"jsonrpc":"2.0","id":1,"method":"x"})");
  CHECK(json::parse(error_line(jsonrpc, error))
        == json::parse(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":)"
                       R"("task #7 does not exist","data":{"x":1,"code":"not_found"}}})"));
}
