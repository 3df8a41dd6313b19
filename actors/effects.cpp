#include "actors/effects.hpp"

#include "io/log.hpp"

#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include <chrono>
#include <thread>

namespace orch {

namespace {

/// Longer than any effect should take.
constexpr std::chrono::minutes patience_with_first{5};
constexpr std::chrono::milliseconds between_looks{10};

} // namespace

effects::effects(caf::actor_system& system, const tree& parts, caller from,
                 std::shared_ptr<const std::atomic<bool>> cancelled)
  : around{*parts.around}, from{std::move(from)}, parts_{parts}, self_{system},
    cancelled_{std::move(cancelled)} {
}

void effects::ask(const transaction& job) {
  std::optional<request_error> refusal;
  self_->request(job.only_reads ? parts_.reader : parts_.storage, caf::infinite, job)
    .receive([](done) {}, [&](const caf::error& e) { refusal = from_caf_error(e); });
  if (refusal)
    throw request_error{*refusal};
}

std::optional<std::string> effects::answer_before() {
  auto end = std::chrono::steady_clock::now() + patience_with_first;
  while (true) {
    auto earlier = store([&](tx& t) {
      auto found = key_->find_earlier(t);
      if (found.answer || found.being_done)
        return found;
      begun_before_ = found.begun;
      key_->keep_answer(t, {});
      hold(key_->name());
      return found;
    });
    if (!earlier.being_done)
      return earlier.answer;
    if (given_up() || std::chrono::steady_clock::now() >= end)
      throw key_->still_being_done();
    std::this_thread::sleep_for(between_looks);
  }
}

void effects::note_refusal(const request_error& why) {
  try {
    // A client that is answered elsewhere by now waits there for this to end. It was not refused
    // but cut off here, and does it there.
    write([&](tx& t) {
      if (given_up() || !is_answered_here(t, from))
        key_->forget(t);
      else
        key_->conclude_refused(t, why);
    });
  } catch (const request_error& e) {
    not_noted(e);
  }
}

void effects::not_noted(const request_error& why) {
  log_warning("something was done that could not be noted: {}", why.what());
}

git& effects::repository() {
  if (!git_)
    git_ = parts_.open_git();
  return *git_;
}

std::string effects::main_branch() {
  return around.main_branch.empty() ? repository().main_branch() : around.main_branch;
}

caf::actor spawn_effect_worker(caf::actor_system& system, const tree& parts) {
  return system.spawn<caf::detached>([parts](caf::event_based_actor* self) -> caf::behavior {
    return {
      [self, parts](const effect_job& job) -> caf::result<caf::message> {
        self->quit();
        try {
          effects fx{self->system(), parts, job.from, job.cancelled};
          return job.work(fx);
        } catch (...) {
          return to_caf_error(current_error());
        }
      },
    };
  });
}

} // namespace orch
