#pragma once

#include "actors/effects.hpp"
#include "storage/worktrees.hpp"

namespace orch {

/// Removes what there is of a worktree that was being made; how far that came is not known. What
/// somebody uses by now stays.
void undo_worktree(git& repository, const intent& of);

/// Undoes the worktrees that servers left half made which have died since, or lost them when their
/// actors were restarted. Waits for the git programs of the dead (`surroundings::children_ended`);
/// what they are still at work on is left to a later call. False if there was nothing to undo.
bool undo_orphans(effects& fx);

} // namespace orch
