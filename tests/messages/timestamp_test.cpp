#include "messages/timestamp.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace orch;

TEST_CASE("a time is printed with six digits of fraction", "[timestamp]") {
  CHECK(to_text({0}) == "1970-01-01T00:00:00.000000Z");
  CHECK(to_text({1'763'846'430'395'906}) == "2025-11-22T21:20:30.395906Z");
  CHECK(to_text({-1}) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("a time beyond the calendar is printed as its last moment", "[timestamp]") {
  CHECK(to_text({std::numeric_limits<int64_t>::max()}) == "9999-12-31T23:59:59.999999Z");
  CHECK(to_text({std::numeric_limits<int64_t>::min()}) == "0000-01-01T00:00:00.000000Z");
}

TEST_CASE("a time text is read whatever its fraction and offset", "[timestamp]") {
  auto [text, printed] = GENERATE(table<std::string, std::string>({
    {"2026-11-22T21:58:23.457355957Z", "2026-11-22T21:58:23.457355Z"},
    {"2026-11-22T21:58:23.46709444Z", "2026-11-22T21:58:23.467094Z"},
    {"2026-11-22T21:58:23Z", "2026-11-22T21:58:23.000000Z"},
    {"2026-11-22T21:58:23.5z", "2026-11-22T21:58:23.500000Z"},
    {"2026-11-23T06:58:23+09:00", "2026-11-22T21:58:23.000000Z"},
    {"2026-11-22 16:28:23.25-05:30", "2026-11-22T21:58:23.250000Z"},
    {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"},
  }));
  auto read = parse_timestamp(text);
  REQUIRE(read);
  CHECK(to_text(*read) == printed);
}

TEST_CASE("what is no time is not read", "[timestamp]") {
  auto text = GENERATE(as<std::string>{}, "", "yesterday", "2026-11-22", "2026-11-22T21:58:23",
                       "2026-13-22T21:58:23Z", "2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z",
                       "2026-11-22T21:58:23.Z", "2026-11-22T21:58:23Zx", "-026-11-22T21:58:23Z",
                       "2026-11-22T21:58:23+0900");
  CHECK_FALSE(parse_timestamp(text));
}

TEST_CASE("adding seconds stops at the last moment that can be printed", "[timestamp]") {
  CHECK(plus_seconds({0}, 2).us == 2'000'000);
  CHECK(to_text(plus_seconds({0}, std::numeric_limits<int64_t>::max()))
        == "9999-12-31T23:59:59.999999Z");
}
