#pragma once

// Whether an agent may write a file, decided from facts alone.

#include "messages/locks.hpp"
#include "storage/glance.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orch {

/// What is known of a repository and of who asks.
struct edit_facts {
  std::filesystem::path root;            ///< the main work tree
  std::vector<worktree_place> worktrees; ///< active ones of sessions
  std::optional<std::string> session;    ///< who asks, if that is known
  std::filesystem::path cwd;             ///< where who asks is
  /// The leases that keep others from a path (normalized), ended ones left out.
  std::function<std::vector<lock>(const std::string&)> leases_on;
};

/// Why a file must not be written now; `waiting_helps` if that passes with time.
struct edit_refusal {
  std::string reason;
  bool waiting_helps = false;
};

/// The session that asks: the one given (from the environment), else the owner of the worktree that
/// `cwd` is in.
std::optional<std::string> session_of(const std::vector<worktree_place>& worktrees,
                                      const std::filesystem::path& cwd,
                                      const std::optional<std::string>& given);

/// The worktree that a file is in, the innermost one; null if it is in none. Paths are settled.
const worktree_place* worktree_with(const std::vector<worktree_place>& worktrees,
                                    const std::filesystem::path& file);

/// The one name that locks use for a file, from whichever worktree it is written; nothing if it
/// lies in none of them and not below the root.
std::optional<std::string> lock_path_of(const edit_facts& facts, const std::filesystem::path& file);

/// Nothing if the file (absolute, settled) may be written, or is none of the repository's business.
/// Throws nothing of its own; `leases_on` may.
std::optional<edit_refusal> judge_edit(const edit_facts& facts, const std::filesystem::path& file);

} // namespace orch
