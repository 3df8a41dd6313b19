#include "io/frames.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace orch;

namespace {

/// All messages in `input`, fed in pieces of `step` bytes.
std::vector<frame> split(const std::string& input, std::size_t step, std::size_t most = 1'000) {
  std::vector<frame> found;
  auto keep = [&](frame f) { found.push_back(std::move(f)); };
  frame_splitter splitter{most};
  for (std::size_t at = 0; at < input.size(); at += step)
    splitter.feed(std::string_view{input}.substr(at, step), keep);
  splitter.finish(keep);
  return found;
}

std::vector<std::string> texts(const std::vector<frame>& frames) {
  std::vector<std::string> out;
  for (const auto& f : frames)
    out.push_back(f.text);
  return out;
}

} // namespace

TEST_CASE("lines are messages, however the bytes arrive", "[frames]") {
  auto step = GENERATE(1, 2, 3, 7, 100);
  CHECK(texts(split("{\"a\":1}\r\n\n  \n{\"b\":2}\nlast", static_cast<std::size_t>(step)))
        == std::vector<std::string>{"{\"a\":1}", "{\"b\":2}", "last"});
}

TEST_CASE("a byte order mark at the start is no part of the first message", "[frames]") {
  CHECK(texts(split("\xef\xbb\xbf{}\n{}\n", 2)) == std::vector<std::string>{"{}", "{}"});
}

TEST_CASE("a Content-Length header frames what follows its blank line", "[frames]") {
  auto step = GENERATE(1, 5, 100);
  auto found = split("content-LENGTH:  4\r\nContent-Type: x\r\n\r\n{\n} {\"line\":1}\n",
                     static_cast<std::size_t>(step));
  REQUIRE(found.size() == 2);
  CHECK(found[0].text == "{\n} ");
  CHECK(found[0].how == frame::form::framed);
  CHECK(found[1].text == "{\"line\":1}");
  CHECK(found[1].how == frame::form::line);
}

TEST_CASE("a message over the limit is reported by its beginning and skipped to its end",
          "[frames]") {
  auto step = GENERATE(1, 64, 10'000);
  auto found = split("{\"id\":7," + std::string(9'000, 'x') + "\n{\"id\":8}\n",
                     static_cast<std::size_t>(step), 100);
  REQUIRE(found.size() == 2);
  CHECK(found[0].how == frame::form::too_large);
  CHECK(found[0].text.starts_with("{\"id\":7,"));
  CHECK(found[0].text.size() <= 4'096);
  CHECK(found[1].text == "{\"id\":8}");
}

TEST_CASE("a message of exactly the limit is taken, with and without a carriage return",
          "[frames]") {
  std::string line(100, 'y');
  for (const auto& end : {"\n", "\r\n", ""}) {
    auto found = split(line + end, 9, 100);
    REQUIRE(found.size() == 1);
    CHECK(found[0].how == frame::form::line);
    CHECK(found[0].text == line);
  }
  CHECK(split(line + "y\n", 9, 100)[0].how == frame::form::too_large);
}

TEST_CASE("a framed message over the limit does not spoil what follows it", "[frames]") {
  auto found = split("Content-Length: 5000\r\n\r\n" + std::string(5'000, 'z') + "{}\n", 33, 100);
  REQUIRE(found.size() == 2);
  CHECK(found[0].how == frame::form::too_large);
  CHECK(found[1].text == "{}");
}
