#include "agent_rows.hpp"
#include "storage/inbox.hpp"
#include "storage/review_rounds.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct rounds_fixture : agent_rows {
  reviews_now look() {
    return in_tx([&](tx& t) { return reviews_wanted(t, config); });
  }

  /// The merge requests that are due.
  std::vector<int64_t> due() {
    std::vector<int64_t> ids;
    for (const auto& one : look().due)
      ids.push_back(one.merge_request_id);
    return ids;
  }

  void queue(int64_t request_id) {
    in_tx([&](tx& t) {
      t.run("INSERT INTO merge_main_queue(session_id, from_worktree_id, target_branch, "
            "merge_request_id, state, created_at, updated_at) VALUES(?, 1, 'main', ?, 'queued', ?, "
            "?)",
            s, request_id, t.now, t.now);
    });
  }

  int64_t begin(int64_t request_id) {
    return in_tx([&](tx& t) {
      auto job = begin_review(t, {s, request_id, "abc", 1'800, false});
      note_reviewer(t, job.id, reviewer);
      return job.id;
    });
  }

  void fail_a_round(int64_t request_id) {
    auto job = begin(request_id);
    in_tx([&](tx& t) { fail_review(t, job, "it died"); });
  }

  void give_up(const wanted_round& which) {
    in_tx([&](tx& t) { give_up_reviews(t, which, config); });
  }

  std::string queue_state(int64_t request_id) {
    return in_tx([&](tx& t) { return queued_for(t, request_id)->state; });
  }

  std::vector<inbox_message> inbox_of(int64_t thread_id) {
    return in_tx([&](tx& t) {
      return t.select<inbox_message>("FROM inbox_messages WHERE receiver_thread_id = ?", thread_id);
    });
  }

  reviews_config config{2, 3, 30};
  int64_t s = add_session();
  int64_t request = add_merge_request();
  int64_t reviewer = running_child(s).thread.id;
};

} // namespace

TEST_CASE_METHOD(rounds_fixture, "review rounds: what is queued and not judged is due",
                 "[reviews]") {
  CHECK(due().empty()); // nobody asks for it yet
  queue(request);
  CHECK(due() == std::vector{request});
  auto job = begin(request);
  CHECK(due().empty());
  CHECK(look().running == 1);
  in_tx([&](tx& t) { fail_review(t, job, "it died"); });
  CHECK(look().running == 0);
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: what is judged or over is not due", "[reviews]") {
  for (const char* status : {"approved", "rejected", "merged", "cancelled"})
    queue(add_merge_request(status));
  CHECK(due().empty());
  queue(request);
  in_tx([&](tx& t) { t.run("UPDATE sessions SET status = 'closed' WHERE id = ?", s); });
  CHECK(due().empty());
}

TEST_CASE_METHOD(rounds_fixture,
                 "review rounds: a failed reviewer is replaced after growing pauses", "[reviews]") {
  queue(request);
  fail_a_round(request);
  pass_seconds(29);
  CHECK(due().empty());
  pass_seconds(1);
  CHECK(due() == std::vector{request});
  fail_a_round(request);
  pass_seconds(59);
  CHECK(due().empty());
  pass_seconds(1);
  CHECK(look().due.at(0).failed_rounds == 2);
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: a review that was asked for by itself is replaced",
                 "[reviews]") {
  fail_a_round(request);
  pass_seconds(30);
  CHECK(due() == std::vector{request});
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: after the last a person is asked once",
                 "[reviews]") {
  queue(request);
  for (int i = 0; i < 3; ++i)
    fail_a_round(request);
  pass_seconds(100'000);
  auto now_wanted = look();
  CHECK(now_wanted.due.empty());
  REQUIRE(now_wanted.exhausted.size() == 1);
  auto root =
    *in_tx([&](tx& t) { return t.number("SELECT root_thread_id FROM sessions WHERE id = ?", s); });
  give_up(now_wanted.exhausted.front());
  CHECK(queue_state(request) == "failed");
  REQUIRE(inbox_of(root).size() == 1);
  CHECK(inbox_of(root)[0].message.find("3 reviewers ended without a verdict") == 0);
  give_up(now_wanted.exhausted.front());
  CHECK(inbox_of(root).size() == 1);
  CHECK(look().exhausted.empty());
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: a verdict ends the count", "[reviews]") {
  queue(request);
  fail_a_round(request);
  fail_a_round(request);
  auto job = begin(request);
  in_tx([&](tx& t) {
    caller from;
    from.thread_id = reviewer;
    submit_review(t, {job, "block", {}, "no", {}}, "abc", from);
    t.run("UPDATE merge_requests SET status = 'requested' WHERE id = ?", request);
  });
  CHECK(look().due.at(0).failed_rounds == 0);
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: a reviewer that cannot be started is a round",
                 "[reviews]") {
  queue(request);
  for (int64_t round = 0; round < config.rounds; ++round) {
    auto wanted = look().due.at(0);
    CHECK(wanted.failed_rounds == round);
    in_tx([&](tx& t) { note_failed_start(t, wanted, "there is no such branch"); });
    // Said twice, it still is one.
    in_tx([&](tx& t) { note_failed_start(t, wanted, "there is no such branch"); });
    now.us += 3'600'000'000;
  }
  auto exhausted = look().exhausted;
  REQUIRE(exhausted.size() == 1);
  give_up(exhausted.front());
  CHECK(queue_state(request) == "failed");
  CHECK(look().exhausted.empty());
}

TEST_CASE_METHOD(rounds_fixture, "review rounds: whoever took a session over is asked",
                 "[reviews]") {
  auto heir = add_session();
  fail_a_round(request);
  in_tx([&](tx& t) {
    t.run("UPDATE sessions SET status = 'handoff_attached' WHERE id = ?", s);
    t.run("INSERT INTO session_handoffs(from_session_id, to_session_id, state, created_at, "
          "completed_at) VALUES(?, ?, 'completed', ?, ?)",
          s, heir, t.now, t.now);
  });
  now.us += 3'600'000'000;
  REQUIRE(look().due.size() == 1);
  CHECK(look().due.at(0).session_id == heir);
  in_tx([&](tx& t) { t.run("UPDATE sessions SET status = 'closed' WHERE id = ?", heir); });
  CHECK(due().empty());
}
