#include "io/edit_rules.hpp"

#include "io/git_layout.hpp"
#include "storage/locks.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

std::optional<std::string> owner_of(const worktree_place* place) {
  if (!place || !place->owner_session_id)
    return {};
  return std::to_string(*place->owner_session_id);
}

/// The worktree of the session in which it would do the work: the one it is in, else its first.
const worktree_place* home_of(const edit_facts& facts) {
  auto here = worktree_with(facts.worktrees, facts.cwd);
  if (here && owner_of(here) == facts.session)
    return here;
  for (const auto& place : facts.worktrees)
    if (owner_of(&place) == facts.session)
      return &place;
  return nullptr;
}

std::string outside(const edit_facts& facts, const fs::path& file, const worktree_place* in,
                    const fs::path& home) {
  auto owner = owner_of(in);
  auto whose = !in     ? fmt::format("in {}", facts.root.string())
               : owner ? fmt::format("in the worktree of session {}", *owner)
                       : fmt::format("in another worktree, {}", in->path.string());
  auto same = lock_path_of(facts, file).value_or(".");
  return fmt::format("{} is {} and lies outside the worktree of session {}. Edit {} instead; your "
                     "changes reach the others by a merge.",
                     file.string(), whose, *facts.session, (home / same).string());
}

std::string leased(const std::string& path, const lock& held) {
  // Whole seconds: nobody plans by microseconds.
  auto until = to_text(held.lease_until).substr(0, 19);
  return fmt::format(
    "{} is leased to session {} until {}Z (lock #{}, {} on {} {}). Work on "
    "something else, wait for your turn with lock_acquire and wait_seconds, or ask "
    "session {} to release it. Do not write the file in another way.",
    path, held.owner_session, until, held.id, held.mode, held.scope_type, held.scope_path,
    held.owner_session);
}

} // namespace

const worktree_place* worktree_with(const std::vector<worktree_place>& worktrees,
                                    const fs::path& file) {
  const worktree_place* inner = nullptr;
  for (const auto& place : worktrees)
    if (is_within(file, place.path) && (!inner || is_within(place.path, inner->path)))
      inner = &place;
  return inner;
}

std::optional<std::string> session_of(const std::vector<worktree_place>& worktrees,
                                      const fs::path& cwd,
                                      const std::optional<std::string>& given) {
  return given ? given : owner_of(worktree_with(worktrees, cwd));
}

std::optional<std::string> lock_path_of(const edit_facts& facts, const fs::path& file) {
  if (auto in = worktree_with(facts.worktrees, file))
    return file.lexically_relative(in->path).string();
  if (!is_within(file, facts.root))
    return {};
  surroundings around;
  around.repo_root = facts.root;
  return normalize_path(around, "path", file.string());
}

std::optional<edit_refusal> judge_edit(const edit_facts& facts, const fs::path& file) {
  auto in = worktree_with(facts.worktrees, file);
  auto path = lock_path_of(facts, file);
  // Who is in no worktree of a session but writes into one is taken for that session.
  auto session = facts.session ? facts.session : owner_of(in);
  auto home = facts.session ? home_of(facts) : nullptr;
  if (home && path && (!in || owner_of(in) != session))
    return edit_refusal{outside(facts, file, in, home->path), false};
  if (!path)
    return {};
  for (const auto& held : facts.leases_on(*path))
    if (held.owner_session != session)
      return edit_refusal{leased(*path, held), true};
  return {};
}

} // namespace orch
