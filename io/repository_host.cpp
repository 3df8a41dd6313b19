#include "io/repository_host.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include <algorithm>

namespace orch {

namespace {

/// How often a client that wants to hear of progress is told.
constexpr std::chrono::seconds progress_period{5};

/// Something to be done now; the host's actor sends it to itself.
struct planned_work {
  std::function<void()> work;
};

} // namespace
} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::planned_work)

namespace orch {

system_config::system_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", std::size_t{1});
  set("scheduler.max-throughput", std::size_t{100});
}

repository_host::repository_host(caf::actor_system& system, std::shared_ptr<event_loop> loop)
  : system_{system}, loop_{std::move(loop)}, self_{new_looped_actor()} {
}

repository_host::~repository_host() {
  if (repository_)
    caf::anon_send(repository_, stop_repository{});
  caf::anon_send_exit(self_, caf::exit_reason::user_shutdown);
  *alive_ = false;
}

void repository_host::attach(const repository_options& options) {
  expects_repository_ = true;
  repository_ = system_.spawn<caf::lazy_init>(repository, options);
  caf::anon_send(repository_, listen_to_routes{self_});
}

void repository_host::refuse_all(const std::string& why) {
  why_not_ = why;
  for (auto client : clients_)
    client->use(nullptr, why);
}

repository_host::hosted_client repository_host::connect(const connection_options& options,
                                                        connection::sink out) {
  hosted_client client{new connection{actor_pointer(), options, std::move(out)}, {this}};
  client->use(table_, why_not_);
  clients_.push_back(client.get());
  return client;
}

void repository_host::parting::operator()(connection* client) const {
  std::erase(from->clients_, client);
  delete client;
}

void repository_host::end_connection_then(int64_t server,
                                          const std::function<void(bool noted)>& then) {
  tell_sessions_then(end_connection{server}, then);
}

void repository_host::leave_connection(int64_t server, int64_t epoch) {
  if (table_)
    caf::anon_send(table_->sessions, orch::leave_connection{server, epoch});
}

void repository_host::begin_epoch_then(int64_t server, int64_t epoch,
                                       const std::function<void(bool noted)>& then) {
  tell_sessions_then(begin_epoch{server, epoch}, then);
}

template <class News>
void repository_host::tell_sessions_then(const News& news,
                                         const std::function<void(bool noted)>& then) {
  if (!table_) {
    then(false);
    return;
  }
  actor_pointer()
    ->request(table_->sessions, caf::infinite, news)
    .then(
      [then, alive = alive_](done) {
        if (*alive)
          then(true);
      },
      [then, alive = alive_](const caf::error&) {
        if (*alive)
          then(false);
      });
}

void repository_host::run_after(std::chrono::milliseconds delay, std::function<void()> then) {
  actor_pointer()->delayed_send(actor_pointer(), delay, planned_work{std::move(then)});
}

void repository_host::plan_progress() {
  auto wanted = std::any_of(clients_.begin(), clients_.end(),
                            [](const auto& client) { return client->wants_progress(); });
  if (ticking_ || !wanted)
    return;
  ticking_ = true;
  run_after(progress_period, [this] {
    ticking_ = false;
    for (auto client : clients_)
      client->send_progress();
  });
}

caf::actor repository_host::new_looped_actor() {
  auto actor = system_.spawn<looped_actor, caf::lazy_init>(loop_);
  auto self = caf::actor_cast<caf::event_based_actor*>(actor);
  self->context(loop_.get());
  self->become(
    [this, alive = alive_](const routes_changed& changed) {
      if (!*alive)
        return;
      table_ = changed.table;
      refusing_ = !changed.parked.empty();
      why_not_ = changed.parked;
      for (auto client : std::vector{clients_})
        client->use(table_, why_not_);
    },
    [alive = alive_](const planned_work& planned) {
      if (*alive)
        planned.work();
    });
  return actor;
}

caf::event_based_actor* repository_host::actor_pointer() {
  return caf::actor_cast<caf::event_based_actor*>(self_);
}

} // namespace orch
