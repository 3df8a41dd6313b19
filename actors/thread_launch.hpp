#pragma once

#include "actors/agent_state.hpp"

namespace orch {

/// Where and how a thread is to be launched.
struct launch_wishes {
  std::string session_name;       ///< of tmux
  bool may_rename_session = true; ///< a name that somebody else has gets -2, -3, ...
  std::string window_name;
  split_direction direction = split_direction::vertical;
  std::optional<thread_pane> reused;  ///< a dead pane to take
  std::optional<std::string> resumes; ///< a conversation of the CLI
  std::string prompt;                 ///< the first one; empty: none
  std::string typed_prompt;           ///< to be typed once it runs, where the command carries none
  bool check_early = true;            ///< a program that ends at once with an error is a failure
};

/// Do panes of that tmux session belong to threads of this repository?
bool is_our_session(effects& fx, const std::string& name);

/// The program and first arguments that a thread runs; says how to get it if it is not there
/// (unavailable). Called before anything is begun.
std::vector<std::string> command_of(const agent_host& host, const thread_row& of);

/// Launches a thread whose row `begin_launch` has made ready: writes the files of the incarnation,
/// makes a pane, notes it. When a step fails those before it are undone: no pane is left, the row
/// is `failed` and says why, and the error is thrown.
thread_row launch_thread(effects& fx, const thread_row& row, const launch_wishes& wishes);

/// Throws invalid_params if a guide that was asked for cannot be read. Before anything is begun.
void check_guide(effects& fx, const std::optional<std::string>& guide_path);

/// What a thread is told first: who it is, its guide, its task. Empty for a thread without any.
std::string assignment_of(effects& fx, const thread_row& row);

/// Only one process at a time does something to a thread's pane.
class pane_turn {
public:
  pane_turn(effects& fx, int64_t thread_id);

private:
  std::shared_ptr<void> turn_;
};

} // namespace orch
