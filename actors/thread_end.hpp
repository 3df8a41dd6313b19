#pragma once

#include "actors/agent_state.hpp"

namespace orch {

/// Ends the program in a thread's pane, if it is still the thread's: as a closed terminal would,
/// and if that does not help within 3 s for certain; with what it has left in the background. The
/// pane stays, dead. True if it had one.
bool end_program(effects& fx, const thread_row& row);

} // namespace orch
