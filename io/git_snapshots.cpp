#include "io/git_snapshots.hpp"

#include "io/git_private_index.hpp"
#include "io/git_questions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::preview_git {

namespace fs = std::filesystem;

namespace {

/// Larger files are data or programs; hashing them again and again would be noticed.
constexpr std::uintmax_t largest_file = 16U << 20;

/// A work tree in which so many files are new has unpacked something that it forgot to ignore.
constexpr std::size_t most_files = 20'000;

using variables = std::vector<std::pair<std::string, std::string>>;

variables into(const git_program& git, const fs::path& objects) {
  std::error_code failed;
  fs::create_directories(objects, failed); // if not, git says so
  return {{"GIT_OBJECT_DIRECTORY", objects.string()},
          {"GIT_ALTERNATE_OBJECT_DIRECTORIES",
           in_git_quotes((git.layout().git_dir / "objects").string())}};
}

/// Nobody is to wait for the disk for what is thrown away.
const std::vector<std::string> quick{"core.fsync=none"};

std::string lines_of(const commit_pairs& commits) {
  std::string text;
  for (const auto& [one, other] : commits)
    text += fmt::format("{} {}\n", one, other);
  return text;
}

bool fits(const fs::path& file) {
  std::error_code error;
  auto status = fs::symlink_status(file, error);
  if (!fs::is_regular_file(status))
    return true; // also one that is gone, which is a change
  auto size = fs::file_size(file, error);
  return error || size <= largest_file;
}

std::string commit_for(const git_program& git, const std::string& tree, const std::string& head,
                       variables environment) {
  git_command command{{"commit-tree", tree, "-p", head, "-m", "uncommitted"}};
  command.settings = quick;
  command.environment = std::move(environment);
  // The same state is to be the same commit.
  for (const auto* role : {"AUTHOR", "COMMITTER"}) {
    command.environment.emplace_back(fmt::format("GIT_{}_NAME", role), "codex-orchestrator");
    command.environment.emplace_back(fmt::format("GIT_{}_EMAIL", role),
                                     "codex-orchestrator@localhost");
    command.environment.emplace_back(fmt::format("GIT_{}_DATE", role), "1000000000 +0000");
  }
  return git.line_of(command);
}

/// One answer of `git merge-tree --stdin -z`: whether it is clean, the tree, the files in conflict
/// and an empty field, then as with one merge; an empty field ends it.
class merge_answers {
public:
  explicit merge_answers(std::string_view text) : fields_{split_words(text, '\0')} {}

  git_merge next() {
    auto clean = take() == "1";
    git_merge merge;
    auto tree = take();
    std::vector<std::string> fields{tree};
    if (clean) {
      take();
      merge.tree = std::move(tree);
      return merge;
    }
    for (auto file = take(); !file.empty(); file = take())
      fields.push_back(std::move(file));
    fields.emplace_back();
    for (auto count = take(); !count.empty(); count = take()) {
      fields.push_back(count);
      for (auto left = std::strtol(count.c_str(), nullptr, 10) + 2; left > 0; --left)
        fields.push_back(take());
    }
    merge.conflicts = ask_git::conflicts_in(fields);
    return merge;
  }

private:
  std::string take() { return at_ < fields_.size() ? fields_[at_++] : std::string{}; }

  std::vector<std::string> fields_;
  std::size_t at_ = 0;
};

} // namespace

git_snapshot snapshot(const git_program& git, const fs::path& directory, const fs::path& git_dir,
                      const git_head& head, const fs::path& objects) {
  if (!head.commit)
    throw request_error{errc::failed_precondition,
                        fmt::format("{} has no commit yet", directory.string()),
                        {{"path", directory.string()}}};
  git_snapshot result{*head.commit, *head.commit, {}, {}};
  auto changes = ask_git::changes(git, directory);
  auto& files = result.uncommitted;
  files = std::move(changes.dirty);
  files.insert(files.end(), changes.untracked.begin(), changes.untracked.end());
  std::string wanted;
  std::size_t count = 0;
  for (const auto& file : files)
    if (file.ends_with('/') || ++count > most_files || !fits(directory / file))
      result.left_out.push_back(readable(file));
    else
      wanted += file + '\0';
  if (wanted.empty())
    return result;
  private_index index{git_dir};
  index.copy(git_dir / "index");
  auto environment = into(git, objects);
  environment.emplace_back("GIT_INDEX_FILE", index.file().string());
  git_command update{{"update-index", "--add", "--remove", "-z", "--stdin"}, directory};
  update.settings = {"core.splitIndex=false", "core.safecrlf=false", quick.front()};
  update.environment = environment;
  update.input = wanted;
  git.output_of(update);
  git_command write{{"write-tree"}, directory};
  write.settings = quick;
  write.environment = environment;
  result.commit = commit_for(git, git.line_of(write), *head.commit, into(git, objects));
  return result;
}

std::vector<git_tree_changes> changes_between(const git_program& git, const commit_pairs& commits,
                                              const fs::path& objects) {
  std::vector<git_tree_changes> result(commits.size());
  if (commits.empty())
    return result;
  // Two trees on a line come back in front of their differences.
  git_command peel{{"cat-file", "--batch-check=%(objectname)"}};
  peel.environment = into(git, objects);
  for (const auto& [one, other] : commits)
    peel.input += fmt::format("{}^{{tree}}\n{}^{{tree}}\n", one, other);
  auto trees = split_words(git.output_of(peel), '\n');
  trees.resize(2 * commits.size());
  std::map<std::string, std::vector<std::size_t>> places;
  git_command question{{"diff-tree", "--stdin", "-r", "-z", "--name-status", "--no-renames"}};
  question.environment = peel.environment;
  for (std::size_t i = 0; i < commits.size(); ++i) {
    auto header = fmt::format("{} {}", trees[2 * i], trees[2 * i + 1]);
    auto& known = places[header];
    known.push_back(i);
    if (known.size() == 1)
      question.input += header + "\n";
  }
  const std::vector<std::size_t>* here = nullptr;
  std::string_view text;
  auto said = git.output_of(question);
  text = said;
  while (!text.empty()) {
    // "TREE TREE\nM\0path\0A\0path\0": the line ends with a newline, the rest with NULs.
    if (text.size() > 1 && text[1] != '\0') {
      auto line = text.substr(0, text.find('\n'));
      auto place = places.find(std::string{line});
      here = place == places.end() ? nullptr : &place->second;
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      continue;
    }
    auto end = text.find('\0');
    auto stop = end == text.npos ? text.npos : text.find('\0', end + 1);
    if (here == nullptr || stop == text.npos)
      break;
    auto kind = text[0];
    std::string path{text.substr(end + 1, stop - end - 1)};
    for (auto i : *here)
      (kind == 'A'   ? result[i].added
       : kind == 'D' ? result[i].deleted
                     : result[i].modified)
        .push_back(path);
    text.remove_prefix(stop + 1);
  }
  return result;
}

std::vector<git_merge> merge_all(const git_program& git, const commit_pairs& commits,
                                 const fs::path& objects) {
  std::vector<git_merge> result;
  if (commits.empty())
    return result;
  git_command question{{"merge-tree", "--write-tree", "--stdin", "-z", "--name-only"}};
  question.settings = quick;
  question.environment = into(git, objects);
  question.input = lines_of(commits);
  merge_answers answers{git.output_of(question)};
  for (std::size_t i = 0; i < commits.size(); ++i)
    result.push_back(answers.next());
  return result;
}

std::vector<std::string> not_ignored(const git_program& git, const fs::path& directory,
                                     const std::vector<std::string>& paths) {
  if (paths.empty())
    return {};
  // It takes no literal paths; behind a dot all are.
  git_command question{{"--no-literal-pathspecs", "check-ignore", "-z", "--stdin"}, directory};
  for (const auto& path : paths)
    question.input += "./" + path + '\0';
  auto answer = git.attempt(question);
  if (!answer.ok() && answer.exit_code != 1)
    throw git_failed(question, answer);
  auto listed = split_words(answer.out, '\0');
  std::set<std::string> ignored{listed.begin(), listed.end()};
  std::vector<std::string> rest;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(rest),
               [&](const std::string& path) { return !ignored.contains("./" + path); });
  return rest;
}

std::set<std::string> tracked_directories(const git_program& git, const fs::path& directory) {
  std::set<std::string> found;
  for (const auto& file : split_words(git.output_of({{"ls-files", "-z"}, directory}), '\0'))
    for (auto end = file.rfind('/'); end != file.npos;
         end = end == 0 ? file.npos : file.rfind('/', end - 1))
      if (!found.insert(file.substr(0, end)).second)
        break;
  return found;
}

} // namespace orch::preview_git
