#include "panes.hpp"

using namespace orch::test;

namespace {

/// A repository whose loops run, once a second each.
struct looped : panes {
  looped() { set_up(json::object()); }

  void set_up(const json& agents, const json& more = json::object()) const {
    json own{{"tmux_socket", socket}};
    own.update(agents);
    json loops{{"enabled", true},      {"lease_expiry", 1},      {"session_liveness", 1},
               {"thread_liveness", 1}, {"reviewer_dispatch", 1}, {"mirror_refresh", 1}};
    loops.update(more);
    write(root / ".codex-orch" / "config.json",
          json{{"agents", own}, {"loops", loops}, {"reviews", {{"retry_seconds", 0}}}}.dump());
  }

  std::string text(const std::string& query) const {
    auto found = state_file{root}.rows(query);
    return found.empty() ? std::string{} : found.front();
  }

  json lease(server& on, const std::string& path) const {
    return on.ask("lock.acquire", {{"scope_type", "file"},
                                   {"scope_path", path},
                                   {"owner_session", "somebody"},
                                   {"ttl_seconds", 1}});
  }

  void expires(const json& lock) const {
    eventually("the lease has been ended", [&] {
      return text(fmt::format("SELECT state FROM locks WHERE id = {}", lock["id"].get<int64_t>()))
             == "expired";
    });
  }
};

/// Reviewers that are shell scripts in place of Codex.
struct looped_reviews : looped {
  looped_reviews() {
    write(base / "reviewer", script);
    std::filesystem::permissions(base / "reviewer", std::filesystem::perms::owner_all);
    set_up(
      {{"codex_command", quoted((base / "reviewer").string())}, {"review_timeout_seconds", 3}});
    variables = {"REVIEWER_BASE=" + base.string(), "ORCHESTRATOR=" + std::string{ORCH_PROGRAM}};
  }

  /// Queues a merge that wants a review; its session.
  json queue_merge() {
    auto context = open();
    path tree = context["session_root_worktree"]["path"].get<std::string>();
    write(tree / "new.txt", "new\n");
    git_in(tree, {"add", "."});
    git_in(tree, {"commit", "--quiet", "--message", "new"});
    auto feature = ask("task.create", {{"level", "feature"}, {"title", "f"}})["id"];
    auto request = ask("merge.request", {{"feature_task_id", feature}})["id"];
    ask("merge.main.request", {{"session_id", context["session"]["id"]},
                               {"from_worktree_id", context["session_root_worktree"]["id"]},
                               {"merge_request_id", request},
                               {"auto_review", false}});
    return request;
  }

  std::string status_of(const json& request) const {
    return text(
      fmt::format("SELECT status FROM merge_requests WHERE id = {}", request.get<int64_t>()));
  }

  /// Acts by the number of the merge request: 2 dies and 3 hangs in the first round, 4 in all.
  static constexpr const char* script = R"sh(#!/bin/sh
for last; do prompt=$last; done
case $prompt in
*"assignment is in the file"*)
  file=${prompt#*in the file }; prompt=$(cat "${file%%. Read*}") ;;
esac
request=$(printf '%s' "$prompt" | sed -n 's/^Review merge request #\([0-9]*\) .*/\1/p' | head -n 1)
job=$(printf '%s' "$prompt" | sed -n 's/.*(review job #\([0-9]*\)).*/\1/p' | head -n 1)
echo "$request $job" >> "$REVIEWER_BASE/rounds"
if [ "$request" = 4 ]; then kill -9 $$; fi
if mkdir "$REVIEWER_BASE/round-of-$request"; then
  if [ "$request" = 2 ]; then sleep 0.5; kill -9 $$; fi
  if [ "$request" = 3 ]; then sleep 600; fi
fi
exec "$ORCHESTRATOR" once --repo "$ORCH_REPO" --method merge.review.submit \
  --params "{\"review_job_id\":$job,\"verdict\":\"approve\"}"
)sh";
};

} // namespace

TEST_CASE_METHOD(looped, "loops: a lease that is over is ended without anybody asking",
                 "[scenario][loops]") {
  auto& server = first();
  auto lock = lease(server, "a.txt");
  expires(lock);
}

TEST_CASE_METHOD(looped, "loops: nothing runs by itself unless it was asked for",
                 "[scenario][loops]") {
  set_up(json::object(), {{"enabled", false}});
  lease(first(), "a.txt");
  eventually("the lease is over", [&] {
    return text("SELECT lease_until < (julianday('now') - 2440587.5) * 86400e6 FROM locks") == "1";
  });
  CHECK(text("SELECT state FROM locks") == "active");
  CHECK_FALSE(std::filesystem::exists(root / ".codex-orch" / "leader.lock"));
}

TEST_CASE_METHOD(looped, "loops: another server takes over from a leader that is killed",
                 "[scenario][loops]") {
  auto& leader = serve();
  expires(lease(leader, "a.txt"));
  auto& next = serve();
  auto lock = lease(next, "b.txt");
  leader.kill(SIGKILL);
  expires(lock);
}

TEST_CASE_METHOD(looped, "loops: sessions of a dead server are suspended, the mirror is written",
                 "[scenario][loops]") {
  auto& victim = serve();
  auto session = victim.ask("session.open")["session_context"]["session"]["id"];
  first().ask("workspace.init");
  victim.kill(SIGKILL);
  eventually("it is suspended", [&] { return text("SELECT status FROM sessions") == "suspended"; });
  eventually("the mirror tells so", [&] {
    return read(root / ".codex-orch" / "mirror" / "status.md").find("suspended")
           != std::string::npos;
  });
}

TEST_CASE_METHOD(looped, "loops: an agent that ends is noticed without anybody asking",
                 "[scenario][loops][agents]") {
  if (!ready())
    return;
  auto session = open()["session"]["id"];
  auto thread = ask("thread.child.spawn", {{"session_id", session},
                                           {"provider", "command"},
                                           {"launch_command", "exec sleep 600"}})["thread"];
  ::kill(process_of(thread), SIGKILL);
  eventually("it is known", [&] {
    return text("SELECT status FROM threads WHERE parent_thread_id IS NOT NULL") == "failed";
  });
}

TEST_CASE_METHOD(looped_reviews,
                 "loops: three reviewers, one is killed, one hangs: all requests get a verdict",
                 "[scenario][loops][agents]") {
  if (!ready())
    return;
  json requests;
  for (int i = 0; i < 3; ++i)
    requests.push_back(queue_merge());
  for (const auto& request : requests)
    eventually(fmt::format("request {} is approved", request.get<int64_t>()),
               [&] { return status_of(request) == "approved"; });
  CHECK(text("SELECT count(*) FROM review_jobs WHERE merge_request_id = 2 AND state = 'failed'")
        == "1");
  CHECK(text("SELECT count(*) FROM review_jobs WHERE merge_request_id = 3 AND state = 'failed'")
        == "1");
  CHECK(text("SELECT count(*) FROM review_jobs WHERE state = 'running'") == "0");
  CHECK(text("SELECT state FROM merge_main_lock") == "unlocked");
}

TEST_CASE_METHOD(looped_reviews, "loops: after three reviewers in vain a person is asked",
                 "[scenario][loops][agents]") {
  if (!ready())
    return;
  for (int i = 0; i < 3; ++i) // numbers 1 to 3 are not wanted here
    ask("merge.request",
        {{"feature_task_id", ask("task.create", {{"level", "feature"}, {"title", "f"}})["id"]}});
  auto request = queue_merge();
  REQUIRE(request == 4);
  eventually("the merge has failed",
             [&] { return text("SELECT state FROM merge_main_queue") == "failed"; });
  CHECK(text("SELECT count(*) FROM review_jobs WHERE state = 'failed'") == "3");
  CHECK(text("SELECT count(*) FROM inbox_messages WHERE message LIKE '3 reviewers ended%'") == "1");
}

TEST_CASE_METHOD(looped, "loops: worktrees of closed sessions go, and with them nothing of value",
                 "[scenario][loops]") {
  set_up(json::object(), {{"worktree_prune", 1}, {"prune_after_hours", 0}});
  auto& on = start();
  auto directory = [&](const json& opened) {
    return path{opened["session_root_worktree"]["path"].get<std::string>()};
  };
  auto done = contract::open_on(on);
  auto precious = contract::open_on(on);
  auto live = contract::open_on(on);
  write(directory(precious) / "new.txt", "mine\n");
  for (const auto* opened : {&done, &precious})
    on.ask("session.close", {{"session_id", (*opened)["session"]["id"]}});
  eventually("what is kept elsewhere is removed",
             [&] { return !std::filesystem::exists(directory(done)); });
  CHECK(read(directory(precious) / "new.txt") == "mine\n");
  CHECK(std::filesystem::exists(directory(live)));
}
