#pragma once

#include "messages/record.hpp"

namespace orch {

/// The lease on merging into main; there is one in a repository.
struct main_merge_lock {
  int64_t id = 1;
  std::optional<int64_t> holder_session_id;
  std::optional<timestamp> lease_until;
  std::string state = "unlocked";
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      optional("holder_session_id", holder_session_id),
      optional("lease_until", lease_until),
      required("state", state, "locked or unlocked"),
      required("updated_at", updated_at),
    };
  }
};

} // namespace orch
