#include "state.hpp"

using namespace orch::test;

namespace {

constexpr int64_t processes = 32;
constexpr int64_t rounds = 12;

/// What one process sends in one round; each is one change of state.
std::vector<std::pair<std::string, json>> one_round(int64_t process, int64_t round) {
  auto mine = std::to_string(process) + "/" + std::to_string(round);
  return {
    {"task.create", {{"level", "case"}, {"title", mine}}},
    {"lock.acquire",
     {{"scope_type", "file"}, {"scope_path", mine}, {"owner_session", "writer-" + mine}}},
    {"graph.node.create", {{"node_type", "task"}, {"title", mine}}},
  };
}

} // namespace

TEST_CASE_METHOD(contract, "task.create and others in 32 processes at once are all done, each once",
                 "[scenario]") {
  auto before = first.db_version();
  std::vector<server*> servers;
  for (int64_t i = 0; i < processes; ++i)
    servers.push_back(&start());
  std::vector<std::vector<int64_t>> requests(processes);
  for (int64_t i = 0; i < processes; ++i)
    for (int64_t round = 0; round < rounds; ++round)
      for (const auto& [method, params] : one_round(i, round))
        requests[i].push_back(servers[i]->request(method, params));

  std::set<int64_t> tasks;
  for (int64_t i = 0; i < processes; ++i)
    for (auto request : requests[i]) {
      auto answer = servers[i]->answer_to(request);
      INFO(answer);
      REQUIRE(answer.contains("result"));
      if (answer["result"].contains("level"))
        tasks.insert(answer["result"]["id"].get<int64_t>());
    }
  auto each = processes * rounds;
  CHECK(static_cast<int64_t>(tasks.size()) == each);
  CHECK(first.db_version() == before + 3 * each);
  for (auto on : servers) {
    CHECK(on->db_version() == before + 3 * each);
    auto end = on->finish();
    CHECK(end.code == 0);
    CHECK(end.err.empty());
  }
  state_file state{root};
  for (auto query : {"SELECT count(*), count(DISTINCT title) FROM tasks",
                     "SELECT count(*), count(DISTINCT title) FROM graph_nodes",
                     "SELECT count(*), count(DISTINCT scope_path) FROM locks"})
    CHECK(state.rows(query).at(0) == std::to_string(each) + "|" + std::to_string(each));
  check_consistent(*this, root, first);
}
