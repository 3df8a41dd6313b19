#pragma once

#include "messages/mirror.hpp"
#include "messages/workspace.hpp"
#include "storage/tx.hpp"

namespace orch {

mirror_state get_mirror_state(tx& t, const mirror_status& request);
workspace_state get_workspace_state(tx& t, const workspace_init& request);

/// The whole state as Markdown, as of one moment.
struct rendered_mirror {
  int64_t db_version = 0;
  std::string markdown;
};

rendered_mirror render_mirror(tx& t);

/// Notes that the file at `path` shows `db_version`. No change of state.
mirror_state note_mirror(tx& t, int64_t db_version, const std::string& path);

} // namespace orch
