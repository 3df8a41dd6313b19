#pragma once

#include "panes.hpp"

#include <algorithm>
#include <thread>

namespace orch::test {

/// A repository whose sessions queue their branches for main.
struct merging : sandbox {
  merging() {
    git({"config", "user.name", "t"});
    git({"config", "user.email", "t@example.com"});
    configure(json::object());
  }

  void configure(const json& settings, const json& loops = json::object()) const {
    json merging{{"check_command", counted("true")}};
    merging.update(settings);
    std::filesystem::create_directory(root / ".codex-orch");
    std::filesystem::permissions(root / ".codex-orch", std::filesystem::perms::owner_all);
    write(root / ".codex-orch" / "config.json",
          json{{"merging", merging}, {"loops", loops}}.dump());
  }

  /// A command that leaves a line whenever it is run.
  std::string counted(const std::string& command) const {
    return "echo run >> " + quoted((base / "checks").string()) + "; " + command;
  }

  int64_t checks() const { return std::ssize(lines_of(read(base / "checks"))); }

  server& serve() {
    if (!server_)
      server_ = start_in(root);
    return *server_;
  }

  void restart() {
    server_.reset();
    serve();
  }

  struct branch {
    int64_t session = 0;
    int64_t worktree = 0;
    path directory;
    std::string name;
    int64_t request = 0;
  };

  branch open_branch() {
    auto opened = contract::open_on(serve());
    branch made;
    made.session = opened["session"]["id"];
    made.worktree = opened["session_root_worktree"]["id"];
    made.directory = opened["session_root_worktree"]["path"].get<std::string>();
    made.name = opened["session_root_worktree"]["branch"];
    return made;
  }

  /// A session with a commit that writes these files.
  branch work(const std::map<std::string, std::string>& files) {
    auto made = open_branch();
    for (const auto& [name, text] : files)
      write(made.directory / name, text);
    git_in(made.directory, {"add", "."});
    git_in(made.directory, {"commit", "--quiet", "--message", "work on " + made.name});
    return made;
  }

  json request_params(const branch& of, const json& more = json::object()) const {
    json params{
      {"session_id", of.session}, {"from_worktree_id", of.worktree}, {"target_branch", "main"}};
    params.update(more);
    return params;
  }

  branch queue(const std::map<std::string, std::string>& files, const json& more = json::object()) {
    auto made = work(files);
    made.request =
      serve().ask("merge.main.request", request_params(made, more))["main_merge_request"]["id"];
    return made;
  }

  /// Takes the lock for a session and merges one batch.
  json process(const json& more = json::object()) {
    if (!merger_)
      merger_ = contract::open_session_on(serve());
    serve().ask("merge.main.acquire_lock", {{"session_id", *merger_}});
    json params{{"session_id", *merger_}};
    params.update(more);
    return serve().ask("merge.main.process", params);
  }

  /// Until nothing is left that can be merged.
  void process_all() {
    while (!process()["requests"].empty()) {
    }
  }

  json status(int64_t request) {
    return serve().ask("merge.main.status", {{"request_id", request}})["main_merge_request"];
  }
  std::string state(const branch& of) { return status(of.request)["state"]; }

  std::string tip() const { return git({"rev-parse", "main"}); }
  bool on_main(const std::string& file) const {
    auto names = lines_of(git({"ls-tree", "-r", "--name-only", "main"}));
    return std::find(names.begin(), names.end(), file) != names.end();
  }

  /// The requests in the order in which main has got them.
  std::vector<int64_t> order_on_main() const {
    std::vector<int64_t> order;
    for (const auto& line :
         lines_of(git({"log", "--first-parent", "--reverse", "--format=%b", "main"})))
      if (line.starts_with("Request #"))
        order.push_back(std::stoll(line.substr(9)));
    return order;
  }

  void check_repository() const {
    CHECK(git({"fsck", "--no-dangling", "--no-progress"}).empty());
    CHECK(state_file{root}.number("SELECT count(*) FROM merge_runs") == 0);
  }

  std::unique_ptr<server> server_;
  std::optional<int64_t> merger_;
};

inline std::map<std::string, std::string> file(const std::string& name,
                                               const std::string& text = "x\n") {
  return {{name, text}};
}

} // namespace orch::test
