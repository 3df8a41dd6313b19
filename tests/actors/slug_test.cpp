#include "actors/slug.hpp"

#include <catch2/catch.hpp>

using namespace orch;

TEST_CASE("a slug is the first two words that say something", "[slug]") {
  auto [text, slug] = GENERATE(table<std::string, std::string>({
    {"Login Fix", "login-fix"},
    {"Please fix the login page so that it works", "fix-login"},
    {"login", "login"},
    {"  add   tests! ", "tests"},
    {"../../etc/passwd", "etc-passwd"},
    {"-rf --force", "rf-force"},
    {"the of and", ""},
    {"", ""},
    {"\xec\x82\xac\xec\x9a\xa9\xec\x9e\x90 \xeb\xaa\xa9\xeb\xa1\x9d",
     "\xec\x82\xac\xec\x9a\xa9\xec\x9e\x90-\xeb\xaa\xa9\xeb\xa1\x9d"},
    {"a/b.lock c~d", "b-lock"},
  }));
  CHECK(make_slug(text) == slug);
}

TEST_CASE("a slug's words are cut between characters", "[slug]") {
  CHECK(make_slug(std::string(100, 'x')).size() == 24);
  std::string long_word;
  for (int i = 0; i < 20; ++i)
    long_word += "\xc3\xa9";
  CHECK(make_slug("x" + long_word).size() == 23);
}

TEST_CASE("a branch becomes one directory name", "[slug]") {
  CHECK(directory_name("session/1-login-fix") == "session-1-login-fix");
}
