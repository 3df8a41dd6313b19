#include "io/git_advance.hpp"

#include "io/git_changes.hpp"
#include "io/git_layout.hpp"
#include "io/git_questions.hpp"
#include "io/log.hpp"
#include "io/process_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

namespace orch::tell_git {

namespace fs = std::filesystem;

namespace {

/// A file that two commits have differently; an empty id where one of them has none.
struct changed_file {
  std::string path;
  std::string mode; ///< in the second
  std::string from;
  std::string to;
};

constexpr std::chrono::seconds patience_with_others{10};
constexpr std::chrono::milliseconds between_looks{20};

constexpr std::string_view symlink_mode = "120000";
constexpr std::string_view submodule_mode = "160000";

bool is_nothing(std::string_view id) {
  return id.find_first_not_of('0') == std::string_view::npos;
}

std::vector<changed_file> changes_between(const git_program& git, const std::string& from,
                                          const std::string& to) {
  std::vector<changed_file> result;
  auto fields = split_words(git.output_of({{"diff-tree", "-r", "-z", "--raw", "--no-renames",
                                            "--no-abbrev", from, to, "--"}}),
                            '\0');
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    // ":100644 100755 OLD NEW M", then the path.
    auto words = split_words(fields[i], ' ');
    if (words.size() < 5)
      break;
    result.push_back({fields[i + 1], words[1], is_nothing(words[2]) ? "" : words[2],
                      is_nothing(words[3]) ? "" : words[3]});
  }
  return result;
}

/// Is that branch in the hands of a rebase? It ends by moving it, and fails if it has moved.
std::optional<fs::path> rebase_of(const repository_layout& layout, const std::string& ref) {
  std::vector<std::pair<fs::path, fs::path>> all;
  if (!layout.bare)
    all.emplace_back(layout.git_dir, layout.root);
  for (const auto& linked : linked_work_trees(layout.git_dir))
    all.emplace_back(linked.metadata, linked.work_tree);
  for (const auto& [git_dir, work_tree] : all)
    for (const auto* kind : {"rebase-merge", "rebase-apply"})
      if (first_line(git_dir / kind / "head-name") == ref)
        return work_tree;
  return {};
}

std::string paths_text(const std::vector<std::string>& paths) {
  std::string text;
  for (const auto& path : paths)
    text += path + '\0';
  return text;
}

/// A lock on a ref and on the HEAD of a work tree that has it checked out, which moves the ref when
/// told so. Git takes the locks away if we die.
class ref_move {
public:
  ref_move(const git_program& git, const fs::path& work_tree, const std::string& ref,
           const std::string& from, const std::string& to)
    : ref_{ref}, git_{
                   git.talk({{"update-ref", "-m", "codex-orchestrator", "--stdin"}, work_tree})} {
    say("start");
    // Is answered with the next one.
    if (git_.ask(fmt::format("update {} {} {}\nprepare", ref, to, from)) != "prepare: ok")
      fail();
  }

  void commit() { say("commit"); }

  pid_t process() const { return git_.id(); }

private:
  void say(const std::string& word) {
    if (git_.ask(word) != word + ": ok")
      fail();
  }

  [[noreturn]] void fail() {
    auto ended = git_.end();
    auto error = git_failed({{"update-ref"}}, ended);
    if (git_said(ended, {"but expected", "is at", "unable to resolve"}))
      error.code = errc::conflict;
    throw error;
  }

  std::string ref_;
  dialogue git_;
};

/// Is something below that directory that the move does not delete? Also what git ignores.
bool holds_more(const fs::path& work_tree, const fs::path& directory,
                const std::set<std::string>& deleted) {
  std::error_code error;
  fs::recursive_directory_iterator all{directory, error};
  for (; !error && all != fs::recursive_directory_iterator{}; all.increment(error)) {
    auto is_directory = fs::is_directory(all->symlink_status(error));
    if (!is_directory && !deleted.contains(all->path().lexically_relative(work_tree).string()))
      return true;
  }
  return static_cast<bool>(error);
}

/// What in a work tree keeps it from having `files` changed: changes of its own, and whatever is in
/// the place of new files, ignored or not.
std::vector<std::string> in_the_way(const git_program& git, const fs::path& work_tree,
                                    const std::vector<changed_file>& files) {
  auto own = ask_git::changes(git, work_tree);
  std::set<std::string> taken{own.dirty.begin(), own.dirty.end()};
  taken.insert(own.untracked.begin(), own.untracked.end());
  std::set<std::string> deleted;
  for (const auto& file : files)
    if (file.to.empty())
      deleted.insert(file.path);
  std::vector<std::string> found;
  auto look_at = [&](const fs::path& path) {
    std::error_code ignored;
    auto type = fs::symlink_status(work_tree / path, ignored).type();
    return type == fs::file_type::none ? fs::file_type::not_found : type;
  };
  for (const auto& file : files) {
    auto below = taken.lower_bound(file.path + "/");
    if (taken.contains(file.path) || (below != taken.end() && below->starts_with(file.path + "/")))
      found.push_back(readable(file.path));
    if (!file.from.empty())
      continue;
    auto there = look_at(file.path);
    if (there == fs::file_type::directory ? holds_more(work_tree, work_tree / file.path, deleted)
                                          : there != fs::file_type::not_found)
      found.push_back(readable(file.path));
    for (auto parent = fs::path{file.path}.parent_path(); !parent.empty();
         parent = parent.parent_path()) {
      auto type = look_at(parent);
      if (type != fs::file_type::not_found && type != fs::file_type::directory
          && !deleted.contains(parent.string()))
        found.push_back(readable(parent.string()));
      if (type != fs::file_type::not_found)
        break;
    }
  }
  return in_order(std::move(found));
}

request_error is_in_the_way(const fs::path& work_tree, const std::vector<std::string>& paths) {
  return {errc::failed_precondition,
          fmt::format("uncommitted changes in {} are in the way: {}", work_tree.string(),
                      fmt::join(paths, ", ")),
          {{"paths", paths}, {"work_tree", work_tree.string()}}};
}

/// Index and files go from one commit to the other; HEAD stays. Local changes elsewhere stay.
void update_files(const git_program& git, const fs::path& work_tree, const std::string& from,
                  const std::string& to) {
  git_command refresh{{"update-index", "-q", "--refresh"}, work_tree};
  git_command read{{"read-tree", "-m", "-u", "--no-recurse-submodules", from, to}, work_tree};
  refresh.timeout = read.timeout = checkout_patience;
  git.attempt(refresh); // fails where files differ, which is no matter here
  git.output_of(read);
}

bool has_staged(const git_program& git, const fs::path& work_tree, const std::string& commit,
                const std::vector<changed_file>& files) {
  git_command question{
    {"diff-index", "--cached", "-z", "--name-only", "--no-renames", commit, "--"}, work_tree};
  auto differing = split_words(git.output_of(question), '\0');
  std::set<std::string> names{differing.begin(), differing.end()};
  return std::none_of(files.begin(), files.end(),
                      [&](const changed_file& file) { return names.contains(file.path); });
}

std::string content_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

/// Is that file what `to` has there, or the beginning of it, as when git was killed while it wrote?
bool is_of_the_move(const git_program& git, const fs::path& work_tree, const changed_file& file) {
  auto path = work_tree / file.path;
  std::error_code ignored;
  auto type = fs::symlink_status(path, ignored).type();
  if (file.to.empty() || file.mode == submodule_mode)
    return false;
  if (file.mode == symlink_mode)
    return type == fs::file_type::symlink
           && fs::read_symlink(path, ignored).string()
                == git.output_of({{"cat-file", "blob", file.to}});
  if (type != fs::file_type::regular)
    return false;
  git_command smudged{{"cat-file", "--filters", "--path=" + file.path, file.to}, work_tree};
  return git.output_of(smudged).starts_with(content_of(path));
}

/// Does a git but `ours` run in that work tree? It may be about to change it, or hold a lock.
bool somebody_is_at_work(const fs::path& work_tree, pid_t ours = 0) {
  for (const auto& process : all_processes()) {
    std::error_code gone;
    auto in = fs::path{"/proc"} / std::to_string(process.id);
    auto name = first_line(in / "comm");
    if (process.state == 'Z' || process.id == ours || !name || !name->starts_with("git"))
      continue;
    if (is_within(fs::read_symlink(in / "cwd", gone), work_tree))
      return true;
  }
  return false;
}

bool is_being_changed(const fs::path& work_tree, pid_t ours = 0) {
  std::error_code none;
  auto git_dir = git_dir_of(work_tree);
  return (git_dir && fs::exists(*git_dir / "index.lock", none))
         || somebody_is_at_work(work_tree, ours);
}

/// A checkout that has begun ends with what it has read, wherever the branch is by then.
void wait_for_others(const std::vector<fs::path>& work_trees) {
  auto end = std::chrono::steady_clock::now() + patience_with_others;
  for (const auto& one : work_trees)
    while (is_being_changed(one) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(between_looks);
}

std::vector<fs::path> all_work_trees(const repository_layout& layout) {
  std::vector<fs::path> all;
  if (!layout.bare)
    all.push_back(layout.root);
  for (const auto& linked : linked_work_trees(layout.git_dir))
    if (git_dir_of(linked.work_tree))
      all.push_back(linked.work_tree);
  return all;
}

void remove_stale_lock(const fs::path& lock, const fs::path& work_tree, fs::file_time_type since) {
  std::error_code none;
  auto made = fs::last_write_time(lock, none);
  if (none || made < since || somebody_is_at_work(work_tree))
    return;
  log_warning("removing {}, which a git that was killed has left", lock.string());
  fs::remove(lock, none);
}

/// Takes back what an update of files has done so far.
void put_files_back(const git_program& git, const fs::path& work_tree, const std::string& from,
                    const std::string& to, fs::file_time_type since) {
  if (auto git_dir = git_dir_of(work_tree))
    remove_stale_lock(*git_dir / "index.lock", work_tree, since);
  auto files = changes_between(git, from, to);
  if (has_staged(git, work_tree, to, files)) { // all of it was done
    update_files(git, work_tree, to, from);
    return;
  }
  std::vector<std::string> wanted;
  for (const auto& file : files) {
    std::error_code ignored;
    auto there = fs::symlink_status(work_tree / file.path, ignored).type();
    if (is_of_the_move(git, work_tree, file))
      fs::remove(work_tree / file.path, ignored);
    else if (there != fs::file_type::not_found)
      continue;
    if (!file.from.empty())
      wanted.push_back(file.path);
  }
  if (wanted.empty())
    return;
  git_command restore{{"checkout-index", "--quiet", "--force", "--index", "-z", "--stdin"},
                      work_tree};
  restore.input = paths_text(wanted);
  restore.timeout = checkout_patience;
  git.output_of(restore);
}

} // namespace

void advance_branch(const git_program& git, const std::string& branch, const std::string& from,
                    const std::string& to, const std::function<void()>& before_files) {
  auto ref = "refs/heads/" + branch;
  if (auto where = rebase_of(git.layout(), ref))
    throw request_error{errc::failed_precondition,
                        fmt::format("{} is being rebased in {}", branch, where->string()),
                        {{"work_tree", where->string()}}};
  wait_for_others(all_work_trees(git.layout()));
  auto users = users_of(git.layout(), ref);
  if (users.empty()) {
    update_ref(git, ref, to, from);
    // Somebody may have checked it out in between, as it was before.
    for (const auto& user : users_of(git.layout(), ref))
      if (has_staged(git, user, from, changes_between(git, from, to)))
        update_files(git, user, from, to);
    return;
  }
  auto since = fs::file_time_type::clock::now();
  auto files = changes_between(git, from, to);
  std::optional<ref_move> move{std::in_place, git, users.front(), ref, from, to};
  for (const auto& user : users)
    if (users_of(git.layout(), ref) != users || is_being_changed(user, move->process()))
      throw request_error{errc::conflict,
                          fmt::format("{} is being changed by another git", user.string()),
                          {{"work_tree", user.string()}}};
  for (const auto& user : users)
    if (auto paths = in_the_way(git, user, files); !paths.empty())
      throw is_in_the_way(user, paths);
  before_files();
  std::size_t touched = 0;
  try {
    for (const auto& user : users) {
      ++touched;
      update_files(git, user, from, to);
    }
    move->commit();
  } catch (request_error& why) {
    move.reset();
    try {
      // Somebody else was quicker: then it has not begun.
      if (std::string_view{why.what()}.find("index.lock") != std::string_view::npos && touched > 0)
        --touched;
      if (value_of(git, ref) != to)
        for (std::size_t i = 0; i < touched; ++i)
          put_files_back(git, users[i], from, to, since);
    } catch (const request_error& still) {
      why.data["half_done"] = still.what();
    }
    throw;
  }
}

void undo_advance(const git_program& git, const std::string& branch, const std::string& from,
                  const std::string& to, fs::file_time_type since) {
  for (const auto& user : users_of(git.layout(), "refs/heads/" + branch))
    put_files_back(git, user, from, to, since);
}

void remove_stale_locks(const git_program& git, const std::string& branch,
                        fs::file_time_type since) {
  auto ref = "refs/heads/" + branch;
  auto users = users_of(git.layout(), ref);
  for (const auto& user : users)
    for (const auto* name : {"index.lock", "HEAD.lock"})
      if (auto git_dir = git_dir_of(user))
        remove_stale_lock(*git_dir / name, user, since);
  remove_stale_lock(git.layout().git_dir / (ref + ".lock"),
                    users.empty() ? git.layout().root : users.front(), since);
}

} // namespace orch::tell_git
