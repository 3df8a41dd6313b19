#include "storage/merge_queue.hpp"

#include "storage/merge_runs.hpp"
#include "storage/paging.hpp"
#include "storage/sessions.hpp"
#include "storage/tasks.hpp"
#include "storage/waiters.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

/// Queued entries for the same branch that go before `x`.
int64_t entries_ahead(tx& t, const main_merge_request& x) {
  auto line = queue_in_order(t, x.target_branch);
  return std::find_if(line.begin(), line.end(), [&](const auto& other) { return other.id == x.id; })
         - line.begin();
}

std::string holder_words(int64_t holder) {
  return holder == the_queue_itself ? "the merge queue" : fmt::format("session #{}", holder);
}

std::string reason_to_wait(tx& t, const main_merge_request& x, int64_t ahead) {
  if (ahead > 0)
    return fmt::format("{} before it in the queue", ahead);
  if (auto holder = main_lock_holder(t); holder && *holder != x.session_id)
    return holder_words(*holder) + " holds the main merge lock";
  if (auto missing = why_not_ready(t, x))
    return missing->message;
  return "it is next; somebody has to merge it";
}

void store(tx& t, const main_merge_lock& held) {
  t.update("merge_main_lock", held);
}

} // namespace

merge_request_record create_merge_request(tx& t, const merge_request& request) {
  auto feature = t.get<task>("tasks", request.feature_task_id, "task");
  if (feature.level != "feature" && feature.level != "epic")
    throw request_error{
      errc::failed_precondition,
      fmt::format("task #{} is of level {}, not a feature", feature.id, feature.level)};
  merge_request_record made;
  made.feature_task_id = request.feature_task_id;
  made.reviewer_session = request.reviewer_session;
  made.notes = request.notes;
  made.created_at = made.updated_at = t.now;
  t.insert("merge_requests", made);
  t.changed("merge.requested", {{"merge_request_id", made.id}, {"task_id", made.feature_task_id}});
  return made;
}

review_context get_review_context(tx& t, const merge_review_context& request) {
  review_context context;
  context.merge_request =
    t.get<merge_request_record>("merge_requests", request.merge_request_id, "merge request");
  context.feature = t.get<task>("tasks", context.merge_request.feature_task_id, "task");
  context.children = tasks_below(t, context.feature.id);
  std::string newest = "{";
  for (const auto& child : context.children) {
    if (child.level != "case")
      continue;
    if (auto last = newest_checkpoint(t, child.id))
      newest +=
        fmt::format("{}\"{}\":{}", newest.size() > 1 ? "," : "", child.id, to_json_text(*last));
  }
  context.checkpoints.text = newest + "}";
  return context;
}

std::optional<main_merge_request> queued_for(tx& t, int64_t merge_request_id) {
  return t.first<main_merge_request>(
    "FROM merge_main_queue WHERE merge_request_id = ? ORDER BY id DESC LIMIT 1", merge_request_id);
}

worktree check_main_request(tx& t, const merge_main_request& request) {
  auto asking = must_be_open(t, request.session_id);
  auto from = t.get<worktree>("worktrees", request.from_worktree_id, "worktree");
  if (asking.session_root_worktree_id != from.id)
    throw request_error{
      errc::failed_precondition,
      fmt::format("worktree #{} is not the root worktree of session #{}", from.id, asking.id),
      {{"session_root_worktree_id", asking.session_root_worktree_id.value_or(0)}}};
  if (request.merge_request_id)
    t.must_exist("merge_requests", *request.merge_request_id, "merge request");
  auto children = unmerged_children(t, from.id);
  if (!children.empty()) {
    json ids = json::array();
    for (const auto& child : children)
      ids.push_back(child.id);
    throw request_error{errc::failed_precondition,
                        fmt::format("{} child worktrees are not merged yet", children.size()),
                        {{"worktree_ids", ids}}};
  }
  if (auto queued =
        t.number("SELECT id FROM merge_main_queue WHERE from_worktree_id = ? AND state IN "
                 "('queued', 'merging')",
                 from.id))
    throw request_error{
      errc::conflict,
      fmt::format("worktree #{} is in the queue already, as request #{}", from.id, *queued),
      {{"request_id", *queued}}};
  return from;
}

main_merge_request queue_main_merge(tx& t, const merge_main_request& request,
                                    const std::string& target_branch, const std::string& head) {
  check_main_request(t, request);
  main_merge_request made;
  made.session_id = request.session_id;
  made.from_worktree_id = request.from_worktree_id;
  made.target_branch = target_branch;
  made.merge_request_id = request.merge_request_id;
  made.priority = request.priority;
  made.head_sha = head;
  made.created_at = made.updated_at = t.now;
  t.insert("merge_main_queue", made);
  t.changed("merge.queued", {{"request_id", made.id},
                             {"worktree_id", made.from_worktree_id},
                             {"session_id", made.session_id}});
  return made;
}

next_main_merge next_in_queue(tx& t, const merge_main_next&) {
  auto line = queue_in_order(t);
  return {line.empty() ? std::nullopt : std::optional{std::move(line.front())}};
}

main_merge_status get_main_merge(tx& t, const merge_main_status& request) {
  main_merge_status status;
  status.main_merge_request =
    t.get<main_merge_request>("merge_main_queue", request.request_id, "main merge request");
  if (status.main_merge_request.state == "queued") {
    auto ahead = entries_ahead(t, status.main_merge_request);
    status.position = ahead + 1;
    status.waits_for = reason_to_wait(t, status.main_merge_request, ahead);
  }
  return status;
}

main_merge_page list_main_merges(tx& t, const merge_main_list& request) {
  auto before =
    request.cursor ? read_cursor(*request.cursor, 1)[0] : std::numeric_limits<int64_t>::max();
  main_merge_page page;
  page.requests = t.select<main_merge_request>(
    request.state ? "FROM merge_main_queue WHERE id < ?1 AND state = ?3 ORDER BY id DESC LIMIT ?2"
                  : "FROM merge_main_queue WHERE id < ?1 AND ?3 = ?3 ORDER BY id DESC LIMIT ?2",
    before, request.limit + 1, request.state.value_or(""));
  page.next_cursor = close_page(page.requests, request.limit,
                                [](const main_merge_request& x) { return std::vector{x.id}; });
  return page;
}

main_merge_request cancel_main_merge(tx& t, const merge_main_cancel& request) {
  auto entry =
    t.get<main_merge_request>("merge_main_queue", request.request_id, "main merge request");
  if (entry.state != "queued")
    throw request_error{errc::failed_precondition,
                        fmt::format("main merge request #{} is {}", entry.id, entry.state),
                        {{"state", entry.state}}};
  entry.state = "cancelled";
  entry.completed_at = entry.updated_at = t.now;
  t.update("merge_main_queue", entry);
  t.changed("merge.cancelled", {{"request_id", entry.id}, {"worktree_id", entry.from_worktree_id}});
  return entry;
}

main_merge_lock get_main_lock(tx& t) {
  return t.get<main_merge_lock>("merge_main_lock", 1, "main merge lock");
}

std::optional<int64_t> main_lock_holder(tx& t) {
  return t.number("SELECT holder_session_id FROM merge_main_lock WHERE state = 'locked' AND "
                  "lease_until > ?",
                  t.now);
}

request_error main_lock_conflict(const main_merge_lock& held) {
  return {errc::conflict,
          fmt::format("{} holds the main merge lock until {}",
                      holder_words(held.holder_session_id.value_or(0)),
                      to_text(held.lease_until.value_or(timestamp{}))),
          {{"holder", json::parse(to_json_text(held))}}};
}

main_merge_lock take_main_lock(tx& t, int64_t session_id, int64_t ttl_seconds) {
  auto held = get_main_lock(t);
  auto until = plus_seconds(t.now, ttl_seconds);
  // Another claim of the same session, a review's for example, never cuts it short.
  if (held.state == "locked" && held.holder_session_id == session_id && held.lease_until)
    until = std::max(until, *held.lease_until);
  else
    t.run("UPDATE merge_main_lock SET token = token + 1 WHERE id = 1");
  held.holder_session_id = session_id;
  held.lease_until = until;
  held.state = "locked";
  held.updated_at = t.now;
  store(t, held);
  t.changed("main_lock.acquired", {{"session_id", session_id}});
  return held;
}

std::optional<int64_t> main_lock_refusal(tx& t, int64_t session_id) {
  drop_dead_waiters(t);
  auto holder = main_lock_holder(t);
  if (holder)
    return *holder == session_id ? std::nullopt : holder;
  // Nobody overtakes those who wait.
  auto line = waiting_in_line(t, "main");
  if (!line.empty() && line.front().owner_session != std::to_string(session_id))
    return std::stoll(line.front().owner_session);
  return {};
}

main_merge_lock acquire_main_lock(tx& t, const merge_main_acquire_lock& request) {
  must_be_open(t, request.session_id);
  if (main_lock_refusal(t, request.session_id))
    throw main_lock_conflict(get_main_lock(t));
  // What its reviews held is its own from now on: they don't give it back when they end.
  t.run("UPDATE review_jobs SET holds_main_lock = 0 WHERE state = 'running' AND session_id = ?",
        request.session_id);
  return take_main_lock(t, request.session_id, request.ttl_seconds);
}

main_merge_lock release_main_lock(tx& t, const merge_main_release_lock& request) {
  t.must_exist("sessions", request.session_id, "session");
  auto holder = main_lock_holder(t);
  if (!holder)
    throw request_error{errc::failed_precondition, "nobody holds the main merge lock"};
  if (*holder != request.session_id)
    throw request_error{errc::permission_denied,
                        fmt::format("session #{} holds the main merge lock", *holder),
                        {{"holder_session_id", *holder}}};
  release_main_lock_of(t, request.session_id);
  return get_main_lock(t);
}

void release_main_lock_of(tx& t, int64_t session_id) {
  auto held = get_main_lock(t);
  if (held.state != "locked" || held.holder_session_id != session_id)
    return;
  held.holder_session_id.reset();
  held.lease_until.reset();
  held.state = "unlocked";
  held.updated_at = t.now;
  store(t, held);
  t.changed("main_lock.released", {{"session_id", session_id}});
  give_waiters_their_turn(t);
}

bool end_main_lease_in_time(tx& t) {
  return t.run("UPDATE merge_main_lock SET holder_session_id = NULL, lease_until = NULL, state = "
               "'unlocked', updated_at = ?1 WHERE state = 'locked' AND lease_until <= ?1",
               t.now)
         > 0;
}

} // namespace orch
