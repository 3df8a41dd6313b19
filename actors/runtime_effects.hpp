#pragma once

#include "actors/effects.hpp"
#include "messages/runtime.hpp"

namespace orch {

tmux_readiness ensure_tmux_runtime(effects& fx, const runtime_tmux_ensure& request);
bundle_info look_at_bundle(effects& fx, const runtime_bundle_info& request);

} // namespace orch
