#pragma once

#include "messages/method.hpp"
#include "messages/page.hpp"

namespace orch {

/// A lease may last a year at most; longer ones are a mistake (source: our own choice).
constexpr int64_t longest_lease_seconds = int64_t{366} * 86'400;
/// The longest a request is held open (source: our own choice).
constexpr int64_t longest_wait_seconds = 86'400;

inline field ttl_field(int64_t& ttl_seconds) {
  return optional("ttl_seconds", ttl_seconds, "how long the lease lasts")
    .range(1, longest_lease_seconds);
}

inline field wait_field(int64_t& wait_seconds) {
  return optional("wait_seconds", wait_seconds, "how long to wait for a turn; 0 answers at once")
    .range(0, longest_wait_seconds);
}

/// A lease that keeps sessions from editing the same paths. Its id is its fencing token.
struct lock {
  int64_t id = 0;
  std::string scope_type;
  std::string scope_path;
  std::string owner_session;
  std::string mode = "exclusive";
  timestamp lease_until;
  timestamp heartbeat_at;
  std::string state;

  field_list fields() {
    return {
      required("id", id, "also the fencing token: a later lease has a higher one"),
      required("scope_type", scope_type, "prefix or file"),
      required("scope_path", scope_path, "relative to the repository; . is all of it"),
      required("owner_session", owner_session),
      required("mode", mode, "exclusive or shared"),
      required("lease_until", lease_until),
      required("heartbeat_at", heartbeat_at),
      required("state", state, "active, released or expired"),
    };
  }
};

/// A path to be leased, as asked for.
struct lock_scope {
  std::string scope_type;
  std::string scope_path;
  std::string mode = "exclusive";

  field_list fields() {
    return {
      required("scope_type", scope_type).one_of({"prefix", "file"}),
      required("scope_path", scope_path, "relative to the repository, or an absolute path in it"),
      optional("mode", mode).one_of({"exclusive", "shared"}),
    };
  }
};

struct lock_acquire {
  static constexpr method about{
    "lock.acquire",
    "Lease a file or a path prefix to one session before editing it; refused or "
    "waits while another lease overlaps. Asking again renews.",
    access::write, /*may_wait=*/true};
  using result = lock;

  std::string scope_type;
  std::string scope_path;
  std::string owner_session;
  int64_t ttl_seconds = 600;
  std::string mode = "exclusive";
  int64_t wait_seconds = 0;

  field_list fields() {
    return {
      required("scope_type", scope_type).one_of({"prefix", "file"}),
      required("scope_path", scope_path,
               "relative to the repository, or an absolute path in it; a prefix is a directory and "
               "all below it, without wildcards"),
      required("owner_session", owner_session, "who holds it: a session id").trimmed().session(),
      ttl_field(ttl_seconds),
      optional("mode", mode).one_of({"exclusive", "shared"}),
      wait_field(wait_seconds),
    };
  }
};

struct acquired_locks {
  std::vector<lock> locks;

  field_list fields() { return {required("locks", locks, "in the order asked for")}; }
};

struct lock_acquire_many {
  static constexpr method about{"lock.acquire_many",
                                "Lease several paths at once: all of them or none.", access::write,
                                /*may_wait=*/true};
  using result = acquired_locks;

  std::vector<lock_scope> locks;
  std::string owner_session;
  int64_t ttl_seconds = 600;
  int64_t wait_seconds = 0;

  field_list fields() {
    return {
      required("locks", locks, "the paths"),
      required("owner_session", owner_session, "who holds them: a session id").trimmed().session(),
      ttl_field(ttl_seconds),
      wait_field(wait_seconds),
    };
  }
};

struct lock_heartbeat {
  static constexpr method about{"lock.heartbeat", "Renew a lease before it ends.", access::write};
  using result = lock;

  int64_t lock_id = 0;
  std::optional<int64_t> ttl_seconds;
  std::optional<std::string> owner_session;

  field_list fields() {
    return {
      id_of("lock_id", lock_id),
      optional("ttl_seconds", ttl_seconds, "from now; as long as last time when left out")
        .range(1, longest_lease_seconds),
      optional("owner_session", owner_session, "checked when given").trimmed().session(),
    };
  }
};

struct lock_release {
  static constexpr method about{"lock.release", "End a lease; waiters get their turn.",
                                access::write};
  using result = lock;

  int64_t lock_id = 0;
  std::optional<std::string> owner_session;

  field_list fields() {
    return {
      id_of("lock_id", lock_id),
      optional("owner_session", owner_session, "checked when given").trimmed().session(),
    };
  }
};

struct lock_page {
  std::vector<lock> locks;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("locks", locks), next_cursor_field(next_cursor)}; }
};

struct lock_list {
  static constexpr method about{
    "lock.list", "List active leases, of one session or those that would conflict with a path.",
    access::settle};
  using result = lock_page;

  std::optional<std::string> owner_session;
  std::optional<std::string> path;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("owner_session", owner_session).trimmed(),
      optional("path", path, "leases that a file or prefix lock on it would meet"),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct lock_methods {
  static constexpr std::string_view owner = "locks";
  using list =
    method_list<lock_acquire, lock_acquire_many, lock_heartbeat, lock_release, lock_list>;
};

} // namespace orch
