#pragma once

#include "messages/method.hpp"

namespace orch {

/// One change of the state.
struct event {
  int64_t seq = 0;
  timestamp at;
  std::string kind;
  raw_json ids;
  std::optional<int64_t> session_id;
  std::optional<int64_t> thread_id;
  int64_t server_id = 0;

  field_list fields() {
    return {
      required("seq", seq, "grows, never given twice"),
      required("at", at),
      required("kind", kind, "what changed and how: task.created, lock.released, ..."),
      required("ids", ids, "what it is about: {\"task_id\":5}").object(),
      optional("session_id", session_id, "of the session whose request it was"),
      optional("thread_id", thread_id, "of the agent whose request it was"),
      required("server_id", server_id, "of the server process that did it"),
    };
  }
};

struct event_page {
  std::vector<event> events;
  int64_t next_since = 0;
  int64_t oldest_seq = 1;
  bool gap = false;

  field_list fields() {
    return {
      required("events", events, "oldest first"),
      required("next_since", next_since, "give it as since to go on from here"),
      required("oldest_seq", oldest_seq, "of the events that are kept"),
      required("gap", gap, "some of what came after since is no longer kept"),
    };
  }
};

struct events_tail {
  static constexpr method about{
    "events.tail",
    "What has changed since an event, in all servers of the repository; waits for the next change "
    "if asked to.",
    access::read, /*may_wait=*/true};
  using result = event_page;

  std::optional<int64_t> since;
  std::vector<std::string> kinds;
  int64_t limit = 100;
  int64_t wait_seconds = 0;

  field_list fields() {
    return {
      optional("since", since,
               "next_since of the last answer; without it only what comes from now "
               "on")
        .at_least(0),
      optional("kinds", kinds, "beginnings of kinds, like task. or lock.released; empty for all"),
      optional("limit", limit, "at most so many").range(1, 1'000),
      optional("wait_seconds", wait_seconds,
               "how long to wait until there is one; an empty list when the time is over")
        .range(0, 3'600),
    };
  }
};

struct event_methods {
  static constexpr std::string_view owner = "events";
  using list = method_list<events_tail>;
};

} // namespace orch
