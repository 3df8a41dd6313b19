#pragma once

#include "io/connection.hpp"

#include <filesystem>
#include <string>

namespace orch {

struct serve_options {
  std::filesystem::path repo = ".";
  bool repo_is_optional = false; ///< serve: without one, answer that there is none
  connection_options connection;
};

/// Serves one client on standard input and output until its input ends or a signal comes.
/// Returns the exit code. Throws if the repository cannot be opened.
int serve(const serve_options& options);

/// Answers one request on standard output, as indented JSON. Returns 0 for a result, 1 for an
/// error.
int once(const serve_options& options, const std::string& method, const std::string& params);

} // namespace orch
