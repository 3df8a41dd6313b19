#include "io/standing_messages.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct said : standing_messages {
  bool say(const std::string& method, const std::string& params = "{}") {
    auto text = R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}";
    return note(read_envelope(text), text);
  }

  std::vector<std::string> methods() const {
    std::vector<std::string> all;
    for (const auto& text : standing_messages::all())
      all.push_back(read_envelope(text).method);
    return all;
  }
};

} // namespace

TEST_CASE("standing messages: a handshake and what was subscribed to", "[bridge]") {
  said by;
  CHECK(by.say("initialize"));
  CHECK(by.say("notifications/initialized"));
  CHECK_FALSE(by.say("tools/call"));
  CHECK_FALSE(by.say("resources/read", R"({"uri":"orch://locks"})"));
  CHECK(by.say("resources/subscribe", R"({"uri":"orch://locks"})"));
  CHECK(by.say("resources/subscribe", R"({"uri":"orch://status"})"));
  CHECK(by.say("resources/subscribe", R"({"uri":"orch://locks"})"));
  CHECK(by.subscribed() == std::vector<std::string>{"orch://status", "orch://locks"});
  CHECK(by.say("resources/unsubscribe", R"({"uri":"orch://status"})"));
  CHECK(
    by.methods()
    == std::vector<std::string>{"initialize", "notifications/initialized", "resources/subscribe"});
}

TEST_CASE("standing messages: a second handshake takes the place of the first", "[bridge]") {
  said by;
  by.say("initialize", R"({"clientInfo":{"name":"a"}})");
  by.say("resources/subscribe", R"({"uri":"orch://locks"})");
  by.say("initialize", R"({"clientInfo":{"name":"b"}})");
  REQUIRE(by.methods() == std::vector<std::string>{"initialize", "resources/subscribe"});
  CHECK(by.all().front().find("\"b\"") != std::string::npos);
}

TEST_CASE("standing messages: bad ones are not kept", "[bridge]") {
  said by;
  CHECK_FALSE(by.say("initialize", "7"));
  CHECK_FALSE(by.note(read_envelope("nonsense"), "nonsense"));
  CHECK_FALSE(by.say("resources/subscribe", R"({"uri":7})"));
  CHECK(by.all().empty());
}

TEST_CASE("the wish to cancel names a request", "[bridge]") {
  auto of = [](const std::string& params) {
    return id_to_cancel(read_envelope(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":)" + params + "}"));
  };
  CHECK(of(R"({"requestId":7})") == "7");
  CHECK(of(R"({"requestId":"a"})") == "\"a\"");
  CHECK_FALSE(of("{}"));
  CHECK_FALSE(id_to_cancel(read_envelope(R"({"id":1,"method":"task.list"})")));
}
