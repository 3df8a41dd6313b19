#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

/// Where a repository keeps its things. All paths are absolute and free of symlinks.
struct repository_layout {
  std::filesystem::path root;    ///< the main work tree; of a bare repository, the repository
  std::filesystem::path git_dir; ///< the common git directory
  bool bare = false;
};

/// The repository that `directory` is in, also from inside a linked worktree (then the main one is
/// meant), a subdirectory or a bare repository. Starts no program. Throws `std::runtime_error` with
/// one clear line if there is none or it cannot be read.
repository_layout find_repository(const std::filesystem::path& directory);

/// What a work tree has checked out.
struct git_head {
  std::string branch;                ///< short name; empty while detached
  std::optional<std::string> commit; ///< nothing on an unborn branch
};

/// What differs from the last commit in a work tree, as paths relative to it.
struct git_changes {
  std::vector<std::string> dirty;     ///< tracked files, staged or not
  std::vector<std::string> untracked; ///< single files; ignored ones are left out

  bool none() const { return dirty.empty() && untracked.empty(); }
};

struct git_distance {
  int64_t ahead = 0;
  int64_t behind = 0;
};

/// A merge worked out without touching any work tree or ref.
struct git_merge {
  std::string tree;                   ///< id of the merged tree; empty if there are conflicts
  std::vector<std::string> conflicts; ///< paths, sorted, each once
};

/// A work tree as if all of it were committed.
struct git_snapshot {
  std::string head;
  std::string commit; ///< `head` if nothing is uncommitted
  std::vector<std::string> uncommitted;
  std::vector<std::string> left_out; ///< of these: too large to be taken in
};

/// How two trees differ.
struct git_tree_changes {
  std::vector<std::string> added;
  std::vector<std::string> deleted;
  std::vector<std::string> modified;
};

/// One repository as the rest of the program sees it. Reading goes through libgit2 where that can
/// open the repository, everything else through the git program, which never runs hooks, pagers,
/// editors or prompts. Each instance belongs to one thread at a time; instances are cheap.
/// Functions throw `request_error`: not_found for a ref or path that does not exist,
/// failed_precondition for a state that does not allow it, unavailable when git itself fails (with
/// its words in data.stderr).
class git {
public:
  /// `inherit`: descriptors that every git program keeps open (see `program::inherit`).
  /// `serial`: a file whose flock serializes what git cannot do in parallel; created if missing.
  git(repository_layout layout, std::filesystem::path serial, std::vector<int> inherit = {});
  ~git();
  git(git&&) noexcept;
  git& operator=(git&&) noexcept;

  const repository_layout& layout() const;

  /// The branch that work starts from and goes back to, as of now: origin's default, main, master
  /// or init.defaultBranch, whichever exists here first, else the one checked out in the main work
  /// tree. A side branch that somebody has checked out there is not it. Empty if there is none.
  std::string main_branch();

  /// The git directory of a work tree of this repository. Throws not_found or failed_precondition.
  std::filesystem::path metadata_of(const std::filesystem::path& directory);

  /// What `directory`, a work tree of this repository, has checked out.
  git_head head(const std::filesystem::path& directory);

  /// The commit that `ref` names (branch, tag, commit id, HEAD of the main work tree, ...), if any.
  /// A ref that starts with `-` or holds a NUL or newline names nothing.
  std::optional<std::string> commit_of(std::string_view ref);

  bool branch_exists(std::string_view branch);

  /// Says in words why `branch` cannot be a branch name; nothing if it can (git check-ref-format).
  static std::optional<std::string> bad_branch_name(std::string_view branch);

  /// Creates `branch` at `commit` and a work tree for it at `path` (absolute, must not exist;
  /// missing parents are made). When it fails nothing is left of either.
  /// Many processes may do this at once.
  void add_worktree(const std::filesystem::path& path, const std::string& branch,
                    const std::string& commit);

  /// Makes a directory at `path` (its parent's parent must be there) with the files of `commit` and
  /// a repository of its own, which has the objects and copies of the refs of this one: whatever is
  /// done to it changes nothing here. What was there before is gone. `given_up`: asked now and
  /// then; then it throws unavailable.
  void make_scratch(
    const std::filesystem::path& path, const std::string& commit,
    const std::function<bool()>& given_up = [] { return false; });

  /// The branch that this one is another name of (a symbolic ref); nothing for a plain one.
  std::optional<std::string> other_name_of(const std::string& branch);

  /// The commits that `to` has on its first-parent line since `from` (commits), oldest first.
  std::vector<std::string> mainline(const std::string& from, const std::string& to);

  /// The commits that `to` has and `from` has not, merges left out, parents first; of more than
  /// `most` the last ones.
  std::vector<std::string> plain_commits(const std::string& from, const std::string& to,
                                         std::size_t most);

  /// The newest commit that both have; nothing if they are unrelated.
  std::optional<std::string> merge_base(const std::string& one, const std::string& other);

  /// The first lines of the messages of the commits that `to` has and `from` has not, oldest first,
  /// each as "- LINE\n"; 100 at most.
  std::string subjects(const std::string& from, const std::string& to);

  /// The tree of a commit.
  std::string tree_of(const std::string& commit);

  /// Removes the work tree at `path` with its metadata, whatever state it is in, also half-made or
  /// with its directory already gone. Never touches a directory that is not this repository's
  /// linked work tree (a half-made one has no .git file and its metadata points to it).
  void remove_worktree(const std::filesystem::path& path);

  /// Deletes a branch; `only_at`: only while it points to that commit. Missing is fine.
  void delete_branch(const std::string& branch, const std::optional<std::string>& only_at = {});

  git_changes changes(const std::filesystem::path& directory);

  git_distance distance(const std::string& from_commit, const std::string& to_commit);

  /// Paths that differ between the merge base of the two and `commit`.
  std::vector<std::string> changed_paths(const std::string& base_commit, const std::string& commit);

  /// `git diff --stat` between the merge base of the two and `commit`.
  std::string diffstat(const std::string& base_commit, const std::string& commit);

  /// The same as a patch.
  std::string diff(const std::string& base_commit, const std::string& commit);

  /// Merges `theirs` into `ours` (commits) in memory, as `git merge` would.
  git_merge merge(const std::string& ours, const std::string& theirs);

  // What is asked in passing is kept in a directory of objects beside those of the repository,
  // which may be deleted whenever nobody needs the answers any more (made if it is missing).

  /// What the work tree would be with all that is uncommitted; the same state gives the same
  /// commit. Nothing there changes. Throws failed_precondition if it has no commit yet.
  git_snapshot snapshot(const std::filesystem::path& directory,
                        const std::filesystem::path& objects);

  /// How each second commit differs from the first.
  std::vector<git_tree_changes> changes_between(
    const std::vector<std::pair<std::string, std::string>>& commits,
    const std::filesystem::path& objects);

  /// Merges each two commits in memory. They must have a common history.
  std::vector<git_merge> merge_all(const std::vector<std::pair<std::string, std::string>>& commits,
                                   const std::filesystem::path& objects);

  /// Those of these paths in a work tree (relative) that git does not ignore.
  std::vector<std::string> not_ignored(const std::filesystem::path& directory,
                                       const std::vector<std::string>& paths);

  /// The directories of a work tree (relative) that have tracked files in or below them.
  std::set<std::string> tracked_directories(const std::filesystem::path& directory);

  /// Writes a commit of `tree`; no ref moves. Returns its id. Works without user.name configured.
  std::string commit(const std::string& tree, const std::vector<std::string>& parents,
                     const std::string& message);

  /// Writes a commit of `tree` on `parent` with the author, the date and the message of `original`;
  /// its signature is left out. Returns its id.
  std::string copy_commit(const std::string& original, const std::string& tree,
                          const std::string& parent);

  /// Moves the branch checked out in `directory` forward to `commit`, files and all. Local changes
  /// that do not overlap stay; overlapping ones: failed_precondition (data.paths), nothing moved.
  void fast_forward(const std::filesystem::path& directory, const std::string& commit);

  /// Moves a branch from one commit to a later one, with the files of the work trees that have it
  /// checked out. Local changes elsewhere stay. Throws conflict if it is not at `from` or is being
  /// checked out just now, failed_precondition (data.paths) if local changes are in the way or it
  /// is being rebased; after an error nothing has changed, but for the work of a git that was
  /// killed or had no room (`undo_advance`).
  /// `before_files` is called once nothing is in the way, before the first file changes.
  void advance_branch(
    const std::string& branch, const std::string& from, const std::string& to,
    const std::function<void()>& before_files = [] {});

  /// Takes back what an `advance_branch` that was killed after `before_files` has done to files
  /// since then. Only if the branch is at `from`.
  void undo_advance(const std::string& branch, const std::string& from, const std::string& to,
                    std::filesystem::file_time_type since);

  /// Removes lock files that a git that was killed while it moved that branch has left since then.
  void remove_stale_locks(const std::string& branch, std::filesystem::file_time_type since);

  /// Points `ref` at `commit`, only while it is at `expected` (nothing: it must not exist).
  /// Throws conflict if it is not.
  void update_ref(const std::string& ref, const std::string& commit,
                  const std::optional<std::string>& expected);

  /// Keeps what `directory` has, uncommitted and untracked files included, as a commit under `ref`.
  /// Neither its index nor its files change.
  void keep(const std::filesystem::path& directory, const std::string& ref);

  /// What was checked out where `keep` has made this commit; nothing for any other commit.
  std::optional<std::string> kept_on(const std::string& commit);

  /// Gives the work tree at `directory`, which has no changes, what `keep` has found: `head`
  /// checked out (on no branch unless its branch is there), and the files of `kept`, none of them
  /// staged.
  void put_back(const std::filesystem::path& directory, const std::string& head,
                const std::optional<std::string>& kept);

  /// The last ref, by name, that begins with `prefix` and goes on with digits only.
  std::optional<std::string> newest_ref(const std::string& prefix);

  /// Adds `pattern` to .git/info/exclude unless it is there.
  void exclude(const std::string& pattern);

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// Bytes that a directory takes on disk, without following symlinks.
int64_t disk_use(const std::filesystem::path& directory);

} // namespace orch
