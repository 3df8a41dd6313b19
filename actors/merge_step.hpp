#pragma once

#include "actors/effects.hpp"
#include "messages/merge_queue.hpp"

namespace orch {

/// A request on top of those before it.
struct merged_step {
  main_merge_request entry;
  std::string commit;
  std::string tree;
  std::string log{}; ///< of the check that passed
};

/// What `under`, a commit, becomes with that request, in the configured style; its tree is the one
/// that `git merge` would make, whatever the style. No ref moves. Nothing if they conflict.
std::optional<merged_step> put_on_top(effects& fx, const std::string& under,
                                      const main_merge_request& entry);

} // namespace orch
