#include "git_sandbox.hpp"
#include "io/git_pool.hpp"

#include <catch2/catch.hpp>

using namespace orch;

TEST_CASE("a git pool lends each instance to one at a time and keeps it for the next", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  int opened = 0;
  git_pool pool{[&] {
    ++opened;
    return box.open(root);
  }};
  auto first = pool.take();
  auto second = pool.take();
  CHECK(first != second);
  CHECK(opened == 2);
  auto kept = first.get();
  first.reset();
  CHECK(pool.take().get() == kept);
  CHECK(opened == 2);
}

TEST_CASE("an instance outlives the pool that lent it", "[git]") {
  git_sandbox box;
  auto root = box.make_repository(box.base / "repo");
  auto pool = std::make_unique<git_pool>([&] { return box.open(root); });
  auto lent = pool->take();
  pool.reset();
  CHECK(lent->branch_exists("main"));
}
