#include "io/review_budget.hpp"

#include <catch2/catch.hpp>

TEST_CASE("review budget: so many in all repositories together", "[supervisor]") {
  orch::review_budget budget;
  budget.set_most(2);
  auto a = budget.join();
  auto b = budget.join();
  CHECK(budget.take(a));
  CHECK(budget.take(b));
  CHECK_FALSE(budget.take(a));
  // What has ended is known by what a repository says of itself, also when it wants nothing.
  budget.note_running(a, 0);
  CHECK(budget.take(b));
  CHECK_FALSE(budget.take(a));
  budget.leave(b);
  CHECK(budget.take(a));
  CHECK(budget.take(a));
  auto c = budget.join();
  CHECK_FALSE(budget.take(c));
  budget.set_most(3);
  CHECK(budget.take(c));
}

TEST_CASE("review budget: a repository that ends late says nothing for the one after it",
          "[supervisor]") {
  orch::review_budget budget;
  budget.set_most(3);
  auto before = budget.join();
  budget.note_running(before, 2);
  auto now = budget.join();
  budget.note_running(now, 2);
  budget.leave(before);
  CHECK(budget.take(now));
  CHECK_FALSE(budget.take(now));
  // Something of it still runs.
  budget.note_running(before, 0);
  CHECK_FALSE(budget.take(before));
  budget.note_running(now, 2);
  CHECK(budget.take(now));
}
