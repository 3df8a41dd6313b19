#pragma once

#include "messages/method.hpp"
#include "messages/page.hpp"

namespace orch {

/// A message from one agent thread to another. It reaches its receiver once: typed into its pane
/// when its turn ends, or fetched by it before that.
struct inbox_message {
  int64_t id = 0;
  int64_t sender_thread_id = 0;
  int64_t receiver_thread_id = 0;
  std::string message;
  std::string status = "pending";
  timestamp created_at;
  std::optional<timestamp> delivered_at;

  field_list fields() {
    return {
      required("id", id),
      required("sender_thread_id", sender_thread_id),
      required("receiver_thread_id", receiver_thread_id),
      required("message", message),
      required("status", status, "pending or delivered"),
      required("created_at", created_at),
      optional("delivered_at", delivered_at),
    };
  }
};

struct inbox_answer {
  inbox_message message;

  field_list fields() { return {required("message", message)}; }
};

struct inbox_page {
  std::vector<inbox_message> messages;
  int64_t count = 0;
  std::optional<std::string> next_cursor;

  field_list fields() {
    return {
      required("messages", messages),
      required("count", count, "of these messages"),
      next_cursor_field(next_cursor),
    };
  }
};

/// The longest message, in bytes: it is typed into a terminal.
constexpr std::size_t longest_inbox_message = 100'000;

struct inbox_send {
  static constexpr method about{"inbox.send", "Send a message to another agent thread.",
                                access::write};
  using result = inbox_answer;

  int64_t sender_thread_id = 0;
  int64_t receiver_thread_id = 0;
  std::string message;

  field_list fields() {
    return {
      id_of("sender_thread_id", sender_thread_id),
      id_of("receiver_thread_id", receiver_thread_id),
      required("message", message),
    };
  }
};

struct inbox_pending {
  static constexpr method about{
    "inbox.pending", "Messages that a thread has not received yet, oldest first.", access::read};
  using result = inbox_page;

  int64_t receiver_thread_id = 0;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      id_of("receiver_thread_id", receiver_thread_id),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct inbox_list {
  static constexpr method about{
    "inbox.list", "All messages that a thread sent or was sent, oldest first.", access::read};
  using result = inbox_page;

  int64_t thread_id = 0;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      id_of("thread_id", thread_id),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct inbox_deliver {
  static constexpr method about{"inbox.deliver",
                                "Take a message as received; it is delivered once.", access::write};
  using result = inbox_answer;

  int64_t message_id = 0;

  field_list fields() { return {id_of("message_id", message_id)}; }
};

struct inbox_methods {
  static constexpr std::string_view owner = "inbox";
  using list = method_list<inbox_send, inbox_pending, inbox_list, inbox_deliver>;
};

} // namespace orch
