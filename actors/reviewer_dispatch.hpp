#pragma once

#include "actors/effects.hpp"

namespace orch {

/// Starts reviewers for merge requests that want one, as many as may run at once. One that ended
/// without a verdict is replaced after a growing pause; after the last round a person is asked.
void dispatch_reviewers(effects& fx);

} // namespace orch
