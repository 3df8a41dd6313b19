#include "storage/runtime.hpp"

namespace orch {

runtime_event note_runtime_event(tx& t, const std::optional<int64_t>& session_id,
                                 const std::string& status, const std::string& detail) {
  if (session_id)
    t.must_exist("sessions", *session_id, "session");
  runtime_event made;
  made.session_id = session_id;
  made.status = status;
  made.detail = detail;
  made.created_at = t.now;
  t.insert("runtime_prereq_events", made);
  return made;
}

} // namespace orch
