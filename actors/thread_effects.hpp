#pragma once

#include "actors/thread_launch.hpp"
#include "storage/directives.hpp"

namespace orch {

thread_page list_child_threads(effects& fx, const thread_child_list& request);
thread_state tell_thread_state(effects& fx, const thread_child_status& request);
thread_waited wait_for_thread(effects& fx, const thread_child_wait_status& request);
interrupted_thread interrupt_thread(effects& fx, const thread_child_interrupt& request);
stopped_thread stop_thread(effects& fx, const thread_child_stop& request);
attach_info tell_attach_info(effects& fx, const thread_attach_info& request);

/// Waits until a directive is over or `request.wait_seconds` have passed; whoever looks after the
/// thread delivers it.
directed_thread wait_for_delivery(effects& fx, const thread_child_directive& request,
                                  int64_t directive_id);

/// Presses what cuts a turn short. With `escape_returns_prompt`, what that puts back where one
/// types is removed again.
void press_interrupt(effects& fx, const thread_row& row);

/// Ends a live thread: its program, and with `terminate_pane` its pane.
thread_row end_agent(effects& fx, int64_t thread_id, const std::string& status,
                     bool terminate_pane);

attach_info attach_info_of(effects& fx, const thread_row& row);

} // namespace orch
