#pragma once

#include "io/connection.hpp"

#include <filesystem>

namespace orch {

struct supervise_options {
  std::filesystem::path config;
  connection_options connection; ///< for requests on standard input
};

/// Looks after the repositories of a config file, each in a thread and an actor tree of its own:
/// one that cannot be opened or fails is tried again after growing pauses, and stopped for good
/// after five failures within a minute, while the others go on. Answers requests on standard input
/// that name their repository. SIGHUP reads the file again; SIGTERM and SIGINT end it. Returns the
/// exit code. Throws if the file is bad.
int supervise(const supervise_options& options);

} // namespace orch
