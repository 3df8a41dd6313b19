#include "storage/inbox.hpp"

#include "storage/directives.hpp"
#include "storage/paging.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

inbox_page page_of(tx& t, const std::string& where, int64_t thread_id, int64_t limit,
                   const std::optional<std::string>& cursor) {
  t.must_exist("threads", thread_id, "thread");
  auto after = cursor ? read_cursor(*cursor, 1)[0] : 0;
  inbox_page page;
  page.messages = t.select<inbox_message>("FROM inbox_messages WHERE " + where
                                            + " AND id > ?2 ORDER BY id LIMIT ?3",
                                          thread_id, after, limit + 1);
  page.next_cursor =
    close_page(page.messages, limit, [](const inbox_message& x) { return std::vector{x.id}; });
  page.count = std::ssize(page.messages);
  return page;
}

} // namespace

inbox_answer send_to_inbox(tx& t, const inbox_send& request) {
  if (request.message.empty())
    throw bad_param("message", "message must not be empty");
  if (request.message.size() > longest_inbox_message)
    throw bad_param("message",
                    fmt::format("message may have {} bytes at most", longest_inbox_message));
  t.must_exist("threads", request.sender_thread_id, "thread");
  t.must_exist("threads", request.receiver_thread_id, "thread");
  inbox_message made;
  made.sender_thread_id = request.sender_thread_id;
  made.receiver_thread_id = request.receiver_thread_id;
  made.message = request.message;
  made.created_at = t.now;
  t.insert("inbox_messages", made);
  t.changed("inbox.sent", {{"message_id", made.id},
                           {"sender_thread_id", made.sender_thread_id},
                           {"receiver_thread_id", made.receiver_thread_id}});
  t.wake_waiters(); // the receiver may be at rest, in whatever process looks after it
  return {made};
}

inbox_page list_pending(tx& t, const inbox_pending& request) {
  return page_of(t, "receiver_thread_id = ?1 AND status = 'pending'", request.receiver_thread_id,
                 request.limit, request.cursor);
}

inbox_page list_inbox(tx& t, const inbox_list& request) {
  return page_of(t, "(receiver_thread_id = ?1 OR sender_thread_id = ?1)", request.thread_id,
                 request.limit, request.cursor);
}

inbox_answer deliver_message(tx& t, const inbox_deliver& request) {
  auto found = t.get<inbox_message>("inbox_messages", request.message_id, "message");
  if (found.status == "pending") {
    found.status = "delivered";
    found.delivered_at = t.now;
    t.update("inbox_messages", found);
    t.changed("inbox.delivered",
              {{"message_id", found.id}, {"receiver_thread_id", found.receiver_thread_id}});
  }
  return {found};
}

} // namespace orch
