#pragma once

#include "actors/worktree_effects.hpp"
#include "messages/sessions.hpp"

namespace orch {

opened_session open_session(effects& fx, const session_open& request);
/// `session.list` with what tmux says.
session_page list_sessions_live(effects& fx, const session_list& request);
cleaned_session clean_up_session(effects& fx, const session_cleanup& request);
work_point current_work_point(effects& fx, const work_current_ref& request);

/// Cuts long texts until the answer is at most `most_bytes` of JSON; says so in `shortened`.
void shorten(work_point& point, std::size_t most_bytes);

} // namespace orch
