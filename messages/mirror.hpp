#pragma once

#include "messages/method.hpp"

namespace orch {

/// How old the Markdown copy of the state is.
struct mirror_state {
  int64_t db_version = 0;
  int64_t md_version = 0;
  bool outdated = false;
  std::optional<std::string> md_path;
  timestamp updated_at;

  field_list fields() {
    return {
      required("db_version", db_version, "raised by one with each change of state"),
      required("md_version", md_version, "the db_version that the Markdown shows"),
      required("outdated", outdated),
      optional("md_path", md_path),
      required("updated_at", updated_at),
    };
  }
};

struct mirror_status {
  static constexpr method about{"mirror.status", "Is the Markdown mirror of the state outdated?",
                                access::settle};
  using result = mirror_state;

  field_list fields() { return {}; }
};

struct refreshed_mirror {
  bool outdated_before_refresh = false;
  mirror_state mirror_status;
  std::string path;

  field_list fields() {
    return {
      required("outdated_before_refresh", outdated_before_refresh),
      required("mirror_status", mirror_status),
      required("path", path),
    };
  }
};

struct mirror_refresh {
  static constexpr method about{
    "mirror.refresh",
    "Write the Markdown mirror: sessions, tasks, plans, locks, worktrees, merge "
    "queue. For the role doc-mirror-manager only.",
    access::effect};
  using result = refreshed_mirror;

  std::string requester_role;
  std::optional<std::string> target_path;

  field_list fields() {
    return {
      required("requester_role", requester_role, "must be doc-mirror-manager").trimmed(),
      optional("target_path", target_path,
               "a .md file inside the repository; default .codex-orch/mirror/status.md")
        .trimmed(),
    };
  }
};

struct mirror_methods {
  static constexpr std::string_view owner = "mirror";
  using list = method_list<mirror_status, mirror_refresh>;
};

} // namespace orch
