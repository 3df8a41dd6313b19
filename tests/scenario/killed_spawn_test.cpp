#include "panes.hpp"

#include <algorithm>
#include <array>
#include <thread>

using namespace orch::test;

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Kills a server at moments of a request that starts an agent, and repeats that with its key.
struct killed_spawns : panes {
  killed_spawns() {
    configure({{"max_children", 100}});
    session = open()["session"]["id"];
  }

  /// The program of an agent that leaves a line when it starts.
  std::string agent_of(const std::string& key) const {
    return "echo started >>" + quoted((base / key).string()) + "; exec sleep 600";
  }

  json spawn_params(const std::string& key) const {
    return {{"session_id", session},
            {"provider", "command"},
            {"launch_command", agent_of(key)},
            {"max_concurrent_children", 100},
            {"request_key", key}};
  }

  /// Runs one round; the answer that the repeat got.
  json kill_and_repeat(const std::string& method, const json& params, milliseconds after) {
    auto& victim = serve();
    victim.ask("workspace.init");
    victim.request(method, params);
    // The moment to kill at is what the round is about; nothing is waited for.
    auto end = steady::now() + after;
    while (steady::now() < end)
      std::this_thread::yield();
    victim.kill(SIGKILL);
    return serve().ask(method, params);
  }

  /// One agent was started for that key, and it is the thread's.
  void check_one(const json& thread, const std::string& key) {
    eventually("the agent of " + key + " has started",
               [&] { return lines_of(read(base / key)).size() == 1; });
    CHECK(thread["status"] == "initializing");
    check_panes();
    CHECK(state_file{root}.number("SELECT count(*) FROM threads WHERE status = 'failed'") == 0);
  }

  /// Each round has started one agent, and no pane is without a thread.
  void check_panes() const {
    state_file state{root};
    CHECK(state.rows("SELECT tmux_pane_id FROM threads WHERE tmux_pane_id IS NOT NULL ORDER BY 1")
          == sorted(lines_of(tmux_says({"list-panes", "-a", "-F", "#{pane_id}"}) + "\n")));
    // What never got a pane is `failed`, and says so.
    CHECK(
      state.number("SELECT count(*) FROM threads WHERE parent_thread_id IS NOT NULL AND (status "
                   "<> 'failed' OR tmux_pane_id IS NOT NULL)")
      == rounds);
  }

  static std::vector<std::string> sorted(std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  json session;
  int64_t rounds = 0;
};

/// About as long as a launch takes, with the look whether it ends at once.
constexpr std::array moments{0, 5, 10, 15, 20, 25, 30, 40, 60, 100, 200, 290};

} // namespace

TEST_CASE_METHOD(killed_spawns, "spawn: killed at any moment and repeated, it starts one agent",
                 "[scenario][agents]") {
  if (!ready())
    return;
  for (auto moment : moments) {
    INFO("killed after " << moment << " ms");
    auto key = fmt::format("spawn-{}", moment);
    ++rounds;
    auto spawned = kill_and_repeat("thread.child.spawn", spawn_params(key), milliseconds{moment});
    check_one(spawned["thread"], key);
    // Who is told of it once more is told of the same.
    CHECK(serve().ask("thread.child.spawn", spawn_params(key))["thread"]["id"]
          == spawned["thread"]["id"]);
  }
}

TEST_CASE_METHOD(killed_spawns, "review: killed at any moment and repeated, it has one reviewer",
                 "[scenario][agents]") {
  if (!ready())
    return;
  for (auto moment : moments) {
    INFO("killed after " << moment << " ms");
    auto feature = ask("task.create", {{"level", "feature"}, {"title", "f"}})["id"];
    auto request = ask("merge.request", {{"feature_task_id", feature}})["id"];
    auto key = fmt::format("review-{}", moment);
    json params{{"session_id", session},   {"merge_request_id", request},
                {"provider", "command"},   {"launch_command", agent_of(key)},
                {"hold_main_lock", false}, {"request_key", key}};
    ++rounds;
    auto made = kill_and_repeat("merge.review.request_auto", params, milliseconds{moment});
    CHECK(made["review_job"]["state"] == "running");
    CHECK(made["review_job"]["reviewer_thread_id"] == made["thread"]["id"]);
    eventually("the reviewer has started", [&] { return lines_of(read(base / key)).size() == 1; });
    check_panes();
    state_file state{root};
    CHECK(state.number(fmt::format(
            "SELECT count(*) FROM review_jobs WHERE merge_request_id = {} AND state = 'running'",
            request.get<int64_t>()))
          == 1);
    CHECK(serve().ask("merge.review.request_auto", params)["review_job"]["id"]
          == made["review_job"]["id"]);
  }
}
