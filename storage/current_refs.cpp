#include "storage/current_refs.hpp"

#include "storage/sessions.hpp"

namespace orch {

std::optional<current_ref> active_ref(tx& t, int64_t session_id) {
  return t.first<current_ref>("FROM current_refs WHERE session_id = ? AND status = 'active'",
                              session_id);
}

current_ref point_session_at(tx& t, int64_t session_id, const ref_target& target) {
  auto ref = active_ref(t, session_id).value_or(current_ref{});
  auto same_case = ref.id != 0 && ref.node_type == "case" && ref.node_id == target.case_id;
  ref.session_id = session_id;
  ref.node_type = "case";
  ref.node_id = target.case_id;
  ref.checkpoint_id = target.checkpoint_id;
  ref.next_action = target.next_action;
  ref.summary = target.summary;
  if (target.required_files || !same_case)
    ref.required_files = target.required_files;
  ref.mode = target.mode.value_or(ref.mode);
  // What was confirmed is no longer what stands here.
  ref.acked_at.reset();
  ref.updated_at = t.now;
  if (ref.id == 0) {
    ref.created_at = t.now;
    t.insert("current_refs", ref);
  } else {
    ++ref.version;
    t.update("current_refs", ref);
  }
  return ref;
}

void end_refs_to_case(tx& t, int64_t case_id, const std::string& status,
                      const std::optional<int64_t>& except) {
  t.run("UPDATE current_refs SET status = ?, version = version + 1, updated_at = ? WHERE node_type "
        "= 'case' AND node_id = ? AND status = 'active' AND session_id <> ?",
        status, t.now, case_id, except.value_or(0));
}

void complete_refs_to_case(tx& t, int64_t case_id, const ref_target& last) {
  auto refs = t.select<current_ref>(
    "FROM current_refs WHERE node_type = 'case' AND node_id = ? AND status = 'active'", case_id);
  for (auto& ref : refs) {
    ref.status = "completed";
    ref.checkpoint_id = last.checkpoint_id;
    ref.next_action = last.next_action;
    ref.summary = last.summary;
    if (last.required_files)
      ref.required_files = last.required_files;
    ref.updated_at = t.now;
    ++ref.version;
    t.update("current_refs", ref);
  }
}

std::optional<int64_t> session_at_case(tx& t, int64_t case_id) {
  return t.number("SELECT session_id FROM current_refs WHERE node_type = 'case' AND node_id = ? "
                  "AND status = 'active' ORDER BY id DESC LIMIT 1",
                  case_id);
}

std::optional<int64_t> live_holder_of_case(tx& t, int64_t case_id,
                                           const std::optional<int64_t>& asking) {
  return t.number("SELECT s.id FROM current_refs r JOIN sessions s ON s.id = r.session_id WHERE "
                  "r.node_type = 'case' AND r.node_id = ?1 AND r.status = 'active' AND s.id <> ?2 "
                  "AND "
                    + live_session_sql("s", "?3") + " LIMIT 1",
                  case_id, asking.value_or(0), t.now);
}

std::optional<int64_t> case_in_progress_of(tx& t, int64_t session_id) {
  return t.number("SELECT c.id FROM current_refs r JOIN tasks c ON c.id = r.node_id WHERE "
                  "r.session_id = ?1 AND r.status = 'active' AND r.node_type = 'case' AND c.status "
                  "= 'in_progress' AND c.assignee_session = ?2",
                  session_id, std::to_string(session_id));
}

std::optional<std::string> next_planned_step(tx& t, int64_t case_id) {
  auto planned = t.first<step>(
    "FROM steps WHERE task_id = ? AND status = 'planned' ORDER BY order_no LIMIT 1", case_id);
  if (!planned)
    return {};
  return planned->title;
}

} // namespace orch
