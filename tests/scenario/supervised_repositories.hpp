#pragma once

#include "panes.hpp"

namespace orch::test {

/// One supervisor for several repositories in a private directory.
struct supervised_repositories : sandbox {
  supervised_repositories() {
    for (const char* name : {"one", "two", "three", "four", "five"})
      make(name);
    configure({"one", "two", "three", "four", "five"});
  }

  path repository(const std::string& name) const { return base / "repositories" / name; }

  void make(const std::string& name) const {
    std::filesystem::create_directories(repository(name));
    git_in(repository(name), {"init", "--quiet", "--initial-branch=main"});
    git_in(repository(name), {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit",
                              "--quiet", "--allow-empty", "--message", "first"});
  }

  void configure(const words& names, const json& settings = json::object()) const {
    json all{{"repositories", json::array()}, {"settings", settings}};
    for (const auto& name : names)
      all["repositories"].push_back({{"name", name}, {"path", "repositories/" + name}});
    write(config, all.dump(1));
  }

  server& supervise() {
    running = new_supervisor();
    return *running;
  }

  std::unique_ptr<server> new_supervisor() const {
    return std::make_unique<server>(words{ORCH_PROGRAM, "supervise", "--config", config.string()},
                                    base / "home", base);
  }

  /// The whole answer of one repository.
  json call(const std::string& repo, const std::string& method,
            const json& params = json::object()) {
    auto id = ++last_id;
    running->send_line(
      json{{"id", id}, {"repo", repo}, {"method", method}, {"params", params}}.dump());
    return running->answer_to(id);
  }

  json ask(const std::string& repo, const std::string& method,
           const json& params = json::object()) {
    return result_of(call(repo, method, params));
  }

  bool answers(const std::string& repo) { return call(repo, "workspace.init").contains("result"); }

  path config = base / "supervisor.json";
  std::unique_ptr<server> running;
  int64_t last_id = 1'000'000;
};

} // namespace orch::test
