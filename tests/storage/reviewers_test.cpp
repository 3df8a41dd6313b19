#include "agent_rows.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct review_fixture : agent_rows {
  review_job begin(bool hold_main_lock = true) {
    return in_tx([&](tx& t) {
      return begin_review(t, {s, request, "abc", 1'800, hold_main_lock});
    });
  }

  request_error refused_begin(int64_t session_id, int64_t merge_request_id) {
    return refused([&](tx& t) {
      begin_review(t, {session_id, merge_request_id, "abc", 1'800, true});
    });
  }

  /// A job with its reviewer.
  review_job running(bool hold_main_lock = true) {
    auto id = begin(hold_main_lock).id;
    return in_tx([&](tx& t) { return note_reviewer(t, id, reviewer); });
  }

  void fail(int64_t job_id, const std::string& why = "no time") {
    in_tx([&](tx& t) { fail_review(t, job_id, why); });
  }

  static caller thread_caller(int64_t thread_id) {
    caller from;
    from.thread_id = thread_id;
    return from;
  }

  static merge_review_submit verdict_on(int64_t job_id, const std::string& verdict) {
    merge_review_submit made;
    made.review_job_id = job_id;
    made.verdict = verdict;
    made.summary = "looked at all of it";
    return made;
  }

  review_job submit(int64_t job_id, const std::string& verdict) {
    return in_tx([&](tx& t) {
      return submit_review(t, verdict_on(job_id, verdict), "abc", thread_caller(reviewer));
    });
  }

  request_error refused_submit(int64_t job_id, const std::string& head, const caller& from) {
    return refused([&](tx& t) { submit_review(t, verdict_on(job_id, "approve"), head, from); });
  }

  review_job job(int64_t id) {
    return in_tx([&](tx& t) { return get_review(t, id); });
  }

  std::string request_status() {
    return in_tx([&](tx& t) {
      return t.get<merge_request_record>("merge_requests", request, "merge request").status;
    });
  }

  std::optional<int64_t> lock_holder() {
    return in_tx([](tx& t) { return main_lock_holder(t); });
  }

  void take_lock(int64_t session_id, int64_t seconds = 600) {
    in_tx([&](tx& t) { acquire_main_lock(t, {session_id, seconds, 0}); });
  }

  int64_t count_jobs() {
    return in_tx([](tx& t) { return *t.number("SELECT count(*) FROM review_jobs"); });
  }

  int64_t s = add_session(/*ours=*/true);
  int64_t other = add_session();
  int64_t request = add_merge_request();
  int64_t reviewer = running_child(s).thread.id;
  int64_t worker = running_child(s).thread.id;
};

} // namespace

TEST_CASE_METHOD(review_fixture, "review jobs: a review takes request and main lock", "[reviews]") {
  auto made = begin();
  CHECK(made.state == "running");
  CHECK(made.head_sha == "abc");
  CHECK(made.session_id == s);
  CHECK(made.holds_main_lock);
  CHECK(made.deadline == plus_seconds(now, 1'800));
  CHECK_FALSE(made.reviewer_thread_id);
  CHECK(request_status() == "in_review");
  CHECK(lock_holder() == s);
  pass_seconds(1'800);
  CHECK(lock_holder() == s); // until the deadline has been seen
  pass_seconds(120);
  CHECK_FALSE(lock_holder());
}

TEST_CASE_METHOD(review_fixture, "review jobs: a review never cuts the session's lease short",
                 "[reviews]") {
  take_lock(s, 10'000);
  auto made = begin();
  CHECK_FALSE(made.holds_main_lock);
  pass_seconds(9'000);
  CHECK(lock_holder() == s);
  fail(made.id);
  CHECK(lock_holder() == s);
}

TEST_CASE_METHOD(review_fixture, "review jobs: the last of several gives the main lock back",
                 "[reviews]") {
  auto first = running();
  request = add_merge_request();
  auto second = running();
  CHECK(second.holds_main_lock);
  fail(first.id);
  CHECK(lock_holder() == s);
  fail(second.id);
  CHECK_FALSE(lock_holder());
}

TEST_CASE_METHOD(review_fixture, "review jobs: what the session takes itself it keeps",
                 "[reviews]") {
  auto made = running();
  take_lock(s);
  fail(made.id);
  CHECK(lock_holder() == s);
}

TEST_CASE_METHOD(review_fixture, "review jobs: without the main lock others may merge",
                 "[reviews]") {
  take_lock(other);
  CHECK_FALSE(begin(false).holds_main_lock);
  CHECK(lock_holder() == other);
}

TEST_CASE_METHOD(review_fixture, "review jobs: one at a time for a merge request", "[reviews]") {
  auto first = begin();
  auto starting = around->doing.take(name_of_review(first.id));
  auto error = refused_begin(s, request);
  CHECK(error.code == errc::conflict);
  CHECK(error.data["review_job_id"] == first.id);
  fail(first.id);
  auto second = begin();
  CHECK(second.id > first.id);
  CHECK(in_tx([&](tx& t) { return newest_review(t, request); })->id == second.id);
}

TEST_CASE_METHOD(review_fixture, "review jobs: who cannot get the main lock begins none",
                 "[reviews]") {
  take_lock(other);
  auto error = refused_begin(s, request);
  CHECK(error.code == errc::conflict);
  CHECK(error.data["holder"]["holder_session_id"] == other);
  CHECK(count_jobs() == 0);
  CHECK(request_status() == "requested");
  CHECK(lock_holder() == other);
}

TEST_CASE_METHOD(review_fixture, "review jobs: what is no request for a review is refused",
                 "[reviews]") {
  CHECK(refused_begin(s, 99).code == errc::not_found);
  CHECK(refused_begin(99, request).code == errc::not_found);
  CHECK(refused_begin(s, add_merge_request("merged")).code == errc::failed_precondition);
  CHECK(refused_begin(s, add_merge_request("cancelled")).code == errc::failed_precondition);
  in_tx([&](tx& t) { t.run("UPDATE sessions SET status = 'closed' WHERE id = ?", s); });
  CHECK(refused_begin(s, request).code == errc::failed_precondition);
}

TEST_CASE_METHOD(review_fixture, "review jobs: a failed one gives back what it holds",
                 "[reviews]") {
  auto id = running().id;
  pass_seconds(1);
  fail(id);
  auto found = job(id);
  CHECK(found.state == "failed");
  CHECK(found.error_message == "no time");
  CHECK(found.completed_at == now);
  CHECK_FALSE(found.holds_main_lock);
  CHECK_FALSE(found.verdict);
  CHECK_FALSE(lock_holder());
  CHECK(request_status() == "requested");
  auto before = changes;
  fail(id, "again");
  CHECK(job(id).error_message == "no time");
  CHECK(changes == before);
}

TEST_CASE_METHOD(review_fixture, "review jobs: a lock that the session had stays with it",
                 "[reviews]") {
  take_lock(s);
  auto made = running();
  CHECK_FALSE(made.holds_main_lock);
  SECTION("after a failure") {
    fail(made.id);
  }
  SECTION("after a verdict") {
    submit(made.id, "approve");
  }
  CHECK(lock_holder() == s);
}

TEST_CASE_METHOD(review_fixture, "review jobs: a lock that others took meanwhile is theirs",
                 "[reviews]") {
  auto id = running().id;
  pass_seconds(2'000);
  take_lock(other);
  fail(id);
  CHECK(lock_holder() == other);
}

TEST_CASE_METHOD(review_fixture, "review jobs: a verdict ends the review", "[reviews]") {
  auto [verdict, status] =
    GENERATE(table<std::string, std::string>({{"approve", "approved"}, {"block", "rejected"}}));
  auto id = running().id;
  pass_seconds(1);
  auto before = wake_ups;
  submit(id, verdict);
  auto found = job(id);
  CHECK(found.state == "completed");
  CHECK(found.verdict == verdict);
  CHECK(found.summary == "looked at all of it");
  CHECK_FALSE(found.findings);
  CHECK(found.completed_at == now);
  CHECK_FALSE(found.holds_main_lock);
  CHECK_FALSE(lock_holder());
  CHECK(request_status() == status);
  CHECK(wake_ups > before);
  fail(id, "late");
  CHECK(job(id).state == "completed");
  CHECK(request_status() == status);
}

TEST_CASE_METHOD(review_fixture, "review jobs: findings are kept", "[reviews]") {
  auto id = running().id;
  auto given = verdict_on(id, "block");
  given.findings = {{"src/a.cpp", 7, "critical", "it \"breaks\"", {}},
                    {"src/b.cpp", {}, "minor", "ünclear", "a test"}};
  in_tx([&](tx& t) { submit_review(t, given, "abc", thread_caller(reviewer)); });
  auto kept = json::parse(job(id).findings->text);
  REQUIRE(kept.size() == 2);
  CHECK(kept[0]["line"] == 7);
  CHECK(kept[0]["description"] == "it \"breaks\"");
  CHECK_FALSE(kept[0].contains("evidence"));
  CHECK(kept[1]["evidence"] == "a test");
  CHECK_FALSE(kept[1].contains("line"));
}

TEST_CASE_METHOD(review_fixture, "review jobs: a verdict on another commit is refused",
                 "[reviews]") {
  auto id = running().id;
  auto error = refused_submit(id, "def", thread_caller(reviewer));
  CHECK(error.code == errc::failed_precondition);
  CHECK(error.data["reviewed"] == "abc");
  CHECK(error.data["head"] == "def");
  CHECK(job(id).state == "running");
  CHECK(lock_holder() == s);
  CHECK(request_status() == "in_review");
}

TEST_CASE_METHOD(review_fixture, "review jobs: authors judge nothing of their own", "[reviews]") {
  auto id = running().id;
  CHECK(refused_submit(id, "abc", {}).code == errc::permission_denied); // the session's server
  CHECK(refused_submit(id, "abc", thread_caller(worker)).code == errc::permission_denied);
  CHECK(refused_submit(id, "abc", thread_caller(root_of(s))).code == errc::permission_denied);
  CHECK(job(id).state == "running");
  around->server = 7;
  CHECK(refused_submit(id, "abc", thread_caller(worker)).code == errc::permission_denied);
  CHECK(refused_submit(id, "abc", {}).code == errc::none); // a person elsewhere
  CHECK(job(id).state == "completed");
}

TEST_CASE_METHOD(review_fixture, "review jobs: nobody judges before there is a reviewer",
                 "[reviews]") {
  auto id = begin().id;
  CHECK(refused_submit(id, "abc", thread_caller(worker)).code == errc::permission_denied);
}

TEST_CASE_METHOD(review_fixture, "review jobs: what is over gets no verdict", "[reviews]") {
  auto id = running().id;
  submit(id, "approve");
  auto error = refused_submit(id, "abc", thread_caller(reviewer));
  CHECK(error.code == errc::failed_precondition);
  CHECK(error.data["state"] == "completed");
  CHECK(refused_submit(99, "abc", thread_caller(reviewer)).code == errc::not_found);
}

TEST_CASE_METHOD(review_fixture, "review jobs: a reviewer knows its last job", "[reviews]") {
  auto last = [&](int64_t thread_id) {
    return in_tx([&](tx& t) { return last_review_of_thread(t, thread_id); });
  };
  CHECK_FALSE(last(reviewer));
  auto first = running().id;
  CHECK(last(reviewer)->id == first);
  CHECK(last(reviewer)->state == "running");
  CHECK_FALSE(last(worker));
  submit(first, "block");
  CHECK(last(reviewer)->state == "completed");
  auto second = running().id;
  CHECK(last(reviewer)->id == second);
}

TEST_CASE_METHOD(review_fixture, "review jobs: reminders are counted", "[reviews]") {
  auto id = running().id;
  auto before = changes;
  for (int64_t i = 0; i < 3; ++i)
    CHECK(in_tx([&](tx& t) { return count_reminder(t, id); }) == i);
  CHECK(changes == before);
}

TEST_CASE_METHOD(review_fixture, "review jobs: what a dead server was about to begin fails",
                 "[reviews]") {
  auto sweep = [&] { in_tx([](tx& t) { fail_abandoned_reviews(t); }); };
  around->server = 7;
  auto id = begin().id;
  around->server = 1;
  sweep();
  CHECK(job(id).state == "running");
  dead_servers.insert(7);
  SECTION("but not with a reviewer") {
    in_tx([&](tx& t) { note_reviewer(t, id, reviewer); });
    sweep();
    CHECK(job(id).state == "running");
  }
  SECTION("without one") {
    sweep();
    CHECK(job(id).state == "failed");
    CHECK_FALSE(lock_holder());
    CHECK(request_status() == "requested");
  }
}

TEST_CASE_METHOD(review_fixture, "review jobs: what our own server has lost fails", "[reviews]") {
  auto id = begin().id;
  {
    auto held = in_tx([&](tx& t) { return t.take_in_hand(name_of_review(id)); });
    in_tx([](tx& t) { fail_abandoned_reviews(t); });
    CHECK(job(id).state == "running");
  }
  in_tx([](tx& t) { fail_abandoned_reviews(t); });
  CHECK(job(id).state == "failed");
}

TEST_CASE_METHOD(review_fixture, "review jobs: the branch is the queued one or the session's own",
                 "[reviews]") {
  auto branch = [&] {
    return in_tx([&](tx& t) { return reviewed_worktree(t, s, request).branch; });
  };
  CHECK(branch() == "session-" + std::to_string(s) + "-root");
  in_tx([&](tx& t) {
    main_merge_request queued;
    queued.session_id = s;
    queued.from_worktree_id = add_worktree(t, s, "part").id;
    queued.target_branch = "main";
    queued.merge_request_id = request;
    queued.created_at = queued.updated_at = t.now;
    t.insert("merge_main_queue", queued);
  });
  CHECK(branch() == "session-" + std::to_string(s) + "-part");
  CHECK(refused([&](tx& t) { reviewed_worktree(t, s, 99); }).code == errc::not_found);
  in_tx(
    [&](tx& t) { t.run("UPDATE sessions SET session_root_worktree_id = NULL WHERE id = ?", s); });
  auto another = add_merge_request();
  CHECK(refused([&](tx& t) { reviewed_worktree(t, s, another); }).code
        == errc::failed_precondition);
}
