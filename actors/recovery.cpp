#include "actors/recovery.hpp"

#include "io/log.hpp"
#include "io/turnstile.hpp"

namespace orch {

namespace {

/// Since then somebody else may have made a work tree of another branch at that place.
bool belongs_to_another(git& repository, const intent& of) {
  try {
    auto branch = repository.head(of.path).branch;
    return !branch.empty() && branch != of.branch;
  } catch (const request_error&) {
    return false; // half-made, or not there
  }
}

} // namespace

void undo_worktree(git& repository, const intent& of) {
  if (belongs_to_another(repository, of)) {
    log_warning("{} is left as it is: it has another branch than {}", of.path, of.branch);
    return;
  }
  for (auto step : {0, 1}) {
    try {
      if (step == 0)
        repository.remove_worktree(of.path);
      else
        repository.delete_branch(of.branch, of.base_commit);
    } catch (const request_error& e) {
      // Nothing was made yet, or it is in use by now and stays. Nothing of it may stop the rest.
      if (e.code != errc::not_found)
        log_warning("{} is left as it is: {}", of.path, e.what());
    }
  }
}

bool undo_orphans(effects& fx) {
  if (fx.store(orphaned_intents).empty())
    return false;
  // Servers that find the same remains undo them one after the other.
  turnstile one_at_a_time{fx.around.state_dir / "recovery.lock"};
  one_at_a_time.enter();
  auto undone = false;
  for (const auto& left : fx.store(orphaned_intents)) {
    log_warning("undoing the half-made worktree {} of a server that died", left.path);
    if (left.server_id != fx.around.server && !fx.around.children_ended(left.server_id)) {
      log_warning("git is still at work on {}; it is undone later", left.path);
      continue;
    }
    undo_worktree(fx.repository(), left);
    fx.store([&](tx& t) { forget_intent(t, left.id); });
    undone = true;
  }
  return undone;
}

} // namespace orch
