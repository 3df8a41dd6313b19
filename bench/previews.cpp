#include "groups.hpp"
#include "workspace.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace bench {

namespace {

namespace fs = std::filesystem;

struct amount {
  int worktrees;
  int directories; ///< of 20 files each
  int repetitions;
};

constexpr amount full{20, 250, 9};
constexpr amount quick{5, 25, 3};

void append(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream{file, std::ios::app} << text;
}

/// A repository whose sessions are all at work: each has committed and uncommitted changes, and a
/// new file; every fifth ones change the same.
class busy_repository {
public:
  busy_repository(const settings& wanted, const std::string& program, const amount& of)
    : repository_{wanted.dir} {
    for (int d = 0; d < of.directories; ++d)
      for (int f = 0; f < 20; ++f)
        append(place(d, f), fmt::format("one\ntwo\nthree {} {}\nfour\n", d, f));
    git(repository_.root(), {"add", "."});
    git(repository_.root(), {"commit", "-qm", "files"});
    running_ = std::make_unique<server>(program, repository_.root());
    for (int i = 0; i < of.worktrees; ++i) {
      auto answer = nlohmann::json::parse(running_->ask("session.open"));
      trees_.emplace_back(
        answer.at("result").at("session_context").at("session_root_worktree").at("path"));
      const auto& tree = trees_.back();
      append(tree / place(i % 5, 1).lexically_relative(repository_.root()),
             fmt::format("work {}\n", i));
      git(tree, {"commit", "-qam", "work"});
      append(tree / place(i % 5, 2).lexically_relative(repository_.root()),
             fmt::format("more {}\n", i));
      append(tree / fmt::format("new-{}.txt", i), "new\n");
    }
  }

  void restart(const std::string& program) {
    running_.reset();
    running_ = std::make_unique<server>(program, repository_.root());
    running_->ask("workspace.init");
  }

  double preview_ms() {
    auto start = steady::now();
    running_->ask("merge.conflicts.preview");
    return seconds_since(start) * 1'000;
  }

  /// What anybody has to do who knows nothing: ask git about each work tree.
  double status_ms() const {
    auto start = steady::now();
    for (const auto& tree : trees_)
      run_program({"sh", "-c",
                   "exec git -C \"$0\" status --porcelain --untracked-files=all >/dev/null",
                   tree.string()});
    return seconds_since(start) * 1'000;
  }

  void change_one(int turn) { append(trees_.front() / "changed.txt", fmt::format("{}\n", turn)); }

private:
  static void git(const fs::path& directory, std::vector<std::string> arguments) {
    std::vector<std::string> command{
      "git", "-C", directory.string(), "-c", "user.name=bench", "-c", "user.email=bench@localhost"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    run_program(command);
  }

  fs::path place(int directory, int file) const {
    return repository_.root() / "src" / fmt::format("group-{}", directory % 25)
           / fmt::format("part-{}", directory) / fmt::format("file-{}.txt", file);
  }

  workspace repository_;
  std::unique_ptr<server> running_;
  std::vector<fs::path> trees_;
};

figure of_times(const std::string& name, std::vector<double> times) {
  auto worst = quantile(times, 1.0) * 1'000;
  return {.name = name, .value = quantile(times, 0.5), .unit = "ms", .worst = worst};
}

std::vector<figure> preview_times(const settings& wanted, const std::string& program,
                                  const amount& of) {
  busy_repository all{wanted, program, of};
  std::vector<double> cold;
  std::vector<double> changed;
  std::vector<double> warm;
  std::vector<double> status;
  for (int i = 0; i < of.repetitions; ++i) {
    check_interrupted();
    all.restart(program);
    cold.push_back(all.preview_ms());
    all.change_one(i);
    changed.push_back(all.preview_ms());
    warm.push_back(all.preview_ms());
    status.push_back(all.status_ms());
  }
  std::vector<figure> figures{of_times("git status in each, one after the other", status),
                              of_times("first preview of a server", cold),
                              of_times("preview, one worktree changed", changed),
                              of_times("preview, nothing changed", warm)};
  auto against = quantile(status, 0.5);
  for (auto& one : figures)
    one.note = fmt::format("{:.2f}x of git status", one.value / against);
  return figures;
}

} // namespace

void measure_previews(report& to) {
  const auto& of = to.wanted().quick ? quick : full;
  to.begin_group(fmt::format("foreseeing conflicts: {} worktrees of {} files", of.worktrees,
                             20 * of.directories));
  to.measure("previews",
             [&](const std::string& program) { return preview_times(to.wanted(), program, of); });
}

} // namespace bench
