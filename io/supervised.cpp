#include "io/supervised.hpp"

#include "io/bridge_door.hpp"
#include "io/log.hpp"
#include "io/output.hpp"
#include "io/reopening.hpp"
#include "io/repository_host.hpp"
#include "io/stopping.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

using steady = std::chrono::steady_clock;

/// Who has begun nothing for so long is stuck.
constexpr std::chrono::seconds time_to_begin{1};

} // namespace

supervised::supervised(caf::actor_system& system, supervision_target target,
                       const connection_options& options, std::shared_ptr<review_budget> budget,
                       callbacks to)
  : target_{std::move(target)}, budget_{std::move(budget)}, to_{std::move(to)},
    loop_{std::make_shared<event_loop>(system)} {
  thread_ = std::thread{[this, &system, options] { run(system, options); }};
}

supervised::~supervised() {
  stop();
  thread_.join();
}

void supervised::send(incoming m, std::size_t size) {
  if (++backlog_ == 1)
    last_begun_ = steady::now();
  backlog_bytes_ += size;
  posted_.post([this, m = std::move(m), size] { input_.push_back({m, size}); });
}

steady::time_point supervised::gets_on_until() const {
  return last_begun_.load() + time_to_begin;
}

void supervised::go_on() {
  posted_.post([] {});
}

void supervised::stop() {
  posted_.post([this] { stopping_ = true; });
}

void supervised::run(caf::actor_system& system, const connection_options& options) {
  reviews_ = budget_->join();
  try {
    repository_host host{system, loop_};
    posted_.run_on(*loop_);
    serve(host, options);
  } catch (const std::exception& e) {
    why_ended_ =
      fmt::format("repository {} is stopped until the supervisor is told to reload (SIGHUP): {}",
                  target_.name, e.what());
    log_error("{}", why_ended_);
    parked_ = true;
  }
  posted_.stop(*loop_);
  loop_->close();
  budget_->leave(reviews_);
  tell(true);
  ended_ = true;
  to_.answers({});
}

void supervised::serve(repository_host& host, const connection_options& options) {
  auto add = [this](const reply_address& to, std::string_view line, bool last) {
    out_bytes_ += line.size();
    out_.push_back({to, std::string{line}, last});
  };
  auto client = host.connect(
    options,
    {[=](const reply_address& to, std::string_view line) { add(to, line, true); },
     [=](const reply_address& to, std::string_view line) { add(to, line, false); }, to_.has_room});
  reopening door{target_.name, target_.path, target_.settings};
  std::optional<workspace_files> files;
  std::optional<bridge_door> bridges;
  auto finished = false;
  auto end_asked = false;
  auto told_to_stop = false;
  auto open = [&] {
    files = door.attempt();
    if (!files) {
      host.refuse_all(door.why_not());
      return;
    }
    auto& parts = files->actors.parts;
    auto loops = loop_host{files->config.loops, files->config.reviews};
    loops.note_reviews = [budget = budget_, who = reviews_](int64_t running) {
      budget->note_running(who, running);
    };
    loops.take_review_slot = [budget = budget_, who = reviews_] { return budget->take(who); };
    parts.loops = std::make_shared<const loop_host>(std::move(loops));
    host.attach(files->actors);
    bridges.emplace(host, *loop_, files->around->state_dir, files->around->alive, options);
  };
  loop_->run([&] { return finished; },
             [&](bool idle) {
               if (!files && !stopping_ && door.is_due())
                 open();
               if (!files)
                 loop_->wake_at(door.next());
               parked_ = door.parked() || host.refusing();
               if (parked_)
                 budget_->leave(reviews_);
               if (stopping_ && !std::exchange(told_to_stop, true)) {
                 client->stop_waiting();
                 loop_->set_deadline(steady::now() + time_to_stop);
                 if (bridges)
                   bridges->close();
               }
               if (host.ready() || !files)
                 begin_messages(*client);
               client->go_on();
               host.plan_progress();
               // Nobody is let in, or read from, while there is nobody to answer.
               if (bridges && (host.ready() || stopping_))
                 bridges->run_round(idle);
               tell(idle);
               if (stopping_ && client->idle() && input_.empty() && (!bridges || bridges->empty())
                   && !std::exchange(end_asked, true))
                 host.end_connection_then(options.server, [&](bool) { finished = true; });
             });
}

void supervised::begin_messages(connection& client) {
  while (!input_.empty() && client.wants_input()) {
    auto m = std::move(input_.front());
    input_.pop_front();
    --backlog_;
    backlog_bytes_ -= m.size;
    began_some_ = true;
    client.take(std::move(m.what));
  }
  if (began_some_)
    last_begun_ = steady::now();
}

void supervised::tell(bool idle) {
  if (!idle && out_bytes_ < worth_a_write)
    return;
  if (std::exchange(began_some_, false) || !out_.empty())
    to_.answers(std::exchange(out_, {}));
  out_bytes_ = 0;
}

} // namespace orch
