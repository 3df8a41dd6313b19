#pragma once

#include "config/config.hpp"
#include "io/tmux.hpp"

namespace orch {

/// What the agents of a repository are started with and talked to through.
struct agent_host {
  agent_host(agents_config wanted, tmux_options terminal_options, std::filesystem::path own_program)
    : config{std::move(wanted)}, terminal{std::move(terminal_options)}, program{
                                                                          std::move(own_program)} {}

  agents_config config;
  tmux terminal;
  std::filesystem::path program; ///< this program, for hooks and the agents' own servers
};

} // namespace orch
