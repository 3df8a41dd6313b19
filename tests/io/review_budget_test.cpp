#include "io/review_budget.hpp"

#include <catch2/catch.hpp>

TEST_CASE("review budget: so many in all repositories together", "[supervisor]") {
  orch::review_budget budget;
  budget.set_most(2);
  CHECK(budget.take("a"));
  CHECK(budget.take("b"));
  CHECK_FALSE(budget.take("a"));
  // What has ended is known by what a repository says of itself, also when it wants nothing.
  budget.note_running("a", 0);
  CHECK(budget.take("b"));
  CHECK_FALSE(budget.take("a"));
  budget.forget("b");
  CHECK(budget.take("a"));
  CHECK(budget.take("a"));
  CHECK_FALSE(budget.take("b"));
  budget.set_most(3);
  CHECK(budget.take("b"));
}
