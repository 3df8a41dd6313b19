#pragma once

#include "actors/effects.hpp"
#include "actors/route.hpp"
#include "messages/mirror.hpp"

namespace orch {

/// Asks for the Markdown as of now, without writing it anywhere.
struct mirror_text {};

/// Owns the Markdown copy of the state.
using mirror_actor =
  actor_for<mirror_methods::list, caf::replies_to<mirror_text>::with<std::string>>;

mirror_actor::behavior_type mirror(mirror_actor::pointer self, tree parts);

/// Writes the mirror where it was written last, if it is out of date.
void refresh_mirror_file(effects& fx);

route_map routes(const mirror_actor& owner);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::mirror_text)
