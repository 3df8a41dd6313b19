#include "io/git_changes.hpp"

#include "io/git_layout.hpp"
#include "io/git_private_index.hpp"
#include "io/git_questions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <system_error>

namespace orch::tell_git {

namespace fs = std::filesystem;

namespace {

/// How the subjects of commits begin that `keep` makes.
constexpr std::string_view kept_subject = "Keep uncommitted work of ";

using variables = std::vector<std::pair<std::string, std::string>>;

bool is_set(const char* name) {
  auto value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

std::map<std::string, std::string> configured_identity(const git_program& git) {
  git_command question{
    {"config", "-z", "--get-regexp", "^(user|author|committer)\\.(name|email)$"}};
  auto result = git.attempt(question);
  if (!result.ok() && result.exit_code != 1)
    throw git_failed(question, result);
  std::map<std::string, std::string> settings;
  for (const auto& entry : split_words(result.out, '\0')) {
    auto end = std::min(entry.find('\n'), entry.size());
    settings[entry.substr(0, end)] = entry.substr(std::min(end + 1, entry.size()));
  }
  return settings;
}

/// Fills in what nobody has configured. Git would guess it from the host's name, or refuse.
variables identity(const git_program& git) {
  auto settings = configured_identity(git);
  auto known = [&](const std::string& key) { return !settings[key].empty(); };
  variables result;
  for (std::string role : {"author", "committer"}) {
    auto prefix = role == "author" ? "GIT_AUTHOR_" : "GIT_COMMITTER_";
    auto name = fmt::format("{}NAME", prefix);
    auto email = fmt::format("{}EMAIL", prefix);
    if (!is_set(name.c_str()) && !known(role + ".name") && !known("user.name"))
      result.emplace_back(name, "codex-orchestrator");
    if (!is_set(email.c_str()) && !is_set("EMAIL") && !known(role + ".email")
        && !known("user.email"))
      result.emplace_back(email, "codex-orchestrator@localhost");
  }
  return result;
}

/// "NAME <EMAIL> SECONDS ZONE", as of now.
std::string committer(const git_program& git) {
  git_command question{{"var", "GIT_COMMITTER_IDENT"}};
  question.environment = identity(git);
  return git.line_of(question);
}

request_error ref_conflict(const std::string& ref, const std::optional<std::string>& expected,
                           const std::optional<std::string>& found) {
  nlohmann::json data{{"ref", ref}};
  if (expected)
    data["expected"] = *expected;
  if (found)
    data["commit"] = *found;
  if (!found)
    return {errc::conflict, fmt::format("{} does not exist any more", ref), data};
  if (!expected)
    return {errc::conflict, fmt::format("{} exists already", ref), data};
  return {errc::conflict, fmt::format("{} is at {}, not at {}", ref, *found, *expected), data};
}

/// Git lists the paths it would have to overwrite, each behind a tab.
std::vector<std::string> refused_paths(const std::string& words) {
  std::vector<std::string> paths;
  for (const auto& line : split_words(words, '\n'))
    if (line.starts_with('\t'))
      paths.push_back(readable(line.substr(1)));
  return in_order(std::move(paths));
}

} // namespace

std::vector<fs::path> users_of(const repository_layout& layout, const std::string& ref) {
  // HEAD may name a branch that is another name of this one.
  auto leads_there = [&](const fs::path& head) {
    constexpr std::string_view link = "ref: ";
    auto line = first_line(head);
    for (auto steps = 0; line && line->starts_with(link) && steps < 5; ++steps) {
      auto name = line->substr(link.size());
      if (name == ref)
        return true;
      line = first_line(layout.git_dir / name);
    }
    return false;
  };
  std::vector<fs::path> users;
  if (!layout.bare && leads_there(layout.git_dir / "HEAD"))
    users.push_back(layout.root);
  for (const auto& linked : linked_work_trees(layout.git_dir))
    if (leads_there(linked.metadata / "HEAD") && git_dir_of(linked.work_tree))
      users.push_back(linked.work_tree);
  return users;
}

std::optional<std::string> value_of(const git_program& git, const std::string& ref) {
  auto result = git.attempt({{"rev-parse", "--quiet", "--verify", ref}});
  auto line = result.out.substr(0, result.out.find('\n'));
  return result.ok() && is_object_id(line) ? std::optional{line} : std::nullopt;
}

std::string commit(const git_program& git, const std::string& tree,
                   const std::vector<std::string>& parents, const std::string& message) {
  git_command command{{"commit-tree", tree}};
  for (const auto& parent : parents)
    command.arguments.insert(command.arguments.end(), {"-p", parent});
  command.arguments.insert(command.arguments.end(), {"-F", "-"});
  command.input = message;
  command.environment = identity(git);
  return git.line_of(command);
}

std::string copy_commit(const git_program& git, const std::string& original,
                        const std::string& tree, const std::string& parent) {
  auto text = git.output_of({{"cat-file", "commit", original}});
  auto head_end = std::min(text.find("\n\n"), text.size());
  auto copy = fmt::format("tree {}\nparent {}\n", tree, parent);
  auto leave_out = false;
  for (const auto& line : split_words(std::string_view{text}.substr(0, head_end), '\n')) {
    // Lines that begin with a blank belong to the one before them, as in a signature.
    if (!line.starts_with(' '))
      leave_out = !line.starts_with("author ") && !line.starts_with("encoding ");
    if (!leave_out)
      copy += line + "\n";
    if (line.starts_with("author "))
      copy += fmt::format("committer {}\n", committer(git));
  }
  git_command write{{"hash-object", "-t", "commit", "-w", "--stdin"}};
  write.input = copy + text.substr(head_end);
  // A commit without message ends with its head.
  if (!write.input.ends_with('\n') && head_end == text.size())
    write.input += "\n";
  return git.line_of(write);
}

void update_ref(const git_program& git, const std::string& ref, const std::string& commit,
                const std::optional<std::string>& expected) {
  // An empty old value means that the ref must not exist.
  git_command command{
    {"update-ref", "-m", "codex-orchestrator", ref, commit, expected.value_or("")}};
  auto result = git.attempt(command);
  if (result.ok())
    return;
  auto found = value_of(git, ref);
  if (found != expected)
    throw ref_conflict(ref, expected, found);
  auto failure = git_failed(command, result);
  if (git_said(result, {"cannot create", "reference already exists", "but expected"}))
    failure.code = errc::conflict;
  throw failure;
}

void delete_branch(const git_program& git, const std::string& branch,
                   const std::optional<std::string>& only_at) {
  auto ref = "refs/heads/" + branch;
  auto found = value_of(git, ref);
  if (!found)
    return;
  if (only_at && found != only_at)
    throw ref_conflict(ref, only_at, found);
  if (auto users = users_of(git.layout(), ref); !users.empty())
    throw request_error{
      errc::failed_precondition,
      fmt::format("branch {} is checked out in {}", branch, users.front().string()),
      {{"branch", branch}, {"path", users.front().string()}}};
  git_command command{{"update-ref", "-d", ref, *found}};
  auto result = git.attempt(command);
  if (!result.ok()) {
    auto now = value_of(git, ref);
    if (now && now != found)
      throw ref_conflict(ref, found, now);
    if (now)
      throw git_failed(command, result);
  }
  // Most branches have no settings; then this fails, and nothing depends on it.
  git.attempt({{"config", "--local", "--remove-section", "branch." + branch}});
}

void fast_forward(const git_program& git, const fs::path& directory, const std::string& commit) {
  git_command command{{"merge", "--ff-only", "--commit", "--no-squash", "--no-autostash",
                       "--no-stat", "--no-verify-signatures", "--no-overwrite-ignore", "--quiet",
                       commit},
                      directory};
  command.timeout = checkout_patience;
  auto result = git.attempt(command);
  if (result.ok())
    return;
  auto failure = git_failed(command, result);
  if (auto paths = refused_paths(result.err); !paths.empty()) {
    failure = {errc::failed_precondition,
               fmt::format("uncommitted changes in {} are in the way: {}", directory.string(),
                           fmt::join(paths, ", ")),
               failure.data};
    failure.data["paths"] = paths;
  } else if (git_said(result, {"You have not concluded", "unmerged files", "fast-forward"})) {
    failure.code = errc::failed_precondition;
  }
  throw failure;
}

std::string keep(const git_program& git, const fs::path& directory, const fs::path& git_dir,
                 const git_head& head) {
  private_index index{git_dir};
  index.copy(git_dir / "index");
  git_command add{{"add", "--all"}, directory};
  add.settings = {"core.splitIndex=false", "core.safecrlf=false", "add.ignoreErrors=false",
                  "advice.addEmbeddedRepo=false"};
  add.environment = {{"GIT_INDEX_FILE", index.file().string()}};
  add.timeout = checkout_patience;
  git.output_of(add);
  git_command write{{"write-tree"}, directory};
  write.environment = add.environment;
  auto tree = git.line_of(write);
  auto parents = head.commit ? std::vector{*head.commit} : std::vector<std::string>{};
  auto what = head.branch.empty() ? std::string{"a detached HEAD"} : head.branch;
  return commit(git, tree, parents, fmt::format("{}{}", kept_subject, what));
}

std::optional<std::string> kept_on(const git_program& git, const std::string& commit) {
  auto lines = split_words(git.output_of({{"log", "-1", "--format=%P%n%s", commit}}), '\n');
  if (lines.size() != 2 || !is_object_id(lines[0]) || !lines[1].starts_with(kept_subject))
    return std::nullopt;
  return lines[0];
}

void put_back(const git_program& git, const fs::path& directory, const std::string& kept) {
  git_command read{{"read-tree", "-m", "-u", "--no-recurse-submodules", "HEAD", kept}, directory};
  read.timeout = checkout_patience;
  git.output_of(read);
  git.output_of({{"reset", "--mixed", "--quiet", "--no-recurse-submodules"}, directory});
}

} // namespace orch::tell_git
