#include "state.hpp"

#include <csignal>

using namespace orch::test;

namespace {

constexpr int requests_sent = 400;

json creation(int round, int number) {
  auto name = std::to_string(round) + "/" + std::to_string(number);
  return {{"level", "case"}, {"title", name}, {"request_key", "key " + name}};
}

/// Sends many requests at once and kills the server after so many answers; the ids that it gave.
std::map<std::string, int64_t> acknowledged_before_death(server& victim, int round, int answers) {
  std::string lines;
  for (int i = 0; i < requests_sent; ++i)
    lines +=
      json{{"id", i}, {"method", "task.create"}, {"params", creation(round, i)}}.dump() + '\n';
  // A part at first, so that the kill meets requests in every state.
  victim.send(lines);
  std::map<std::string, int64_t> ids;
  auto note = [&](const std::string& line) {
    auto answer = json::parse(line, nullptr, false);
    if (answer.is_discarded())
      return; // the last line was cut short by the kill
    INFO(answer);
    REQUIRE(answer.contains("result"));
    ids[answer["result"]["title"]] = answer["result"]["id"];
  };
  for (int i = 0; i < answers; ++i)
    note(victim.next_line());
  victim.kill(SIGKILL);
  // What was in the pipe by then was acknowledged as well.
  while (auto line = victim.try_line())
    note(*line);
  return ids;
}

} // namespace

TEST_CASE_METHOD(sandbox, "task.create that was acknowledged survives kill -9 under load",
                 "[scenario]") {
  std::map<std::string, int64_t> acknowledged;
  std::size_t cut_short = 0;
  const std::vector<int> moments{0, 1, 3, 17, 60, 150, 300};
  for (int round = 0; round < static_cast<int>(moments.size()); ++round) {
    auto& victim = start();
    auto ids = acknowledged_before_death(victim, round, moments[round]);
    CHECK(ids.size() >= static_cast<std::size_t>(moments[round]));
    cut_short += ids.size() < requests_sent;
    acknowledged.merge(ids);
  }
  CHECK(cut_short > 0);

  auto& after = start();
  for (const auto& [title, id] : acknowledged) {
    auto task = after.ask("task.get", {{"task_id", id}});
    CHECK(task["title"] == title);
  }
  // A client that repeats what was not answered, under the same keys, has each task just once.
  for (int round = 0; round < static_cast<int>(moments.size()); ++round)
    for (int i = 0; i < requests_sent; ++i) {
      auto task = after.ask("task.create", creation(round, i));
      auto known = acknowledged.find(task["title"]);
      if (known != acknowledged.end())
        CHECK(task["id"] == known->second);
    }
  state_file state{root};
  auto all = std::to_string(moments.size() * requests_sent);
  CHECK(state.rows("SELECT count(*), count(DISTINCT title) FROM tasks").at(0) == all + "|" + all);
  check_consistent(*this, root, after);
}
