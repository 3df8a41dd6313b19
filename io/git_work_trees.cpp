#include "io/git_work_trees.hpp"

#include "io/git_changes.hpp"
#include "io/git_files.hpp"
#include "io/git_layout.hpp"
#include "io/git_linked.hpp"
#include "io/git_lock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <system_error>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// The path as git writes it into its metadata, the last name left alone: it may be a symlink.
fs::path place_of(const fs::path& path) {
  auto plain = path.lexically_normal();
  if (!plain.has_filename())
    plain = plain.parent_path();
  return settled(plain.parent_path()) / plain.filename();
}

request_error exists_already(const fs::path& path) {
  return {
    errc::conflict, fmt::format("{} exists already", path.string()), {{"path", path.string()}}};
}

/// Makes the directories above `path`; returns the highest one that was missing, or nothing.
fs::path make_parents(const fs::path& path) {
  fs::path first;
  for (auto parent = path.parent_path(); !anything_at(parent); parent = parent.parent_path())
    first = parent;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error)
    throw request_error{
      errc::failed_precondition,
      fmt::format("cannot make directory {}: {}", path.parent_path().string(), error.message()),
      {{"path", path.string()}}};
  return first;
}

/// Takes empty directories away again, from the one above `path` up to `first`.
void remove_parents(const fs::path& path, const fs::path& first) {
  std::error_code error;
  auto parent = path.parent_path();
  while (!first.empty() && is_within(parent, first) && fs::is_directory(parent, error)
         && fs::remove(parent, error))
    parent = parent.parent_path();
}

} // namespace

/// What one call has made so far, for taking it back.
struct git_work_trees::addition {
  fs::path path;
  std::string branch;
  std::string commit;
  fs::path first_parent{};
  bool has_branch = false;
  bool has_metadata = false;
};

git_work_trees::git_work_trees(const git_program& git, const fs::path& serial)
  : git_{git}, serial_{serial} {
}

void git_work_trees::add(const fs::path& path, const std::string& branch,
                         const std::string& commit) const {
  addition made{place_of(path), branch, commit};
  try {
    register_work_tree(made);
    // Outside the lock, as it takes longest. Filters run here.
    git_command checkout{{"reset", "--hard", "--quiet", "--no-recurse-submodules"}, made.path};
    checkout.timeout = checkout_patience;
    git_.output_of(checkout);
  } catch (const std::exception&) {
    undo(made);
    throw;
  }
}

void git_work_trees::register_work_tree(addition& made) const {
  git_lock lock{serial_};
  if (anything_at(made.path))
    throw exists_already(made.path);
  try {
    made.first_parent = make_parents(made.path);
    tell_git::update_ref(git_, "refs/heads/" + made.branch, made.commit, std::nullopt);
    made.has_branch = true;
  } catch (request_error& error) {
    if (error.code == errc::conflict)
      error.data["branch"] = made.branch;
    throw;
  }
  made.has_metadata = true;
  // --force: metadata of a work tree that somebody deleted by hand are no reason to refuse.
  git_command command{
    {"worktree", "add", "--force", "--no-checkout", "--", made.path.string(), made.branch}};
  auto result = git_.attempt(command);
  if (result.ok())
    return;
  if (git_said(result, {"already exists", "already registered", "missing but locked"})) {
    made.has_metadata = false;
    throw exists_already(made.path);
  }
  throw git_failed(command, result);
}

void git_work_trees::undo(const addition& made) const noexcept {
  // The caller gets the error that led here; what cannot be taken back is found by `remove` later.
  try {
    if (made.has_metadata)
      remove(made.path);
  } catch (const std::exception&) {
  }
  try {
    git_lock lock{serial_};
    if (made.has_branch)
      tell_git::delete_branch(git_, made.branch, made.commit);
    remove_parents(made.path, made.first_parent);
  } catch (const std::exception&) {
  }
}

void git_work_trees::remove(const fs::path& path) const {
  auto place = place_of(path);
  auto remains = [&] {
    git_lock lock{serial_};
    return remains_of(git_.layout(), place);
  }();
  if (remains.directory_exists)
    delete_tree(place);
  forget(place, remains.metadata);
}

void git_work_trees::forget(const fs::path& path, const std::vector<fs::path>& metadata) const {
  git_lock lock{serial_};
  // Somebody else may have made it anew meanwhile, with metadata of the same name.
  if (anything_at(path))
    return;
  for (const auto& directory : metadata)
    delete_tree(directory);
  std::error_code not_empty;
  fs::remove(git_.layout().git_dir / "worktrees", not_empty);
}

} // namespace orch
