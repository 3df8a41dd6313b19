#pragma once

#include "io/tmux.hpp"
#include "messages/runtime.hpp"

namespace orch {

/// Looks for tmux, and if it is missing and `may_install` tries the platform's package manager: as
/// root or by sudo without a password, without a prompt, for at most 120 s in all (contract,
/// section 8). What it returns has no event yet. Throws nothing.
tmux_readiness ensure_tmux(const tmux& terminal, bool may_install);

} // namespace orch
