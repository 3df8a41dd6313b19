#pragma once

#include "messages/sessions.hpp"
#include "storage/tx.hpp"

namespace orch {

/// Where a session stands: the case and what to know of it.
struct ref_target {
  int64_t case_id = 0;
  std::optional<int64_t> checkpoint_id{};
  std::optional<std::string> next_action{};
  std::optional<std::string> summary{};
  std::optional<std::vector<std::string>> required_files{};
  std::optional<std::string> mode{};
};

/// The session's active reference, if it has one.
std::optional<current_ref> active_ref(tx& t, int64_t session_id);

/// Makes or moves the session's one active reference; what is not given and still fits stays.
current_ref point_session_at(tx& t, int64_t session_id, const ref_target& target);

/// Sets the active references to a case to `status`, but that of `except`.
void end_refs_to_case(tx& t, int64_t case_id, const std::string& status,
                      const std::optional<int64_t>& except = {});

/// Sets the active references to a case to completed, with the last that is to be known.
void complete_refs_to_case(tx& t, int64_t case_id, const ref_target& last);

/// The session that has an active reference to the case.
std::optional<int64_t> session_at_case(tx& t, int64_t case_id);

/// Like `session_at_case`, but only a live session other than `asking`.
std::optional<int64_t> live_holder_of_case(tx& t, int64_t case_id,
                                           const std::optional<int64_t>& asking);

/// The case that the session has begun and is at. A reference alone, as work.current_ref makes one,
/// only says where it could go on.
std::optional<int64_t> case_in_progress_of(tx& t, int64_t session_id);

/// The title of the first planned step of a case.
std::optional<std::string> next_planned_step(tx& t, int64_t case_id);

} // namespace orch
