#include "io/subscriptions.hpp"

#include <catch2/catch.hpp>

using namespace orch;

TEST_CASE("a resource may have changed after what it shows, and after nothing else",
          "[subscriptions]") {
  auto [uri, kind, id_name, id, expected] =
    GENERATE(table<std::string, std::string, std::string, int64_t, bool>({
      {"orch://status", "node.created", "node_id", 1, true},
      {"orch://mirror", "node.created", "node_id", 1, true},
      {"orch://locks", "lock.expired", "lock_id", 1, true},
      {"orch://locks", "main_lock.expired", "x", 1, false},
      {"orch://locks", "task.created", "task_id", 1, false},
      {"orch://merge-queue", "merge.queued", "request_id", 1, true},
      {"orch://merge-queue", "main_lock.released", "session_id", 1, true},
      {"orch://merge-queue", "lock.released", "lock_id", 1, false},
      {"orch://tasks/12", "task.updated", "task_id", 12, true},
      {"orch://tasks/12", "step.checked", "task_id", 12, true},
      {"orch://tasks/12", "task.updated", "task_id", 1, false},
      {"orch://tasks/12", "task.updated", "task_id", 120, false},
      {"orch://tasks/12", "lock.acquired", "lock_id", 12, false},
      {"orch://threads/3", "thread.status", "thread_id", 3, true},
      {"orch://threads/3", "thread.status", "thread_id", 4, false},
      {"orch://sessions/3", "session.closed", "session_id", 3, true},
      {"orch://sessions/3", "session.closed", "session_id", 4, false},
      {"orch://nothing", "session.closed", "session_id", 4, false},
    }));
  seen_changes changes;
  changes.kinds = {kind};
  changes.ids = {{id_name, id}};
  INFO(uri << " after " << kind);
  CHECK(may_have_changed(uri, changes) == expected);
  changes.all = true;
  CHECK(may_have_changed(uri, changes));
}
