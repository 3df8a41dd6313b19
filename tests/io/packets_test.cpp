#include "io/packets.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace orch;

namespace {

std::vector<packet> cut(const std::string& bytes, std::size_t step) {
  packet_splitter splitter;
  std::vector<packet> found;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    splitter.feed(std::string_view{bytes}.substr(at, step),
                  [&](packet p) { found.push_back(std::move(p)); });
  return found;
}

} // namespace

TEST_CASE("packets come out as they went in, however they are cut", "[bridge]") {
  std::string bytes;
  append_packet(bytes, packet::kind::hello, 0, 0, "{}");
  append_packet(bytes, packet::kind::message, 7, 3, std::string(70'000, 'x') + '\n' + '\0');
  append_packet(bytes, packet::kind::answer, 7, 0, "");
  append_packet(bytes, packet::kind::pong, 0, 0, "");
  for (std::size_t step : {std::size_t{1}, std::size_t{23}, std::size_t{4'096}, bytes.size()}) {
    INFO(step);
    auto found = cut(bytes, step);
    REQUIRE(found.size() == 4);
    CHECK(found[0].text == "{}");
    CHECK(found[1].what == packet::kind::message);
    CHECK(found[1].number == 7);
    CHECK(found[1].place == 3);
    CHECK(found[1].text.size() == 70'002);
    CHECK(found[2].what == packet::kind::answer);
    CHECK(found[3].what == packet::kind::pong);
  }
}

TEST_CASE("what is no packet is refused before it is kept", "[bridge]") {
  CHECK_THROWS(cut(std::string(24, '\xff'), 24));
  CHECK_THROWS(cut("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5));
  std::string large;
  append_packet(large, packet::kind::message, 1, 1, "");
  large[4] = large[5] = large[6] = large[7] = '\xff'; // its size
  CHECK_THROWS(cut(large, 24));
}
