#include "agent_rows.hpp"
#include "storage/directives.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct directive_fixture : agent_rows {
  directive add(int64_t to, const std::string& text, const std::string& mode = "queue") {
    return in_tx([&](tx& t) { return add_directive(t, to, mode, text); });
  }

  directive look(int64_t id) {
    return in_tx([&](tx& t) { return get_directive(t, id); });
  }

  std::optional<directive> next(int64_t thread_id) {
    return in_tx([&](tx& t) { return next_directive(t, thread_id); });
  }

  bool type(int64_t id) {
    return in_tx([&](tx& t) { return begin_typing(t, id); });
  }

  void note(int64_t id, const std::string& state, const std::optional<std::string>& why = {}) {
    in_tx([&](tx& t) { note_delivery(t, id, state, why); });
  }

  int64_t count() {
    return in_tx([](tx& t) { return *t.number("SELECT count(*) FROM directives"); });
  }

  std::vector<int64_t> ours(int64_t server = 1) {
    around->server = server;
    auto ids = in_tx([](tx& t) { return threads_to_follow(t); });
    around->server = 1;
    return ids;
  }

  bool any() {
    return in_tx([](tx& t) { return any_to_follow(t); });
  }

  std::optional<int64_t> followed_by(int64_t thread_id) {
    return in_tx(
      [&](tx& t) { return t.number("SELECT followed_by FROM threads WHERE id = ?", thread_id); });
  }

  int64_t s = add_session();
  int64_t a = running_child(s).thread.id;
  int64_t b = running_child(s).thread.id;
};

using ids = std::vector<int64_t>;

} // namespace

TEST_CASE_METHOD(directive_fixture, "directives: the oldest that is not over is next",
                 "[directives]") {
  CHECK_FALSE(next(a));
  auto first = add(a, "one");
  auto second = add(a, "two", "interrupt_patch");
  add(b, "other");
  CHECK(first.state == "stored");
  CHECK(first.attempts == 0);
  CHECK(next(a)->id == first.id);
  for (auto state : {"typed", "submitted"}) {
    note(first.id, state);
    CHECK(next(a)->id == first.id);
  }
  note(first.id, GENERATE(as<std::string>{}, "seen", "failed"));
  CHECK(next(a)->id == second.id);
  CHECK(next(a)->mode == "interrupt_patch");
  note(second.id, "seen");
  CHECK_FALSE(next(a));
}

TEST_CASE_METHOD(directive_fixture, "directives: one that can't be confirmed holds up none",
                 "[directives]") {
  auto first = add(a, "one");
  auto second = add(a, "two");
  type(first.id);
  note(first.id, "submitted", "this program does not say what it reads");
  CHECK(next(a)->id == second.id);
  CHECK_FALSE(look(first.id).over());
}

TEST_CASE_METHOD(directive_fixture, "directives: nobody is told anything who is not there",
                 "[directives]") {
  auto refusal = [&](int64_t thread_id, const std::string& mode) {
    return refused([&](tx& t) { add_directive(t, thread_id, mode, "go on"); });
  };
  CHECK(refusal(99, "queue").code == errc::not_found);
  auto status = GENERATE(as<std::string>{}, "stopped", "completed", "failed");
  end(a, status);
  CHECK(refusal(a, "queue").code == errc::failed_precondition);
  CHECK(refusal(a, "queue").data["status"] == status);
  CHECK(refusal(a, "interrupt_patch").code == errc::failed_precondition);
  CHECK(refusal(a, "restart").code == errc::none);
  auto planned = spawn(s, std::nullopt).row.thread.id;
  CHECK(refusal(planned, "queue").code == errc::failed_precondition);
}

TEST_CASE_METHOD(directive_fixture, "directives: a pending message becomes one, once",
                 "[directives]") {
  auto sent = send(b, a, "look at\nsrc/");
  auto made = next(a);
  REQUIRE(made);
  CHECK(made->inbox_message_id == sent);
  CHECK(made->mode == "queue");
  CHECK(made->text
        == "[message #" + std::to_string(sent) + " from thread #" + std::to_string(b)
             + ", worker]\nlook at\nsrc/");
  CHECK(next(a)->id == made->id);
  CHECK(count() == 1);
  CHECK_FALSE(next(b));
  CHECK(message(sent).status == "pending");
  CHECK(look(made->id).created_at == now);
}

TEST_CASE_METHOD(directive_fixture, "directives: messages come in their order, after directives",
                 "[directives]") {
  auto first = send(b, a, "one");
  auto second = send(b, a, "two");
  auto told = add(a, "told");
  CHECK(next(a)->id == told.id);
  CHECK(count() == 1);
  note(told.id, "seen");
  CHECK(next(a)->inbox_message_id == first);
  note(next(a)->id, "seen");
  CHECK(next(a)->inbox_message_id == second);
  note(next(a)->id, "seen");
  CHECK_FALSE(next(a));
}

TEST_CASE_METHOD(directive_fixture, "directives: a message that was seen is delivered",
                 "[directives]") {
  auto sent = send(b, a, "one");
  auto made = next(a)->id;
  CHECK(type(made));
  note(made, "submitted");
  CHECK(message(sent).status == "pending");
  pass_seconds(1);
  note(made, "seen");
  CHECK(message(sent).status == "delivered");
  CHECK(message(sent).delivered_at == now);
  CHECK_FALSE(next(a));
}

TEST_CASE_METHOD(directive_fixture, "directives: a message that was fetched is not typed",
                 "[directives]") {
  auto sent = send(b, a, "one");
  auto made = next(a)->id;
  in_tx([&](tx& t) { deliver_message(t, {sent}); });
  auto at = message(sent).delivered_at;
  pass_seconds(1);
  CHECK_FALSE(type(made));
  CHECK(look(made).state == "seen");
  CHECK(look(made).attempts == 0);
  CHECK(message(sent).delivered_at == at);
  CHECK_FALSE(next(a));
}

TEST_CASE_METHOD(directive_fixture, "directives: a message that was fetched before is none",
                 "[directives]") {
  auto sent = send(b, a, "one");
  in_tx([&](tx& t) { deliver_message(t, {sent}); });
  CHECK_FALSE(next(a));
  CHECK(count() == 0);
}

TEST_CASE_METHOD(directive_fixture, "directives: a message that failed stays to be fetched",
                 "[directives]") {
  auto sent = send(b, a, "one");
  note(next(a)->id, "failed", "typed 3 times");
  CHECK(message(sent).status == "pending");
  CHECK_FALSE(next(a));
  CHECK(count() == 1);
}

TEST_CASE_METHOD(directive_fixture, "directives: each attempt to type is counted", "[directives]") {
  auto id = add(a, "one").id;
  CHECK(type(id));
  CHECK(look(id).state == "typed");
  CHECK(look(id).attempts == 1);
  note(id, "submitted");
  pass_seconds(3);
  CHECK(type(id));
  CHECK(look(id).attempts == 2);
  CHECK(look(id).updated_at == now);
  note(id, "seen");
  CHECK_FALSE(type(id));
  CHECK(look(id).attempts == 2);
}

TEST_CASE_METHOD(directive_fixture, "directives: what is over stays as it is", "[directives]") {
  auto id = add(a, "one").id;
  note(id, "failed", "why");
  auto before = changes;
  pass_seconds(1);
  note(id, "seen");
  note(id, "failed", "another reason");
  CHECK(look(id).state == "failed");
  CHECK(look(id).error_message == "why");
  CHECK(look(id).updated_at < now);
  CHECK(changes == before);
  CHECK(refused([](tx& t) { get_directive(t, 99); }).code == errc::not_found);
}

TEST_CASE_METHOD(directive_fixture, "directives: a new one wakes whoever looks after the thread",
                 "[directives]") {
  auto before = wake_ups;
  add(a, "one");
  CHECK(wake_ups == before + 1);
  send(a, b, "hello");
  CHECK(wake_ups == before + 2);
}

TEST_CASE_METHOD(directive_fixture, "followed threads: those to which something is on its way",
                 "[directives]") {
  CHECK_FALSE(any());
  CHECK(ours().empty());
  auto told = add(b, "one").id;
  CHECK(any());
  CHECK(ours() == ids{b});
  CHECK(ours() == ids{b});
  CHECK(followed_by(b) == 1);
  CHECK_FALSE(followed_by(a));
  send(b, a, "hello");
  CHECK(ours() == ids{a, b});
  note(told, "seen");
  CHECK(ours() == ids{a});
  note(next(a)->id, "seen");
  CHECK_FALSE(any());
}

TEST_CASE_METHOD(directive_fixture, "followed threads: no message waits for who is not there",
                 "[directives]") {
  auto planned = spawn(s, std::nullopt).row.thread.id;
  send(b, planned, "hello");
  end(a, "stopped");
  send(b, a, "hello");
  CHECK_FALSE(any());
  CHECK(ours().empty());
}

TEST_CASE_METHOD(directive_fixture, "followed threads: a message that can't come any further",
                 "[directives]") {
  send(b, a, "hello");
  SECTION("because it failed") {
    note(next(a)->id, "failed", "typed 3 times");
  }
  SECTION("because nobody can tell whether it came") {
    note(next(a)->id, "submitted", "this program does not say what it reads");
  }
  CHECK_FALSE(next(a));
  CHECK_FALSE(any());
  CHECK(ours().empty());
}

TEST_CASE_METHOD(directive_fixture, "followed threads: not those of living servers",
                 "[directives]") {
  add(a, "one");
  CHECK(ours(7) == ids{a});
  CHECK(ours().empty());
  CHECK(followed_by(a) == 7);
  add(b, "one");
  CHECK(ours() == ids{b});
  dead_servers.insert(7);
  CHECK(ours() == ids{a, b});
  CHECK(followed_by(a) == 1);
}

TEST_CASE_METHOD(directive_fixture, "followed threads: an agent's server does not follow it",
                 "[directives]") {
  add(a, "one");
  add(b, "one");
  around->own_thread = a;
  CHECK(ours() == ids{b});
  CHECK_FALSE(followed_by(a));
  ours(7);
  dead_servers.insert(7);
  CHECK(ours() == ids{b});
  in_tx([&](tx& t) { t.run("UPDATE threads SET followed_by = 1 WHERE id = ?", a); });
  CHECK(ours() == ids{b});
}

TEST_CASE_METHOD(directive_fixture, "followed threads: they can be given up", "[directives]") {
  add(a, "one");
  ours();
  around->server = 7;
  in_tx([&](tx& t) { stop_following(t, a); });
  around->server = 1;
  CHECK(followed_by(a) == 1);
  in_tx([&](tx& t) { stop_following(t, a); });
  CHECK_FALSE(followed_by(a));
  CHECK(ours(7) == ids{a});
}

TEST_CASE_METHOD(directive_fixture, "followed threads: following is no change of state",
                 "[directives]") {
  add(a, "one");
  auto before = changes;
  ours();
  ours();
  in_tx([&](tx& t) { stop_following(t, a); });
  CHECK(changes == before);
}

TEST_CASE_METHOD(directive_fixture, "followed threads: reviewers, until they are dismissed",
                 "[directives]") {
  auto request = add_merge_request();
  auto job = in_tx([&](tx& t) { return begin_review(t, {s, request, "abc", 60, false}); });
  CHECK(any()); // whoever began it may have died
  CHECK(ours().empty());
  in_tx([&](tx& t) { note_reviewer(t, job.id, a); });
  CHECK(ours() == ids{a});
  in_tx([&](tx& t) { fail_review(t, job.id, "time"); });
  CHECK(ours() == ids{a});
  end(a, "completed");
  CHECK(ours().empty());
  CHECK_FALSE(any());
}
