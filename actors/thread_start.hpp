#pragma once

#include "actors/thread_launch.hpp"
#include "messages/threads.hpp"

namespace orch {

ensured_root_thread ensure_root(effects& fx, const thread_root_ensure& request);

/// Starts a child agent; `spawn_child` is the method. `also` runs in the transaction that writes
/// its row, whose id it is given. `begun_before`: the row is there, from an attempt that was cut
/// short, and only what is missing is done.
spawned_thread start_child(effects& fx, const thread_child_spawn& request,
                           const std::optional<int64_t>& begun_before,
                           const std::function<void(tx&, int64_t)>& also);
spawned_thread spawn_child(effects& fx, const thread_child_spawn& request);

/// Launches a thread again in its own pane, resuming its conversation if there is one.
thread_row relaunch(effects& fx, int64_t thread_id, const std::string& prompt);

} // namespace orch
