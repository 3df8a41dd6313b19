#include "io/served_client.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

namespace orch {

namespace {

/// How often a client that wants to hear of progress is told.
constexpr std::chrono::seconds progress_period{5};

/// Time to tell of progress; the client's actor sends it to itself.
struct progress_tick {};

} // namespace
} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::progress_tick)

namespace orch {

system_config::system_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", std::size_t{1});
  set("scheduler.max-throughput", std::size_t{100});
}

served_client::served_client(caf::actor_system& system, const connection_options& options,
                             connection::sink out)
  : loop_{std::make_shared<event_loop>(system)},
    loop(*loop_), system_{system}, self_{new_looped_actor(system)}, client{actor_pointer(), options,
                                                                           std::move(out)} {
}

served_client::~served_client() {
  if (repository_)
    caf::anon_send(repository_, stop_repository{});
  caf::anon_send_exit(self_, caf::exit_reason::user_shutdown);
  *alive_ = false;
  client.abandon();
  loop.close();
}

void served_client::attach(const repository_options& options) {
  expects_repository_ = true;
  repository_ = system_.spawn<caf::lazy_init>(repository, options);
  caf::anon_send(repository_, listen_to_routes{self_});
}

void served_client::refuse_all(const std::string& why) {
  client.use(nullptr, why);
}

void served_client::end_connection_then(const std::function<void()>& then) {
  if (!table_) {
    then();
    return;
  }
  actor_pointer()
    ->request(table_->sessions, caf::infinite, end_connection{})
    .then([then](done) { then(); }, [then](const caf::error&) { then(); });
}

void served_client::plan_progress() {
  if (ticking_ || !client.wants_progress())
    return;
  ticking_ = true;
  actor_pointer()->delayed_send(actor_pointer(), progress_period, progress_tick{});
}

caf::actor served_client::new_looped_actor(caf::actor_system& system) {
  auto actor = system.spawn<looped_actor, caf::lazy_init>(loop_);
  auto self = caf::actor_cast<caf::event_based_actor*>(actor);
  self->context(&loop);
  self->become(
    [this, alive = alive_](const routes_changed& changed) {
      if (!*alive)
        return;
      table_ = changed.table;
      refusing_ = !changed.parked.empty();
      client.use(changed.table, changed.parked);
    },
    [this, alive = alive_](progress_tick) {
      if (!*alive)
        return;
      ticking_ = false;
      client.send_progress();
    });
  return actor;
}

caf::event_based_actor* served_client::actor_pointer() {
  return caf::actor_cast<caf::event_based_actor*>(self_);
}

} // namespace orch
