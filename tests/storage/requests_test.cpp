#include "messages/tasks.hpp"
#include "state_fixture.hpp"
#include "storage/requests.hpp"
#include "storage/tasks.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct request_fixture : state_fixture {
  static task_create creation(const std::string& title) {
    task_create request;
    request.level = "case";
    request.title = title;
    return request;
  }

  static caller with_key(const std::string& name, int64_t number = 0) {
    caller from;
    from.request_key = request_key{name, number};
    return from;
  }

  int64_t create(const std::string& title, const caller& from) {
    return in_tx([&](tx& t) {
      auto request = creation(title);
      return once_per_key(t, call{request, from}, [&] { return create_task(t, request); }).id;
    });
  }

  earlier_request find(const std::string& title, const caller& from) {
    return in_tx([&](tx& t) { return keyed_request::of(creation(title), from)->find_earlier(t); });
  }

  int64_t count(const std::string& table) {
    return in_tx([&](tx& t) { return t.number("SELECT count(*) FROM " + table).value_or(-1); });
  }
};

} // namespace

TEST_CASE_METHOD(request_fixture, "request keys: a key is one request", "[requests]") {
  auto first = create("a", with_key("k"));
  CHECK(create("a", with_key("k")) == first);
  CHECK_THROWS_AS(create("b", with_key("k")), request_error);
  CHECK(create("a", with_key("other")) != first);
  CHECK(count("tasks") == 2);
}

TEST_CASE_METHOD(request_fixture, "request keys: a place is many requests, the last one is known",
                 "[requests]") {
  auto place = key_of_place(7, 1);
  auto first = create("a", with_key(place, 1));
  CHECK(create("a", with_key(place, 1)) == first);
  // The same words under the next number are another request.
  auto second = create("a", with_key(place, 2));
  CHECK(second != first);
  CHECK(create("a", with_key(place, 2)) == second);
  CHECK(create("b", with_key(place, 3)) != second);
  CHECK(count("tasks") == 3);
  CHECK(count("request_keys") == 1);
}

TEST_CASE_METHOD(request_fixture, "request keys: what was begun belongs to its request alone",
                 "[requests]") {
  auto place = key_of_place(7, 1);
  in_tx([&](tx& t) {
    auto key = *keyed_request::of(creation("a"), with_key(place, 1));
    key.keep_answer(t, {});
    key.note_begun(t, 55);
  });
  CHECK(find("a", with_key(place, 1)).begun == 55);
  CHECK_FALSE(find("a", with_key(place, 2)).begun);
  in_tx([&](tx& t) {
    auto next = *keyed_request::of(creation("a"), with_key(place, 2));
    next.keep_answer(t, {});
    // The first, cut off long ago, has no say any more.
    auto late = *keyed_request::of(creation("a"), with_key(place, 1));
    late.note_begun(t, 66);
    late.forget(t);
  });
  CHECK_FALSE(find("a", with_key(place, 2)).begun);
  CHECK(count("request_keys") == 1);
}

TEST_CASE_METHOD(request_fixture, "request keys: what comes late changes nothing", "[requests]") {
  auto from = with_key(key_of_place(7, 1), 1);
  auto old = *keyed_request::of(creation("a"), from);
  request_error why{errc::unavailable, "cut off"};
  auto end_late = [&](const std::optional<int64_t>& begun) {
    in_tx([&](tx& t) {
      old.conclude(t, "{}", begun);
      old.conclude_refused(t, why, begun);
      old.forget(t, begun);
    });
  };
  in_tx([&](tx& t) { old.keep_answer(t, {}); });
  SECTION("another request has the place") {
    auto next = with_key(key_of_place(7, 1), 2);
    in_tx([&](tx& t) { keyed_request::of(creation("a"), next)->keep_answer(t, {}); });
    end_late({});
    CHECK(count("request_keys WHERE answer IS NULL AND refused = 0") == 1);
    CHECK_FALSE(find("a", next).answer);
  }
  SECTION("another server does it") {
    around->server = 2;
    in_tx([&](tx& t) { old.keep_answer(t, {}); });
    around->server = 1;
    end_late({});
    CHECK(count("request_keys WHERE answer IS NULL AND server_id = 2") == 1);
  }
  SECTION("it was begun anew") {
    in_tx([&](tx& t) {
      old.note_begun(t, 55);
      old.note_begun(t, 66);
    });
    end_late(55);
    CHECK(count("request_keys WHERE answer IS NULL AND begun = 66") == 1);
  }
  SECTION("the client has gone") {
    in_tx([](tx& t) { forget_places(t, 7); });
    end_late({});
    CHECK(count("request_keys") == 0);
  }
  SECTION("it has its answer") {
    in_tx([&](tx& t) {
      old.conclude(t, R"({"id":5})");
      old.conclude_refused(t, why);
      old.forget(t);
    });
    CHECK(find("a", from).answer == R"({"id":5})");
  }
}

TEST_CASE_METHOD(request_fixture, "request keys: the places of a client go with it", "[requests]") {
  for (int64_t server : {7, 71, 8})
    for (int64_t place : {1, 2, 10})
      create("a", with_key(key_of_place(server, place), 1));
  create("a", with_key("place"));
  in_tx([](tx& t) { forget_places(t, 7); });
  CHECK(count("request_keys") == 7);
  CHECK(find("a", with_key(key_of_place(71, 2), 1)).answer);
  CHECK_FALSE(find("a", with_key(key_of_place(7, 10), 1)).answer);
}

TEST_CASE_METHOD(request_fixture, "request keys: what was refused in a place stays refused",
                 "[requests]") {
  auto from = with_key(key_of_place(7, 1), 1);
  in_tx([&](tx& t) {
    request_error why{errc::conflict, "it is taken", {{"holder", 5}}};
    refusal_noter(call{creation("a"), from})(t, why);
  });
  try {
    create("a", from);
    FAIL("it was not refused");
  } catch (const request_error& e) {
    CHECK(e.code == errc::conflict);
    CHECK(std::string{e.what()} == "it is taken");
    CHECK(e.data["holder"] == 5);
  }
  CHECK(count("tasks") == 0);
  // The next request in that place is another one.
  create("a", with_key(key_of_place(7, 1), 2));
  CHECK(count("tasks") == 1);
  // What a client has keyed itself may be tried again.
  CHECK_FALSE(refusal_noter(call{creation("a"), with_key("own")}));
}

TEST_CASE_METHOD(request_fixture, "clients: nothing is done in an epoch that is over",
                 "[requests]") {
  caller from;
  from.server = 7;
  from.epoch = 2;
  auto ask = [&] { in_tx([&](tx& t) { t.asked_by(from); }); };
  CHECK_THROWS_AS(ask(), request_error); // it is not known here
  in_tx([](tx& t) { note_epoch(t, 7, 2); });
  CHECK_NOTHROW(ask());
  in_tx([](tx& t) { note_epoch(t, 7, 3); });
  CHECK_THROWS_AS(ask(), request_error);
  in_tx([](tx& t) { note_epoch(t, 7, 2); }); // too late
  from.epoch = 3;
  CHECK_NOTHROW(ask());
  dead_servers.insert(7);
  CHECK_THROWS_AS(ask(), request_error);
  CHECK(in_tx([](tx& t) { return any_dead_client(t); }));
  in_tx(forget_dead_clients);
  CHECK(count("clients") == 0);
}
