#include "io/supervised.hpp"

#include "io/log.hpp"
#include "io/served_client.hpp"
#include "io/stopping.hpp"
#include "io/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

/// A repository that cannot be opened: pauses as for one whose actors fail (actors/repository).
constexpr std::chrono::milliseconds first_pause{200};
constexpr std::size_t most_failures = 5;
constexpr std::chrono::minutes remembered{1};

/// Tries to open a repository, again and again, but not for ever.
class opening {
public:
  explicit opening(const supervision_target& target) : target_{target} {}

  bool is_due() const { return !parked_ && steady::now() >= next_; }
  bool parked() const { return parked_; }
  steady::time_point next() const { return parked_ ? steady::time_point::max() : next_; }
  const std::string& why_not() const { return why_not_; }

  std::optional<workspace_files> attempt() {
    try {
      return open_workspace(target_.path, target_.settings);
    } catch (const std::exception& e) {
      failed(e.what());
      return {};
    }
  }

private:
  void failed(const std::string& why) {
    auto now = steady::now();
    while (!failures_.empty() && now - failures_.front() > remembered)
      failures_.pop_front();
    failures_.push_back(now);
    parked_ = failures_.size() >= most_failures;
    next_ = now + first_pause * (1 << failures_.size());
    why_not_ =
      parked_ ? fmt::format("repository {} could not be opened {} times: {}. It stays stopped "
                            "until the supervisor is told to reload (SIGHUP) or is started again",
                            target_.name, failures_.size(), why)
              : fmt::format("repository {} cannot be opened right now: {}", target_.name, why);
    log_error("{}", why_not_);
  }

  const supervision_target& target_;
  std::deque<steady::time_point> failures_;
  steady::time_point next_{};
  std::string why_not_;
  bool parked_ = false;
};

} // namespace

void review_budget::set_most(int64_t most) {
  std::lock_guard lock{guard_};
  most_ = most;
}

bool review_budget::take(const std::string& repository, int64_t running) {
  std::lock_guard lock{guard_};
  running_[repository] = running;
  int64_t all = 0;
  for (const auto& [name, count] : running_)
    all += count;
  if (all >= most_)
    return false;
  ++running_[repository];
  return true;
}

void review_budget::forget(const std::string& repository) {
  std::lock_guard lock{guard_};
  running_.erase(repository);
}

supervised::supervised(caf::actor_system& system, supervision_target target,
                       const connection_options& options, std::shared_ptr<review_budget> budget,
                       std::function<void(std::string)> answers)
  : target_{std::move(target)}, budget_{std::move(budget)}, answers_{std::move(answers)} {
  thread_ = std::thread{[this, &system, options] { run(system, options); }};
}

supervised::~supervised() {
  stop();
  thread_.join();
}

void supervised::send(std::string message) {
  ++backlog_;
  posted_.post([this, message = std::move(message)] { input_.push_back(message); });
}

void supervised::stop() {
  posted_.post([this] { stopping_ = true; });
}

void supervised::run(caf::actor_system& system, const connection_options& options) {
  std::string out;
  served_client serving{system, options, {[&](std::string_view bytes) { out += bytes; }}};
  auto& loop = serving.loop;
  posted_.run_on(loop);
  opening door{target_};
  std::optional<workspace_files> files;
  auto finished = false;
  auto told = false;
  auto open = [&] {
    files = door.attempt();
    if (!files) {
      serving.refuse_all(door.why_not());
      parked_ = door.parked();
      return;
    }
    auto& parts = files->actors.parts;
    auto loops = loop_host{files->config.loops, files->config.reviews};
    loops.take_review_slot = [budget = budget_, name = target_.name](int64_t running) {
      return budget->take(name, running);
    };
    parts.loops = std::make_shared<const loop_host>(std::move(loops));
    serving.attach(files->actors);
  };
  loop.run([&] { return finished; },
           [&](bool idle) {
             if (!files && !stopping_ && door.is_due())
               open();
             if (!files)
               loop.wake_at(door.next());
             parked_ = door.parked() || serving.refusing();
             while ((serving.ready() || !files) && !input_.empty()
                    && serving.client.wants_input()) {
               serving.client.on_bytes(input_.front());
               input_.pop_front();
               if (--backlog_ == 0)
                 answers_({});
             }
             serving.client.go_on();
             serving.plan_progress();
             if (!out.empty() && (idle || out.size() >= worth_a_write))
               answers_(std::exchange(out, {}));
             if (stopping_ && !std::exchange(told, true)) {
               serving.client.stop_waiting();
               loop.set_deadline(steady::now() + time_to_stop);
             }
             if (stopping_ && serving.client.idle() && input_.empty() && out.empty()
                 && !std::exchange(finished_asked_, true))
               serving.end_connection_then([&] { finished = true; });
           });
  posted_.stop(loop);
  budget_->forget(target_.name);
  answers_(std::move(out));
  ended_ = true;
  answers_({});
}

} // namespace orch
