#include "storage/directives.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

constexpr std::string_view wanting_sql =
  "SELECT thread_id FROM directives WHERE state IN ('stored', 'typed', 'submitted') AND "
  "error_message IS NULL UNION "
  "SELECT m.receiver_thread_id FROM inbox_messages m JOIN threads t ON t.id = m.receiver_thread_id "
  "WHERE m.status = 'pending' AND t.tmux_pane_id IS NOT NULL AND t.status IN ('initializing', "
  "'running', 'idle', 'waiting_user_answer', 'interrupted') AND NOT EXISTS (SELECT 1 FROM "
  "directives d WHERE d.thread_id = m.receiver_thread_id AND d.inbox_message_id = m.id AND "
  "(d.state "
  "<> 'failed' OR d.updated_at >= coalesce(t.started_at, 0))) UNION "
  "SELECT reviewer_thread_id FROM review_jobs WHERE state = 'running' AND reviewer_thread_id IS "
  "NOT NULL UNION "
  "SELECT t.id FROM threads t JOIN review_jobs j ON j.reviewer_thread_id = t.id WHERE t.status IN "
  "('initializing', 'running', 'idle', 'waiting_user_answer', 'interrupted')";

/// How a message reads in the receiver's pane.
std::string words_of(tx& t, const inbox_message& message) {
  auto sender = t.find<thread>("threads", message.sender_thread_id);
  return fmt::format("[message #{} from thread #{}{}]\n{}", message.id, message.sender_thread_id,
                     sender ? fmt::format(", {}", sender->role) : std::string{}, message.message);
}

directive insert_directive(tx& t, directive made) {
  made.created_at = made.updated_at = t.now;
  t.insert("directives", made);
  t.changed("directive.stored", {{"directive_id", made.id}, {"thread_id", made.thread_id}});
  t.wake_waiters(); // whoever looks after the thread may be another process
  return made;
}

} // namespace

directive add_directive(tx& t, int64_t thread_id, const std::string& mode,
                        const std::string& text) {
  auto row = get_thread(t, thread_id);
  if (mode != "restart" && !is_live(row.thread.status))
    throw request_error{errc::failed_precondition,
                        fmt::format("thread #{} is {}; nobody is there to be told anything",
                                    thread_id, row.thread.status),
                        {{"status", row.thread.status}}};
  directive made;
  made.thread_id = thread_id;
  made.mode = mode;
  made.text = text;
  return insert_directive(t, std::move(made));
}

directive get_directive(tx& t, int64_t directive_id) {
  return t.get<directive>("directives", directive_id, "directive");
}

std::optional<directive> next_directive(tx& t, int64_t thread_id) {
  auto next =
    t.first<directive>("FROM directives WHERE thread_id = ? AND state IN ('stored', "
                       "'typed', 'submitted') AND error_message IS NULL ORDER BY id LIMIT 1",
                       thread_id);
  if (next)
    return next;
  auto message = t.first<inbox_message>(
    "FROM inbox_messages WHERE receiver_thread_id = ? AND status = 'pending' AND id NOT IN (SELECT "
    "inbox_message_id FROM directives WHERE thread_id = ?1 AND inbox_message_id IS NOT NULL AND "
    "(state <> 'failed' OR updated_at >= (SELECT coalesce(started_at, 0) FROM threads WHERE id = "
    "?1))) ORDER BY id LIMIT 1",
    thread_id);
  if (!message)
    return {};
  directive made;
  made.thread_id = thread_id;
  made.text = words_of(t, *message);
  made.inbox_message_id = message->id;
  return insert_directive(t, std::move(made));
}

bool begin_typing(tx& t, int64_t directive_id) {
  auto found = get_directive(t, directive_id);
  if (found.over())
    return false;
  if (found.inbox_message_id && found.state == "stored") {
    auto message = t.get<inbox_message>("inbox_messages", *found.inbox_message_id, "message");
    if (message.status != "pending") {
      note_delivery(t, directive_id, "seen");
      return false;
    }
  }
  t.run("UPDATE directives SET state = 'typed', attempts = attempts + 1, updated_at = ? WHERE id = "
        "?",
        t.now, directive_id);
  return true;
}

void note_delivery(tx& t, int64_t directive_id, const std::string& state,
                   const std::optional<std::string>& error_message) {
  auto found = get_directive(t, directive_id);
  if (found.over())
    return;
  t.run("UPDATE directives SET state = ?, error_message = ?, updated_at = ? WHERE id = ?", state,
        error_message, t.now, directive_id);
  t.changed("directive.updated", {{"directive_id", found.id}, {"thread_id", found.thread_id}});
  // Of a program that tells nothing there will be no more to know.
  auto over = state == "seen" || (state == "submitted" && error_message);
  if (over && found.inbox_message_id)
    deliver_message(t, {*found.inbox_message_id});
}

void put_back(tx& t, int64_t directive_id) {
  t.run("UPDATE directives SET state = 'stored', attempts = max(0, attempts - 1), updated_at = ? "
        "WHERE id = ? AND state = 'typed'",
        t.now, directive_id);
}

void queue_again(tx& t, int64_t directive_id) {
  t.run("UPDATE directives SET mode = 'queue', state = 'stored', updated_at = ? WHERE id = ?",
        t.now, directive_id);
}

std::string name_of_following(int64_t thread_id) {
  return fmt::format("thread {}", thread_id);
}

std::vector<int64_t> threads_to_follow(tx& t) {
  std::vector<std::pair<int64_t, std::optional<int64_t>>> found;
  {
    auto query = t.db.prepare(
      fmt::format("SELECT id, followed_by FROM threads WHERE id IN ({}) ORDER BY id", wanting_sql));
    while (query->executeStep()) {
      auto by = query->getColumn(1);
      found.emplace_back(query->getColumn(0).getInt64(),
                         by.isNull() ? std::nullopt : std::optional{by.getInt64()});
    }
  }
  std::vector<int64_t> ours;
  for (auto [id, by] : found) {
    if (by == t.around.server && id != t.around.own_thread) {
      ours.push_back(id);
      continue;
    }
    // The server that an agent has started for itself dies with it: it can't restart the agent.
    if ((by && t.around.alive(*by)) || id == t.around.own_thread)
      continue;
    t.run("UPDATE threads SET followed_by = ? WHERE id = ?", t.around.server, id);
    ours.push_back(id);
  }
  return ours;
}

bool any_to_follow(tx& t) {
  return t.number(fmt::format("SELECT 1 FROM ({}) LIMIT 1", wanting_sql)).has_value()
         || t.number("SELECT 1 FROM review_jobs WHERE state = 'running' AND reviewer_thread_id IS "
                     "NULL LIMIT 1")
              .has_value()
         || !half_ended_threads(t).empty();
}

void stop_following(tx& t, int64_t thread_id) {
  t.run("UPDATE threads SET followed_by = NULL WHERE id = ? AND followed_by = ?", thread_id,
        t.around.server);
}

} // namespace orch
