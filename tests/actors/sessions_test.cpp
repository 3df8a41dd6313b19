#include "actor_fixture.hpp"
#include "actors/session_effects.hpp"
#include "actors/sessions.hpp"
#include "storage/sessions.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch.hpp>

using namespace orch;

namespace {

constexpr std::chrono::seconds keep_alive_period{15};

/// The sessions of clients behind bridges.
struct kept_sessions : actor_fixture {
  static caller client(int64_t server, int64_t epoch = 0) {
    caller from;
    from.lasting = true;
    from.server = server;
    from.epoch = epoch;
    return from;
  }

  int64_t add_session(int64_t server) {
    return in_tx([&](tx& t) {
      session made;
      made.id = reserve_session_id(t);
      made.status = "active_new";
      made.started_at = made.last_seen_at = t.now;
      insert_session(t, made, 60, client(server));
      return made.id;
    });
  }

  void show_life(int64_t session_id, const caller& from) {
    caf::anon_send(owner, sign_of_life{session_id, from});
    run();
  }

  void leave(int64_t server, int64_t epoch) {
    caf::anon_send(owner, leave_connection{server, epoch});
    run();
  }

  /// Does the session get a sign of life when it is time for one?
  bool is_kept(int64_t session_id) {
    advance(keep_alive_period);
    auto seen =
      in_tx([&](tx& t) { return t.get<session>("sessions", session_id, "session").last_seen_at; });
    return seen.us == now.us;
  }

  session_actor owner = own(system.spawn(sessions, parts));
};

} // namespace

TEST_CASE_METHOD(kept_sessions, "sessions are kept alive as long as their client is answered here",
                 "[sessions]") {
  in_tx([](tx& t) {
    note_epoch(t, 7, 2);
    note_epoch(t, 9, 1);
  });
  auto moving = add_session(7);
  auto staying = add_session(9);
  show_life(moving, client(7, 2));
  show_life(staying, client(9, 1));
  CHECK(is_kept(moving));
  // An earlier connection of it has ended.
  leave(7, 1);
  CHECK(is_kept(moving));
  leave(7, 2);
  CHECK_FALSE(is_kept(moving));
  CHECK(is_kept(staying));
}

TEST_CASE_METHOD(kept_sessions, "sessions are not kept alive for the dead", "[sessions]") {
  auto left = add_session(7);
  auto own = add_session(0);
  show_life(left, client(7));
  show_life(own, client(0));
  dead_servers = {0, 7}; // 0 stands for this server, and is no process
  CHECK_FALSE(is_kept(left));
  CHECK(is_kept(own));
  // What was forgotten stays forgotten.
  dead_servers.clear();
  CHECK_FALSE(is_kept(left));
}

TEST_CASE("work.current_ref stays under 4 KiB whatever was stored", "[sessions]") {
  work_point point;
  point.source = "current_refs";
  std::string long_text;
  for (int i = 0; i < 20'000; ++i)
    long_text += "\xc3\xa9\"\n";
  point.task.emplace();
  point.task->level = "case";
  point.task->title = long_text;
  point.task->next_action = long_text;
  point.task->input_contract = raw_json{"{\"a\":\"" + std::string(50'000, 'x') + "\"}"};
  point.task->fixtures = point.task->input_contract;
  point.checkpoint.emplace();
  point.checkpoint->step_title = long_text;
  point.checkpoint->snapshot = *point.task->input_contract;
  point.next_step = long_text;
  point.current_ref.emplace();
  point.current_ref->summary = long_text;
  point.current_ref->next_action = long_text;
  point.current_ref->required_files = std::vector<std::string>(5'000, long_text);
  point.git = git_state{"session/1", "0123456789012345678901234567890123456789", true};
  shorten(point, 4'000);
  auto text = to_json_text(point);
  CHECK(text.size() <= 4'096);
  CHECK(json::accept(text));
  CHECK(point.shortened == true);
  CHECK(point.git->branch == "session/1");
}

TEST_CASE("work.current_ref leaves what fits alone", "[sessions]") {
  work_point point;
  point.source = "current_refs";
  point.task.emplace();
  point.task->title = std::string(3'000, 'x');
  shorten(point, 4'000);
  CHECK_FALSE(point.shortened);
  CHECK(point.task->title.size() == 3'000);
}
