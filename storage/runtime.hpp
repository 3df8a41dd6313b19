#pragma once

#include "messages/runtime.hpp"
#include "storage/tx.hpp"

namespace orch {

/// Records what came of looking for something that the runtime needs.
runtime_event note_runtime_event(tx& t, const std::optional<int64_t>& session_id,
                                 const std::string& status, const std::string& detail);

} // namespace orch
