#include "io/supervised.hpp"

#include <catch2/catch.hpp>

TEST_CASE("review budget: so many in all repositories together", "[supervisor]") {
  orch::review_budget budget;
  budget.set_most(2);
  CHECK(budget.take("a", 0));
  CHECK(budget.take("b", 0));
  CHECK_FALSE(budget.take("a", 1));
  // What has ended is known by what the repository says of itself.
  CHECK(budget.take("a", 0));
  budget.forget("b");
  CHECK(budget.take("a", 1));
  CHECK_FALSE(budget.take("b", 0));
  budget.set_most(3);
  CHECK(budget.take("b", 0));
}
