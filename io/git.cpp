#include "io/git.hpp"

#include "io/git_advance.hpp"
#include "io/git_changes.hpp"
#include "io/git_files.hpp"
#include "io/git_layout.hpp"
#include "io/git_library.hpp"
#include "io/git_lock.hpp"
#include "io/git_program.hpp"
#include "io/git_questions.hpp"
#include "io/git_scratch.hpp"
#include "io/git_snapshots.hpp"
#include "io/git_work_trees.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

constexpr std::size_t longest_ref = 4096;

std::string branch_ref(std::string_view branch) {
  return fmt::format("refs/heads/{}", branch);
}

void check_branch(const std::string& branch) {
  if (auto why = git::bad_branch_name(branch))
    throw bad_param("branch", fmt::format("\"{}\" cannot be a branch name: {}", branch, *why));
}

void check_ref(const std::string& ref) {
  if (!ref.starts_with("refs/") || git::bad_branch_name(ref))
    throw bad_param("ref", fmt::format("\"{}\" cannot be the full name of a ref", ref));
}

} // namespace

struct git::parts {
  git_program program;
  std::filesystem::path serial;
  std::optional<git_library> library{};
  bool library_tried = false;

  /// Asks libgit2 and, where that cannot answer, the git program.
  template <class Library, class Program>
  auto ask(Library by_library, Program by_program) {
    try {
      if (!std::exchange(library_tried, true))
        library.emplace(program.layout());
      if (library)
        return by_library(*library);
    } catch (const beyond_library&) {
      // Whatever the reason: git itself answers, or says what is wrong.
    }
    return by_program(program);
  }

  bool ref_exists(const std::string& ref) {
    return ask([&](auto& library) { return library.ref_exists(ref); },
               [&](auto& program) { return ask_git::ref_exists(program, ref); });
  }

  std::optional<std::string> commit_of(const std::string& ref) {
    return ask([&](auto& library) { return library.commit_of(ref); },
               [&](auto& program) { return ask_git::commit_of(program, ref); });
  }

  /// The full id of a commit that must exist.
  std::string known(const std::string& commit) {
    auto plain = !commit.empty() && !commit.starts_with('-')
                 && commit.find_first_of({"\0\n", 2}) == std::string::npos;
    auto id = plain ? commit_of(commit) : std::nullopt;
    if (!id)
      throw request_error{
        errc::not_found, fmt::format("no commit {}", commit), {{"commit", commit}}};
    return *id;
  }
};

git::git(repository_layout layout, std::filesystem::path serial, std::vector<int> inherit)
  : parts_{std::make_unique<parts>(
    parts{git_program{std::move(layout), std::move(inherit)}, std::move(serial)})} {
}

git::~git() = default;
git::git(git&&) noexcept = default;
git& git::operator=(git&&) noexcept = default;

const repository_layout& git::layout() const {
  return parts_->program.layout();
}

std::string git::main_branch() {
  constexpr std::string_view origin = "refs/remotes/origin/";
  auto target = parts_->ask(
    [&](auto& library) { return library.symbolic_target("refs/remotes/origin/HEAD"); },
    [&](auto& program) { return ask_git::symbolic_target(program, "refs/remotes/origin/HEAD"); });
  if (target && target->starts_with(origin) && branch_exists(target->substr(origin.size())))
    return target->substr(origin.size());
  for (std::string candidate : {"main", "master"})
    if (branch_exists(candidate))
      return candidate;
  auto configured = ask_git::setting(parts_->program, "init.defaultBranch");
  if (configured && branch_exists(*configured))
    return *configured;
  return head(layout().root).branch;
}

std::filesystem::path git::metadata_of(const std::filesystem::path& directory) {
  return directory == layout().root ? layout().git_dir : require_work_tree(layout(), directory);
}

git_head git::head(const std::filesystem::path& directory) {
  auto git_dir = metadata_of(directory);
  return parts_->ask([&](auto& library) { return library.head(git_dir); },
                     [&](auto& program) { return ask_git::head(program, directory); });
}

std::optional<std::string> git::commit_of(std::string_view ref) {
  if (ref.empty() || ref.size() > longest_ref || ref.starts_with('-')
      || ref.find_first_of({"\0\n", 2}) != std::string_view::npos)
    return std::nullopt;
  return parts_->commit_of(std::string{ref});
}

bool git::branch_exists(std::string_view branch) {
  return !bad_branch_name(branch) && parts_->ref_exists(branch_ref(branch));
}

void git::add_worktree(const std::filesystem::path& path, const std::string& branch,
                       const std::string& commit) {
  if (!path.is_absolute())
    throw bad_param("path", fmt::format("{} is not an absolute path", path.string()));
  check_branch(branch);
  git_work_trees{parts_->program, parts_->serial}.add(path, branch, parts_->known(commit));
}

void git::remove_worktree(const std::filesystem::path& path) {
  git_work_trees{parts_->program, parts_->serial}.remove(path);
}

void git::delete_branch(const std::string& branch, const std::optional<std::string>& only_at) {
  if (!bad_branch_name(branch))
    tell_git::delete_branch(parts_->program, branch, only_at);
}

git_changes git::changes(const std::filesystem::path& directory) {
  require_work_tree(layout(), directory);
  return ask_git::changes(parts_->program, directory);
}

git_distance git::distance(const std::string& from_commit, const std::string& to_commit) {
  auto from = parts_->known(from_commit);
  auto to = parts_->known(to_commit);
  return parts_->ask([&](auto& library) { return library.distance(from, to); },
                     [&](auto& program) { return ask_git::distance(program, from, to); });
}

std::vector<std::string> git::changed_paths(const std::string& base_commit,
                                            const std::string& commit) {
  auto base = parts_->known(base_commit);
  auto changed = parts_->known(commit);
  return parts_->ask([&](auto& library) { return library.changed_paths(base, changed); },
                     [&](auto& program) { return ask_git::changed_paths(program, base, changed); });
}

std::string git::diffstat(const std::string& base_commit, const std::string& commit) {
  return ask_git::diffstat(parts_->program, parts_->known(base_commit), parts_->known(commit));
}

std::string git::diff(const std::string& base_commit, const std::string& commit) {
  return ask_git::diff(parts_->program, parts_->known(base_commit), parts_->known(commit));
}

git_merge git::merge(const std::string& ours, const std::string& theirs) {
  return ask_git::merge(parts_->program, parts_->known(ours), parts_->known(theirs));
}

git_snapshot git::snapshot(const std::filesystem::path& directory,
                           const std::filesystem::path& objects) {
  auto git_dir = metadata_of(directory);
  return preview_git::snapshot(parts_->program, directory, git_dir, head(directory), objects);
}

std::vector<git_tree_changes> git::changes_between(
  const std::vector<std::pair<std::string, std::string>>& commits,
  const std::filesystem::path& objects) {
  return preview_git::changes_between(parts_->program, commits, objects);
}

std::vector<git_merge> git::merge_all(
  const std::vector<std::pair<std::string, std::string>>& commits,
  const std::filesystem::path& objects) {
  return preview_git::merge_all(parts_->program, commits, objects);
}

std::vector<std::string> git::not_ignored(const std::filesystem::path& directory,
                                          const std::vector<std::string>& paths) {
  return preview_git::not_ignored(parts_->program, directory, paths);
}

std::set<std::string> git::tracked_directories(const std::filesystem::path& directory) {
  return preview_git::tracked_directories(parts_->program, directory);
}

std::string git::commit(const std::string& tree, const std::vector<std::string>& parents,
                        const std::string& message) {
  if (!is_object_id(tree))
    throw request_error{errc::not_found, fmt::format("no tree {}", tree), {{"tree", tree}}};
  std::vector<std::string> ids;
  ids.reserve(parents.size());
  for (const auto& parent : parents)
    ids.push_back(parts_->known(parent));
  return tell_git::commit(parts_->program, tree, ids, message);
}

std::string git::copy_commit(const std::string& original, const std::string& tree,
                             const std::string& parent) {
  if (!is_object_id(tree))
    throw request_error{errc::not_found, fmt::format("no tree {}", tree), {{"tree", tree}}};
  return tell_git::copy_commit(parts_->program, parts_->known(original), tree,
                               parts_->known(parent));
}

void git::make_scratch(const std::filesystem::path& path, const std::string& commit,
                       const std::function<bool()>& given_up) {
  tell_git::make_scratch(parts_->program, path, parts_->known(commit), given_up);
}

std::optional<std::string> git::other_name_of(const std::string& branch) {
  constexpr std::string_view heads = "refs/heads/";
  auto target = parts_->ask(
    [&](auto& library) { return library.symbolic_target(branch_ref(branch)); },
    [&](auto& program) { return ask_git::symbolic_target(program, branch_ref(branch)); });
  return target && target->starts_with(heads) ? std::optional{target->substr(heads.size())}
                                              : std::nullopt;
}

std::vector<std::string> git::mainline(const std::string& from, const std::string& to) {
  return split_words(
    parts_->program.output_of({{"rev-list", "--first-parent", "--reverse",
                                fmt::format("{}..{}", parts_->known(from), parts_->known(to))}}),
    '\n');
}

std::vector<std::string> git::plain_commits(const std::string& from, const std::string& to,
                                            std::size_t most) {
  return split_words(
    parts_->program.output_of(
      {{"rev-list", "--topo-order", "--reverse", "--no-merges", fmt::format("--max-count={}", most),
        fmt::format("{}..{}", parts_->known(from), parts_->known(to))}}),
    '\n');
}

std::optional<std::string> git::merge_base(const std::string& one, const std::string& other) {
  auto first = parts_->known(one);
  auto second = parts_->known(other);
  return parts_->ask([&](auto& library) { return library.merge_base(first, second); },
                     [&](auto& program) { return ask_git::merge_base(program, first, second); });
}

std::string git::subjects(const std::string& from, const std::string& to) {
  auto listed = split_words(
    parts_->program.output_of({{"log", "--max-count=100", "--reverse", "--format=- %s",
                                fmt::format("{}..{}", parts_->known(from), parts_->known(to))}}),
    '\n');
  return listed.empty() ? std::string{} : fmt::format("{}\n", fmt::join(listed, "\n"));
}

std::string git::tree_of(const std::string& commit) {
  return parts_->program.line_of({{"rev-parse", "--verify", parts_->known(commit) + "^{tree}"}});
}

void git::advance_branch(const std::string& branch, const std::string& from, const std::string& to,
                         const std::function<void()>& before_files) {
  check_branch(branch);
  tell_git::advance_branch(parts_->program, branch, parts_->known(from), parts_->known(to),
                           before_files);
}

void git::remove_stale_locks(const std::string& branch, std::filesystem::file_time_type since) {
  check_branch(branch);
  tell_git::remove_stale_locks(parts_->program, branch, since);
}

void git::undo_advance(const std::string& branch, const std::string& from, const std::string& to,
                       std::filesystem::file_time_type since) {
  check_branch(branch);
  tell_git::undo_advance(parts_->program, branch, parts_->known(from), parts_->known(to), since);
}

void git::fast_forward(const std::filesystem::path& directory, const std::string& commit) {
  require_work_tree(layout(), directory);
  auto current = head(directory);
  if (current.branch.empty() || !current.commit)
    throw request_error{
      errc::failed_precondition,
      fmt::format("{} has no branch checked out that has a commit", directory.string()),
      {{"path", directory.string()}}};
  auto target = parts_->known(commit);
  auto way = distance(*current.commit, target);
  if (way.behind > 0)
    throw request_error{errc::failed_precondition,
                        fmt::format("branch {} has {} commits that {} does not have",
                                    current.branch, way.behind, target),
                        {{"branch", current.branch}, {"commit", *current.commit}}};
  if (way.ahead > 0)
    tell_git::fast_forward(parts_->program, directory, target);
}

void git::update_ref(const std::string& ref, const std::string& commit,
                     const std::optional<std::string>& expected) {
  check_ref(ref);
  tell_git::update_ref(parts_->program, ref, parts_->known(commit), expected);
}

void git::keep(const std::filesystem::path& directory, const std::string& ref) {
  check_ref(ref);
  auto git_dir = require_work_tree(layout(), directory);
  auto kept = tell_git::keep(parts_->program, directory, git_dir, head(directory));
  parts_->program.output_of({{"update-ref", "-m", "codex-orchestrator", ref, kept}});
}

std::optional<std::string> git::kept_on(const std::string& commit) {
  return tell_git::kept_on(parts_->program, parts_->known(commit));
}

void git::put_back(const std::filesystem::path& directory, const std::string& head,
                   const std::optional<std::string>& kept) {
  require_work_tree(layout(), directory);
  auto wanted = parts_->known(head);
  if (this->head(directory).commit != wanted) {
    git_command checkout{{"checkout", "--quiet", "--detach", "--no-recurse-submodules", wanted},
                         directory};
    checkout.timeout = checkout_patience;
    parts_->program.output_of(checkout);
  }
  if (kept)
    tell_git::put_back(parts_->program, directory, parts_->known(*kept));
}

std::optional<std::string> git::newest_ref(const std::string& prefix) {
  std::optional<std::string> newest;
  auto folder = prefix.substr(0, prefix.rfind('/') + 1);
  for (auto& ref : split_words(
         parts_->program.output_of({{"for-each-ref", "--format=%(refname)", folder}}), '\n'))
    if (ref.size() > prefix.size() && ref.starts_with(prefix)
        && ref.find_first_not_of("0123456789", prefix.size()) == std::string::npos)
      newest = std::move(ref);
  return newest;
}

void git::exclude(const std::string& pattern) {
  if (pattern.empty() || pattern.find_first_of({"\0\n", 2}) != std::string::npos)
    throw bad_param("pattern", "a pattern is one line of text");
  git_lock lock{parts_->serial};
  add_line(layout().git_dir / "info" / "exclude", pattern);
}

} // namespace orch
