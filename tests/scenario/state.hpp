#pragma once

#include "client.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace orch::test {

/// The database of a repository as any program would read it. The server's own code is not used.
class state_file {
public:
  explicit state_file(const path& repository) {
    auto file = repository / ".codex-orch" / "state.db";
    INFO(file);
    REQUIRE(sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
    sqlite3_busy_timeout(db_, 60'000);
  }
  state_file(const state_file&) = delete;
  state_file& operator=(const state_file&) = delete;
  ~state_file() { sqlite3_close(db_); }

  /// The rows of a query, each with its columns as text joined by `|`.
  std::vector<std::string> rows(const std::string& query) const {
    sqlite3_stmt* statement = nullptr;
    INFO(query);
    REQUIRE(sqlite3_prepare_v2(db_, query.c_str(), -1, &statement, nullptr) == SQLITE_OK);
    std::vector<std::string> found;
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        auto text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
        row.append(i > 0 ? "|" : "").append(text ? text : "");
      }
      found.push_back(std::move(row));
    }
    auto ended = sqlite3_finalize(statement);
    REQUIRE(code == SQLITE_DONE);
    REQUIRE(ended == SQLITE_OK);
    return found;
  }

  int64_t number(const std::string& query) const { return std::stoll(rows(query).at(0)); }

private:
  sqlite3* db_ = nullptr;
};

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    auto to = std::min(text.find('\n', from), text.size());
    lines.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return lines;
}

/// The linked work trees that git knows: path and branch.
inline std::map<std::string, std::string> linked_in_git(const sandbox& box, const path& root) {
  std::map<std::string, std::string> found;
  std::string at;
  for (const auto& line : lines_of(box.git_in(root, {"worktree", "list", "--porcelain"}))) {
    if (line.starts_with("worktree "))
      at = line.substr(9);
    if (line.starts_with("branch refs/heads/") && at != root.string())
      found[at] = line.substr(18);
  }
  return found;
}

/// The linked work trees that the server lists as being there: path and branch.
inline std::map<std::string, std::string> linked_in_server(server& on) {
  std::map<std::string, std::string> found;
  auto listed = on.ask("worktree.list", {{"status", "active"}});
  for (const auto& tree : listed.at("worktrees")) {
    if (tree.at("kind") == "main")
      continue;
    INFO(tree);
    CHECK(tree.at("exists_on_disk") == true);
    found[tree.at("path")] = tree.at("branch");
  }
  return found;
}

inline std::set<std::string> entries(const path& directory) {
  std::set<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator{directory, missing})
    names.insert(entry.path().filename().string());
  return names;
}

inline std::set<std::string> session_branches(const sandbox& box, const path& root) {
  auto names =
    lines_of(box.git_in(root, {"for-each-ref", "--format=%(refname:short)", "refs/heads/session"}));
  return {names.begin(), names.end()};
}

/// git finds nothing wrong, nobody's work trees differ from what the server says, and the database
/// is whole. Ask while no other server works.
inline void check_consistent(const sandbox& box, const path& root, server& on) {
  // Complete or fatal: what is merely unreachable is not mentioned.
  CHECK(box.git_in(root, {"fsck", "--full", "--strict", "--no-dangling", "--no-progress"}).empty());
  CHECK(box.git_in(root, {"worktree", "prune", "--dry-run", "--verbose"}).empty());
  auto in_git = linked_in_git(box, root);
  CHECK(linked_in_server(on) == in_git);
  CHECK(entries(root / ".git" / "worktrees").size() == in_git.size());
  state_file state{root};
  CHECK(state.rows("PRAGMA integrity_check") == std::vector<std::string>{"ok"});
  CHECK(state.number("SELECT count(*) FROM intents") == 0);
}

} // namespace orch::test
