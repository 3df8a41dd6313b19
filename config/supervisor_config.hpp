#pragma once

#include "config/config.hpp"

#include <filesystem>
#include <vector>

namespace orch {

/// The longest name of a repository, in bytes.
inline constexpr std::size_t longest_repository_name = 64;

/// A repository that a supervisor looks after, as its config file names it.
struct supervised_repository {
  std::string name;
  std::string path;
  repository_config settings;

  field_list fields() {
    return {
      required("name", name, "what requests call it: letters, digits, '.', '_' and '-'").trimmed(),
      required("path", path, "absolute, below ~, or relative to the config file").trimmed(),
      optional("settings", settings, "go over those for all and over the repository's own config"),
    };
  }
};

/// What `supervise --config FILE` reads: JSON with comments.
struct supervisor_config {
  std::vector<supervised_repository> repositories;
  repository_config settings;
  int64_t reviewers_at_once = 4;

  field_list fields() {
    return {
      required("repositories", repositories, "those that are looked after"),
      optional("settings", settings, "for all repositories, over each one's own config"),
      optional("reviewers_at_once", reviewers_at_once, "reviewers of all repositories together")
        .range(1, 1'000),
    };
  }
};

/// A repository to look after, ready to be opened.
struct supervision_target {
  std::string name;
  std::filesystem::path path; ///< absolute
  json settings;              ///< an object for `read_repository_config`: for all, then its own

  bool operator==(const supervision_target&) const = default;
};

/// A config file, read and checked.
struct supervision {
  std::vector<supervision_target> targets;
  int64_t reviewers_at_once = 4;
};

/// Something wrong in a config file, and where.
struct config_problem {
  std::size_t line = 0; ///< from 1; 0: the whole file
  std::string key;      ///< as in "repositories[1].settings.agents.provider"; empty: the file
  std::string message;  ///< what is wrong and what would be right
};

/// All that is wrong in a supervisor's config, in the order of the file; nothing if it is fine.
/// Throws `std::runtime_error` if the file cannot be read.
std::vector<config_problem> check_supervisor_config(const std::filesystem::path& file);

/// Reads it. Throws `std::runtime_error` that names file, line and key of the first problem; a path
/// where no repository is found is none, so that the other repositories are looked after.
supervision read_supervisor_config(const std::filesystem::path& file);

/// `config check`: prints "FILE:LINE: KEY: message" for each problem, or that the file is fine.
/// Returns the exit status, 0 or 1. Does not throw.
int print_config_check(const std::filesystem::path& file);

} // namespace orch
