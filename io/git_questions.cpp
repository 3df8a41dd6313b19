#include "io/git_questions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace orch::ask_git {

namespace {

constexpr int usage_error = 129;

/// An answer that is an object id, or nothing.
std::optional<std::string> id_in(const outcome& result) {
  auto line = std::string_view{result.out}.substr(0, result.out.find('\n'));
  if (!result.ok() || !is_object_id(line))
    return std::nullopt;
  return std::string{line};
}

/// The tree that changes since the fork are counted from: empty if the two have nothing in common.
std::string fork_of(const git_program& git, const std::string& base, const std::string& commit) {
  git_command question{{"merge-base", base, commit}};
  auto result = git.attempt(question);
  if (auto fork = id_in(result))
    return *fork;
  if (result.exit_code != 1)
    throw git_failed(question, result);
  return git.line_of({{"hash-object", "-t", "tree", "--stdin"}});
}

/// Where one side has a file and the other a directory, git calls the file NAME~COMMIT.
std::string without_side(std::string file) {
  auto mark = file.rfind('~');
  if (mark != std::string::npos && is_object_id(std::string_view{file}.substr(mark + 1)))
    file.erase(mark);
  return file;
}

} // namespace

/// Git 2.39's `merge-tree -z --name-only`: the tree, the files in conflict and an empty field; then
/// per message the number of its paths, the paths, its kind and its text.
std::vector<std::string> conflicts_in(const std::vector<std::string>& fields) {
  auto at = std::find(fields.begin() + 1, fields.end(), "");
  std::vector<std::string> files{fields.begin() + 1, at};
  for (auto& file : files)
    file = without_side(std::move(file));
  if (!files.empty())
    return in_order(std::move(files));
  // Some conflicts of whole directories leave no file in conflict: only the messages name paths.
  while (at != fields.end() && ++at != fields.end()) {
    auto left = fields.end() - at - 1;
    auto count = std::strtol(at->c_str(), nullptr, 10);
    if (count < 0 || left < count + 2)
      break;
    auto kind = at + 1 + count;
    if (kind->find("CONFLICT") != std::string::npos)
      files.insert(files.end(), at + 1, kind);
    at = kind + 1;
  }
  return in_order(std::move(files));
}

git_head head(const git_program& git, const std::filesystem::path& directory) {
  constexpr std::string_view heads = "refs/heads/";
  git_command question{{"symbolic-ref", "--quiet", "HEAD"}, directory};
  auto result = git.attempt(question);
  if (!result.ok() && result.exit_code != 1)
    throw git_failed(question, result);
  auto on_branch = result.ok() && result.out.starts_with(heads);
  auto name = std::string_view{result.out}.substr(0, result.out.find('\n'));
  return {on_branch ? std::string{name.substr(heads.size())} : std::string{},
          id_in(git.attempt({{"rev-parse", "--quiet", "--verify", "HEAD^{commit}"}, directory}))};
}

std::optional<std::string> commit_of(const git_program& git, std::string_view ref) {
  // The text behind ":/" goes on to the end; what it finds is a commit anyway.
  auto peel = ref.starts_with(":/") ? "" : "^{commit}";
  git_command question{{"rev-parse", "--quiet", "--verify", fmt::format("{}{}", ref, peel)}};
  auto result = git.attempt(question);
  // A repository that git refuses to read must not look like one without the ref.
  if (!result.ok()
      && git_said(result, {"not a git repository", "dubious ownership", "repository version",
                           "repository extension"}))
    throw git_failed(question, result);
  return id_in(result);
}

bool ref_exists(const git_program& git, const std::string& ref) {
  git_command question{{"show-ref", "--verify", "--quiet", "--", ref}};
  auto result = git.attempt(question);
  if (!result.ok() && result.exit_code != 1)
    throw git_failed(question, result);
  return result.ok();
}

std::optional<std::string> symbolic_target(const git_program& git, const std::string& ref) {
  auto result = git.attempt({{"symbolic-ref", "--quiet", ref}});
  if (!result.ok())
    return std::nullopt;
  return result.out.substr(0, result.out.find('\n'));
}

git_distance distance(const git_program& git, const std::string& from_commit,
                      const std::string& to_commit) {
  auto counts = split_words(git.line_of({{"rev-list", "--count", "--left-right",
                                          fmt::format("{}...{}", from_commit, to_commit), "--"}}),
                            '\t');
  counts.resize(2);
  return {std::strtoll(counts[1].c_str(), nullptr, 10),
          std::strtoll(counts[0].c_str(), nullptr, 10)};
}

std::optional<std::string> merge_base(const git_program& git, const std::string& one,
                                      const std::string& other) {
  git_command question{{"merge-base", one, other}};
  auto result = git.attempt(question);
  if (!result.ok() && result.exit_code != 1)
    throw git_failed(question, result);
  return id_in(result);
}

std::vector<std::string> changed_paths(const git_program& git, const std::string& base_commit,
                                       const std::string& commit) {
  git_command question{{"diff-tree", "-r", "-z", "--name-only", "--no-renames",
                        fork_of(git, base_commit, commit), commit, "--"}};
  return in_order(split_words(git.output_of(question), '\0'));
}

std::optional<std::string> setting(const git_program& git, const std::string& key) {
  git_command question{{"config", "--get", key}};
  auto result = git.attempt(question);
  if (!result.ok() && result.exit_code != 1)
    throw git_failed(question, result);
  if (!result.ok())
    return std::nullopt;
  return result.out.substr(0, result.out.find('\n'));
}

git_changes changes(const git_program& git, const std::filesystem::path& directory) {
  git_command question{{"status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"},
                       directory};
  git_changes result;
  for (auto& entry : split_words(git.output_of(question), '\0')) {
    // Two letters of state and a blank come before the path.
    if (entry.size() < 4)
      continue;
    auto& list = entry.starts_with("??") ? result.untracked : result.dirty;
    list.push_back(entry.substr(3));
  }
  return result;
}

std::string diffstat(const git_program& git, const std::string& base_commit,
                     const std::string& commit) {
  return git.output_of({{"diff", "--stat", "--no-color", "--no-ext-diff", "--no-textconv",
                         fork_of(git, base_commit, commit), commit, "--"}});
}

std::string diff(const git_program& git, const std::string& base_commit,
                 const std::string& commit) {
  return git.output_of({{"diff", "--no-color", "--no-ext-diff", "--no-textconv",
                         fork_of(git, base_commit, commit), commit, "--"}});
}

git_merge merge(const git_program& git, const std::string& ours, const std::string& theirs) {
  git_command question{
    {"merge-tree", "--write-tree", "--messages", "-z", "--name-only", ours, theirs}};
  auto result = git.attempt(question);
  auto fields = split_words(result.out, '\0');
  auto merged = !fields.empty() && is_object_id(fields.front());
  if (merged && result.ok())
    return {fields.front(), {}};
  if (merged && result.exit_code == 1)
    return {"", conflicts_in(fields)};
  auto failure = git_failed(question, result);
  if (git_said(result, {"unrelated histories"}))
    failure.code = errc::failed_precondition;
  if (result.exit_code == usage_error)
    failure.data["instructions"] = "install git 2.38 or newer: this one cannot merge in memory";
  throw failure;
}

} // namespace orch::ask_git
