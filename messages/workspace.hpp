#pragma once

#include "messages/method.hpp"

namespace orch {

struct workspace_state {
  std::string repo_path;
  std::string db_path;
  int64_t db_version = 0;
  int64_t schema_version = 0;
  std::string server_version;

  field_list fields() {
    return {
      required("repo_path", repo_path, "the main repository"),
      required("db_path", db_path),
      required("db_version", db_version, "raised by one with each change of state"),
      required("schema_version", schema_version),
      required("server_version", server_version),
    };
  }
};

struct workspace_init {
  static constexpr method about{
    "workspace.init",
    "Make the repository ready for coordination, and say where its state is kept.", access::settle};
  using result = workspace_state;

  field_list fields() { return {}; }
};

struct workspace_methods {
  static constexpr std::string_view owner = "workspace";
  using list = method_list<workspace_init>;
};

} // namespace orch
