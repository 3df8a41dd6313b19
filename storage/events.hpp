#pragma once

#include "messages/events.hpp"
#include "storage/tx.hpp"

#include <set>

namespace orch {

/// Writes the changes of a transaction down as events, in their order, as part of it.
void write_events(database& db, const std::vector<noted_change>& changes, int64_t server);

/// The number of the last event ever written; 0 if there was none.
int64_t newest_event(tx& t);

/// What a look at the events after some number brought.
struct found_events {
  event_page page;
  bool more = false; ///< none fits so far, and there are more to look at, after `page.next_since`
};

/// The events after number `since` whose kind begins like one of `kinds` (empty: all). Looks at a
/// bounded number of rows at a time.
found_events find_events(tx& t, int64_t since, const std::vector<std::string>& kinds,
                         int64_t limit);

/// What changed after some event, without order.
struct seen_changes {
  int64_t next_since = 0;
  bool all = false; ///< more than is worth looking through: anything may have changed
  std::set<std::string> kinds;
  /// What the events are about, the sessions that made the changes, and all tasks above a task.
  std::set<std::pair<std::string, int64_t>> ids;

  bool none() const { return !all && kinds.empty(); }
};

seen_changes changes_since(tx& t, int64_t since);

/// Deletes some of the events that are older than they are kept; says whether there are more.
bool prune_events(tx& t);

} // namespace orch
