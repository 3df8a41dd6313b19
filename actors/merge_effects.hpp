#pragma once

#include "actors/worktree_effects.hpp"
#include "messages/merge_queue.hpp"

namespace orch {

queued_main_merge request_main_merge(effects& fx, const merge_main_request& request);
review_context gather_review_context(effects& fx, const merge_review_context& request);

} // namespace orch
