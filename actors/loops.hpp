#pragma once

#include "actors/effects.hpp"
#include "io/turnstile.hpp"

#include <caf/behavior.hpp>
#include <caf/stateful_actor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace orch {

/// Something that runs by itself, again and again.
struct loop_job {
  std::string_view name;       ///< for the log
  std::chrono::seconds period; ///< from the end of one run to the next
  std::function<void(effects& fx)> work;
};

/// The loops that a configuration asks for.
std::vector<loop_job> loop_jobs(const loops_config& config);

/// Time for the next run; the loop sends it to itself.
struct run_loop {};

struct loop_state {
  loop_state() = default;

  bool failing = false; ///< said once, until it works again
};

/// Runs one job in a thread of its own, first at once, then after each period. A run that fails is
/// logged and tried again after the next period.
caf::behavior loop(caf::stateful_actor<loop_state>* self, tree parts, loop_job job);

struct leader_state {
  leader_state() = default;

  std::unique_ptr<turnstile> lead; ///< held as long as this actor lives
};

/// Tries once a second to become the one process that runs the loops of the repository, and spawns
/// them when it has. They end with it.
caf::behavior leader(caf::stateful_actor<leader_state>* self, tree parts);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::run_loop)
