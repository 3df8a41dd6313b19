#include "actors/sessions.hpp"

#include "actors/owner.hpp"
#include "actors/session_effects.hpp"
#include "storage/sessions.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace orch {

namespace {

using self_pointer = session_actor::stateful_pointer<session_state>;

constexpr std::chrono::seconds keep_alive_period{15}; // contract, section 3

void start_keeping_alive(self_pointer self, const caller& from) {
  if (!from.lasting)
    return;
  auto& epoch = self->state.keeping_alive[from.server];
  epoch = std::max(epoch, from.epoch);
  if (!std::exchange(self->state.ticking, true))
    self->delayed_send(self, keep_alive_period, keep_alive{});
}

auto open(self_pointer self, const tree& parts) {
  return [=](const call<session_open>& asked) -> caf::result<opened_session> {
    start_keeping_alive(self, asked.from);
    return effect<session_open>(self, parts, open_session)(asked);
  };
}

/// Sent to the storage actor with nobody waiting for the answer.
void store_unasked(const tree& parts, std::function<void(tx&)> work) {
  caf::anon_send(parts.storage, transaction{[work = std::move(work)](tx& t) {
                                              work(t);
                                              return caf::make_message(done{});
                                            },
                                            false});
}

} // namespace

session_actor::behavior_type sessions(self_pointer self, tree parts) {
  return {
    open(self, parts),
    stored<session_heartbeat>(self, parts, heartbeat_session),
    stored<session_context_get>(self, parts, get_session_context),
    effect<session_list>(self, parts, list_sessions_live),
    stored<session_close>(self, parts, close_session),
    effect<session_cleanup>(self, parts, clean_up_session),
    stored<resume_next>(self, parts, next_to_resume),
    stored<resume_candidates_list>(self, parts, list_resume_candidates),
    stored<resume_candidates_attach>(self, parts, attach_resume_candidate),
    effect<work_current_ref>(self, parts, current_work_point),
    stored<work_current_ref_ack>(self, parts, ack_current_ref),
    [=](const sign_of_life& x) {
      start_keeping_alive(self, x.from);
      store_unasked(parts, [x](tx& t) {
        t.asked_by(x.from);
        note_sign_of_life(t, x.session_id, x.from);
      });
    },
    [=](end_connection x) -> caf::result<done> {
      self->state.keeping_alive.erase(x.server);
      auto promise = self->make_response_promise<done>();
      return promise.delegate(parts.storage, transaction{[x](tx& t) {
                                                           suspend_sessions_of_server(t, x.server);
                                                           forget_places(t, x.server);
                                                           return caf::make_message(done{});
                                                         },
                                                         false});
    },
    [=](leave_connection x) {
      // It may have come back over another connection meanwhile.
      std::erase_if(self->state.keeping_alive, [&](const auto& kept) {
        return kept.first == x.server && kept.second <= x.epoch;
      });
    },
    [=](begin_epoch x) -> caf::result<done> {
      auto promise = self->make_response_promise<done>();
      return promise.delegate(parts.storage, transaction{[x](tx& t) {
                                                           note_epoch(t, x.server, x.epoch);
                                                           return caf::make_message(done{});
                                                         },
                                                         false});
    },
    [=](keep_alive) {
      auto& kept = self->state.keeping_alive;
      // What a client said last may have come after its end.
      std::erase_if(
        kept, [&](const auto& one) { return one.first != 0 && !parts.around->alive(one.first); });
      self->state.ticking = !kept.empty();
      if (kept.empty())
        return;
      std::set<int64_t> servers;
      for (const auto& [server, epoch] : kept)
        servers.insert(server);
      store_unasked(parts, [servers](tx& t) { keep_sessions_alive(t, servers); });
      self->delayed_send(self, keep_alive_period, keep_alive{});
    },
  };
}

route_map routes(const session_actor& owner) {
  return routes_to(owner, session_methods::list{});
}

} // namespace orch
