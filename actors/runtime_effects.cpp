#include "actors/runtime_effects.hpp"

#include "io/guides.hpp"
#include "io/install.hpp"
#include "io/tmux_install.hpp"
#include "messages/version.hpp"
#include "storage/runtime.hpp"

namespace orch {

tmux_readiness ensure_tmux_runtime(effects& fx, const runtime_tmux_ensure& request) {
  if (request.session_id)
    fx.store([&](tx& t) { t.must_exist("sessions", *request.session_id, "session"); });
  auto found = ensure_tmux(fx.agents().terminal, request.auto_install);
  auto detail = found.tmux_version.value_or(found.manual_instructions.value_or(""));
  fx.store([&](tx& t) {
    found.event = note_runtime_event(t, request.session_id, found.status, detail);
    fx.conclude(t, found);
  });
  return found;
}

bundle_info look_at_bundle(effects& fx, const runtime_bundle_info&) {
  bundle_info info;
  info.program = fx.agents().program.string();
  info.version = std::string{program_version};
  for (auto client : {agent_client::codex, agent_client::claude})
    for (auto for_user : {true, false}) {
      install_places places;
      try {
        places = places_of_user(for_user ? std::nullopt : std::optional{fx.around.repo_root});
      } catch (const std::exception&) {
        continue; // no home: nothing can be installed for the user
      }
      for (const auto& part : installed_state({client, places, fx.agents().program})) {
        bundle_part found;
        found.client = std::string{word_for(client)};
        found.scope = for_user ? "user" : "repository";
        found.what = part.what;
        found.path = part.paths.empty() ? std::string{} : part.paths.front();
        found.present = part.present;
        found.stale = part.stale;
        if (!part.reason.empty())
          found.reason = part.reason;
        info.parts.push_back(std::move(found));
      }
    }
  for (const auto& guide : guides())
    info.guides.emplace_back(guide.name);
  return info;
}

} // namespace orch
