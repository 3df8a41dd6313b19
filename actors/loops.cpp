#include "actors/loops.hpp"

#include "actors/agent_state.hpp"
#include "actors/merge_processing.hpp"
#include "actors/mirror.hpp"
#include "actors/reviewer_dispatch.hpp"
#include "actors/worktree_effects.hpp"
#include "io/log.hpp"
#include "storage/locks.hpp"
#include "storage/mirror.hpp"
#include "storage/sessions.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

namespace orch {

namespace {

/// A leader takes over from one that was killed within 2 s (contract, section 9).
constexpr std::chrono::seconds between_tries{1};

void expire_leases(effects& fx) {
  // Every write transaction begins with ending the leases that are over.
  if (fx.look(any_lease_is_over))
    fx.store([](tx&) {});
}

void suspend_sessions(effects& fx) {
  if (fx.look([](tx& t) { return any_session_to_suspend(t) || any_dead_client(t); }))
    fx.store([](tx& t) {
      suspend_sessions_of_dead_servers(t);
      suspend_silent_sessions(t);
      forget_dead_clients(t);
    });
}

void look_at_threads(effects& fx) {
  for (auto id : fx.look(live_threads)) {
    if (fx.given_up())
      return;
    try {
      look_at_thread(fx, id);
    } catch (const request_error& e) {
      // It may have been removed meanwhile; and one that cannot be looked at is none of the others'
      // business.
      if (e.code != errc::not_found)
        log_warning("cannot look at thread #{}: {}", id, e.what());
    }
  }
}

void refresh_mirror(effects& fx) {
  if (fx.look([](tx& t) { return get_mirror_state(t, {}).outdated; }))
    refresh_mirror_file(fx);
}

} // namespace

std::vector<loop_job> loop_jobs(const loops_config& config) {
  std::vector<loop_job> all{
    {"lease expiry", std::chrono::seconds{config.lease_expiry}, expire_leases},
    {"session liveness", std::chrono::seconds{config.session_liveness}, suspend_sessions},
    {"thread liveness", std::chrono::seconds{config.thread_liveness}, look_at_threads},
    {"reviewer dispatch", std::chrono::seconds{config.reviewer_dispatch}, dispatch_reviewers},
    {"merging", std::chrono::seconds{config.merge_processing},
     [pause = std::make_shared<merge_pause>()](effects& fx) { merge_by_itself(fx, *pause); }},
    {"worktree pruning", std::chrono::seconds{config.worktree_prune}, prune_by_itself},
    {"mirror refresh", std::chrono::seconds{config.mirror_refresh}, refresh_mirror},
  };
  std::erase_if(all, [](const loop_job& job) { return job.period.count() == 0; });
  return all;
}

caf::behavior loop(caf::stateful_actor<loop_state>* self, tree parts, loop_job job) {
  self->send(self, run_loop{});
  return {
    [=](run_loop) {
      effect_job work{[job](effects& fx) {
                        job.work(fx);
                        return caf::make_message(done{});
                      },
                      {}};
      self->request(spawn_effect_worker(self->system(), parts), caf::infinite, std::move(work))
        .then(
          [=](done) {
            if (std::exchange(self->state.failing, false))
              log_info("{} works again", job.name);
            self->delayed_send(self, job.period, run_loop{});
          },
          [=](const caf::error& e) {
            if (!std::exchange(self->state.failing, true) && !*parts.ending)
              log_warning("{} failed and is tried again: {}", job.name, from_caf_error(e).what());
            self->delayed_send(self, job.period, run_loop{});
          });
    },
  };
}

caf::behavior leader(caf::stateful_actor<leader_state>* self, tree parts) {
  auto jobs = loop_jobs(parts.loops->config);
  self->send(self, run_loop{});
  return {
    [=](run_loop) {
      auto& lead = self->state.lead;
      try {
        if (!lead)
          lead = std::make_unique<turnstile>(parts.around->state_dir / "leader.lock");
        if (lead->try_enter()) {
          log_info("this process runs the loops of {}", parts.around->repo_root.string());
          for (const auto& job : jobs)
            self->spawn<caf::linked>(loop, parts, job);
          return;
        }
      } catch (const std::exception& e) {
        log_warning("cannot try to run the loops: {}", e.what());
      }
      self->delayed_send(self, between_tries, run_loop{});
    },
  };
}

} // namespace orch
