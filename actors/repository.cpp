#include "actors/repository.hpp"

#include "actors/follower.hpp"
#include "actors/inbox.hpp"
#include "actors/loops.hpp"
#include "actors/merge_processing.hpp"
#include "actors/plans.hpp"
#include "actors/recovery.hpp"
#include "actors/reviewers.hpp"
#include "actors/runtime.hpp"
#include "actors/tasks.hpp"
#include "actors/workspace.hpp"
#include "actors/worktrees.hpp"
#include "io/log.hpp"

#include <caf/send.hpp>
#include <fmt/format.h>

namespace orch {

namespace {

using self_pointer = repository_actor::stateful_pointer<repository_state>;

template <class Actor>
Actor kept(self_pointer self, Actor actor) {
  self->monitor(actor);
  self->state.parts.push_back(caf::actor_cast<caf::actor>(actor));
  return actor;
}

void tell_listeners(self_pointer self) {
  for (const auto& listener : self->state.listeners)
    caf::anon_send(listener, routes_changed{self->state.table, self->state.parked});
}

void start(self_pointer self) {
  auto& state = self->state;
  auto& system = self->system();
  auto parts = state.options.parts;
  parts.ending = state.ending = std::make_shared<std::atomic<bool>>(false);
  parts.storage = kept(self, system.spawn<caf::detached>(storage_actor, state.options.storage));
  parts.reader = kept(self, system.spawn<caf::lazy_init>(reader_actor, state.options.storage));
  auto table = std::make_shared<route_table>();
  auto add = [&](const auto& owner) { table->routes.merge(routes(kept(self, owner))); };
  table->sessions = system.spawn<caf::lazy_init>(sessions, parts);
  table->locks = system.spawn<caf::lazy_init>(locks, parts);
  table->merges = system.spawn<caf::lazy_init>(merge_queue, parts);
  table->mirror = system.spawn<caf::lazy_init>(mirror, parts);
  table->threads = system.spawn<caf::lazy_init>(threads, parts);
  table->events = system.spawn<caf::lazy_init>(events, parts);
  add(table->sessions);
  add(table->locks);
  add(table->merges);
  add(table->mirror);
  add(table->threads);
  add(table->events);
  add(system.spawn<caf::lazy_init>(inbox, parts));
  add(system.spawn<caf::lazy_init>(reviewers, parts));
  add(system.spawn<caf::lazy_init>(runtime, parts));
  add(system.spawn<caf::lazy_init>(workspace, parts));
  add(system.spawn<caf::lazy_init>(tasks, parts));
  add(system.spawn<caf::lazy_init>(plans, parts));
  add(system.spawn<caf::lazy_init>(worktrees, parts));
  if (parts.agents)
    kept(self, system.spawn<caf::detached>(follower, parts));
  if (parts.loops)
    kept(self, system.spawn(leader, parts));
  state.table = table;
  tell_listeners(self);
  // Requests need not wait for it: who wants a name that is taken by such remains undoes them too.
  caf::anon_send(spawn_effect_worker(system, parts), effect_job{[](effects& fx) {
                                                                  undo_orphans(fx);
                                                                  recover_merge_runs(fx);
                                                                  return caf::message{};
                                                                },
                                                                {}});
}

void stop_parts(self_pointer self) {
  if (self->state.ending)
    *self->state.ending = true;
  auto parts = std::move(self->state.parts);
  self->state.parts.clear();
  for (const auto& part : parts) {
    self->demonitor(part);
    caf::anon_send_exit(part, caf::exit_reason::user_shutdown);
  }
}

void on_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  if (state.stopping || !state.table)
    return;
  auto pause = state.seen.note();
  state.table.reset();
  stop_parts(self);
  const auto& where = state.options.parts.around->repo_root.string();
  auto why = caf::to_string(down.reason);
  if (!pause) {
    state.parked = fmt::format(
      "{} has failed {} times within a minute, the last time because of {}; "
      "it stays stopped until the supervisor is told to reload (SIGHUP) or this server is "
      "started again",
      where, state.seen.count(), why);
    log_error("{}", state.parked);
    tell_listeners(self);
    return;
  }
  log_error("a part of {} failed ({}); restarting all of it", where, why);
  tell_listeners(self);
  self->delayed_send(self, *pause, start_owners{});
}

} // namespace

repository_actor::behavior_type repository(self_pointer self, repository_options options) {
  self->state.options = std::move(options);
  self->set_down_handler([self](const caf::down_msg& down) { on_down(self, down); });
  start(self);
  return {
    [self](const listen_to_routes& x) {
      self->state.listeners.push_back(x.listener);
      caf::anon_send(x.listener, routes_changed{self->state.table, self->state.parked});
    },
    [self](start_owners) {
      if (!self->state.stopping)
        start(self);
    },
    [self](stop_repository) {
      self->state.stopping = true;
      self->state.listeners.clear();
      self->state.table.reset();
      stop_parts(self);
      self->quit();
    },
  };
}

} // namespace orch
