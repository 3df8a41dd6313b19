#include "agent_rows.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct inbox_fixture : agent_rows {
  template <class Request, class List>
  std::vector<std::string> all(Request request, List list, int64_t page_size) {
    std::vector<std::string> texts;
    request.limit = page_size;
    do {
      auto page = in_tx([&](tx& t) { return list(t, request); });
      CHECK(page.count == std::ssize(page.messages));
      CHECK(page.count <= page_size);
      for (const auto& x : page.messages)
        texts.push_back(x.message);
      request.cursor = page.next_cursor;
    } while (request.cursor);
    return texts;
  }

  std::vector<std::string> pending(int64_t thread_id, int64_t page_size = 100) {
    inbox_pending request;
    request.receiver_thread_id = thread_id;
    return all(request, list_pending, page_size);
  }

  std::vector<std::string> listed(int64_t thread_id, int64_t page_size = 100) {
    inbox_list request;
    request.thread_id = thread_id;
    return all(request, list_inbox, page_size);
  }

  inbox_message deliver(int64_t id) {
    return in_tx([&](tx& t) { return deliver_message(t, {id}).message; });
  }

  int64_t s = add_session();
  int64_t a = running_child(s).thread.id;
  int64_t b = running_child(s).thread.id;
  int64_t c = running_child(s).thread.id;
};

using texts = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(inbox_fixture, "inbox rows: a message waits for its receiver", "[inbox]") {
  auto sent = message(send(a, b, "hello\nthere ✓"));
  CHECK(sent.sender_thread_id == a);
  CHECK(sent.receiver_thread_id == b);
  CHECK(sent.message == "hello\nthere ✓");
  CHECK(sent.status == "pending");
  CHECK(sent.created_at == now);
  CHECK_FALSE(sent.delivered_at);
  CHECK(pending(b) == texts{"hello\nthere ✓"});
  CHECK(pending(a).empty());
}

TEST_CASE_METHOD(inbox_fixture, "inbox rows: a message is delivered once", "[inbox]") {
  auto id = send(a, b, "hello");
  pass_seconds(1);
  auto first = deliver(id);
  CHECK(first.status == "delivered");
  CHECK(first.delivered_at == now);
  CHECK(pending(b).empty());
  auto before = changes;
  pass_seconds(1);
  auto second = deliver(id);
  CHECK(second.status == "delivered");
  CHECK(second.delivered_at == first.delivered_at);
  CHECK(changes == before);
  CHECK(refused([](tx& t) { deliver_message(t, {99}); }).code == errc::not_found);
}

TEST_CASE_METHOD(inbox_fixture, "inbox rows: a list holds what was sent and received", "[inbox]") {
  deliver(send(a, b, "1"));
  send(b, a, "2");
  send(b, c, "3");
  send(c, a, "4");
  send(a, a, "5");
  CHECK(listed(a) == texts{"1", "2", "4", "5"});
  CHECK(listed(b) == texts{"1", "2", "3"});
  CHECK(listed(c) == texts{"3", "4"});
}

TEST_CASE_METHOD(inbox_fixture, "inbox rows: pages are whole, whatever their size", "[inbox]") {
  texts sent;
  for (int i = 0; i < 7; ++i) {
    sent.push_back(std::to_string(i));
    send(a, b, sent.back());
    send(c, a, "other");
  }
  auto size = GENERATE(1, 2, 6, 7, 8);
  INFO(size);
  CHECK(pending(b, size) == sent);
  CHECK(listed(b, size) == sent);
  CHECK(listed(a, size).size() == 14);
}

TEST_CASE_METHOD(inbox_fixture, "inbox rows: a page goes on while messages are taken", "[inbox]") {
  for (auto text : {"0", "1", "2", "3"})
    send(a, b, text);
  inbox_pending request;
  request.receiver_thread_id = b;
  request.limit = 2;
  auto page = in_tx([&](tx& t) { return list_pending(t, request); });
  for (const auto& x : page.messages)
    deliver(x.id);
  request.cursor = page.next_cursor;
  page = in_tx([&](tx& t) { return list_pending(t, request); });
  REQUIRE(page.messages.size() == 2);
  CHECK(page.messages.front().message == "2");
  CHECK_FALSE(page.next_cursor);
}

TEST_CASE_METHOD(inbox_fixture, "inbox rows: what is no message is refused", "[inbox]") {
  auto refusal = [&](int64_t from, int64_t to, const std::string& text) {
    return refused([&](tx& t) { send_to_inbox(t, {from, to, text}); }).code;
  };
  CHECK(refusal(a, b, "") == errc::invalid_params);
  CHECK(refusal(a, b, std::string(longest_inbox_message + 1, 'x')) == errc::invalid_params);
  CHECK(refusal(a, b, std::string(longest_inbox_message, 'x')) == errc::none);
  CHECK(refusal(99, b, "x") == errc::not_found);
  CHECK(refusal(a, 99, "x") == errc::not_found);
  inbox_pending request;
  request.receiver_thread_id = 99;
  CHECK(refused([&](tx& t) { list_pending(t, request); }).code == errc::not_found);
  request.receiver_thread_id = a;
  request.cursor = "nonsense";
  CHECK(refused([&](tx& t) { list_pending(t, request); }).code == errc::invalid_params);
}
