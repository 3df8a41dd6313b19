#include "io/presence.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>
#include <sys/resource.h>

using namespace orch;

namespace {

/// While this lives the process gets only so many descriptors.
class few_descriptors {
public:
  explicit few_descriptors(rlim_t most) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit few{most, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  few_descriptors(const few_descriptors&) = delete;
  few_descriptors& operator=(const few_descriptors&) = delete;
  ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
  rlimit before_{};
};

int next_descriptor() {
  auto next = ::dup(STDIN_FILENO);
  ::close(next);
  return next;
}

} // namespace

TEST_CASE("presence: tells who lives", "[presence]") {
  scratch_directory directory;
  auto file = directory.path / "servers.lock";
  presence one{file};
  int64_t gone = 0;
  {
    presence other{file, presence::of::client};
    gone = other.id();
    CHECK(presence::is_client(gone));
    CHECK(one.alive(gone));
  }
  CHECK_FALSE(one.alive(gone));
  CHECK(one.alive(one.id()));
}

TEST_CASE("presence: keeps no descriptor when it cannot be made", "[presence]") {
  scratch_directory directory;
  auto next = next_descriptor();
  REQUIRE(next >= 0);
  {
    few_descriptors one{static_cast<rlim_t>(next) + 1};
    CHECK_THROWS_AS(presence{directory.path / "servers.lock"}, std::system_error);
  }
  CHECK(next_descriptor() == next);
}
