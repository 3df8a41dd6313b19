#include "state.hpp"

using namespace orch::test;

TEST_CASE_METHOD(sandbox, "session.open in 16 processes at once makes 16 different worktrees",
                 "[scenario]") {
  constexpr std::size_t many = 16;
  for (int i = 0; i < 200; ++i)
    write(root / ("directory " + std::to_string(i % 20)) / (std::to_string(i) + " é.txt"),
          "text\n");
  git({"add", "."});
  git({"commit", "--quiet", "--message", "more files"});

  std::vector<server*> servers;
  for (std::size_t i = 0; i < many; ++i)
    servers.push_back(&start());
  // The same words for all, so that they want the same names.
  std::vector<int64_t> requests;
  for (auto on : servers)
    requests.push_back(on->request("session.open", {{"user_request", "Fix the login"}}));

  std::set<std::string> branches;
  std::set<std::string> places;
  std::set<int64_t> ids;
  for (std::size_t i = 0; i < many; ++i) {
    auto opened = result_of(servers[i]->answer_to(requests[i])).at("session_context");
    auto tree = opened.at("session_root_worktree");
    ids.insert(opened.at("session").at("id").get<int64_t>());
    branches.insert(tree.at("branch"));
    places.insert(tree.at("path"));
    CHECK(git_in(tree.at("path").get<std::string>(), {"status", "--porcelain"}).empty());
    CHECK(git_in(tree.at("path").get<std::string>(), {"symbolic-ref", "--short", "HEAD"})
          == tree.at("branch"));
  }
  CHECK(ids.size() == many);
  CHECK(branches.size() == many);
  CHECK(places.size() == many);
  CHECK(session_branches(*this, root) == branches);
  CHECK(servers.front()->ask("session.list").at("count") == many);
  check_consistent(*this, root, *servers.front());
  for (auto on : servers) {
    auto end = on->finish();
    CHECK(end.code == 0);
    CHECK(end.err.empty());
  }
}

TEST_CASE_METHOD(sandbox, "worktree.spawn: forty at once, none fails", "[scenario][worktrees]") {
  constexpr int processes = 4;
  constexpr int each = 10;
  for (int i = 0; i < 200; ++i)
    write(root / ("directory " + std::to_string(i % 20)) / (std::to_string(i) + " é.txt"),
          "text\n");
  git({"add", "."});
  git({"commit", "--quiet", "--message", "more files"});
  struct asked {
    server* on;
    int64_t session;
    int64_t parent;
    std::vector<int64_t> ids{};
  };
  std::vector<asked> all;
  for (int i = 0; i < processes; ++i) {
    auto& on = start();
    auto opened = contract::open_on(on);
    all.push_back({&on, opened["session"]["id"], opened["session_root_worktree"]["id"]});
  }
  for (int n = 0; n < each; ++n)
    for (auto& one : all)
      one.ids.push_back(one.on->request("worktree.spawn", {{"session_id", one.session},
                                                           {"parent_worktree_id", one.parent},
                                                           {"reason", "the same words"}}));
  std::set<std::string> places;
  for (auto& one : all)
    for (auto id : one.ids) {
      auto made = result_of(one.on->answer_to(id));
      places.insert(made["path"].get<std::string>());
      CHECK(git_in(made["path"].get<std::string>(), {"status", "--porcelain"}).empty());
      CHECK(git_in(made["path"].get<std::string>(), {"symbolic-ref", "--short", "HEAD"})
            == made["branch"]);
    }
  CHECK(places.size() == processes * each);
  check_consistent(*this, root, *all.front().on);
}
