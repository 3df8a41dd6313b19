#include "actors/follower.hpp"

#include "actors/delivery.hpp"
#include "actors/reviewer_effects.hpp"
#include "actors/thread_end.hpp"
#include "io/log.hpp"
#include "storage/reviewers.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <fmt/format.h>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

using self_pointer = caf::stateful_actor<follower_state>*;

using pause = std::chrono::milliseconds;

/// A look costs two runs of tmux: often while something is being typed, seldom while only a
/// reviewer's time passes.
constexpr pause while_typing{150};
constexpr pause while_agent_works{500};
constexpr pause while_reviewed{1'000};

/// Servers die without a word: what they looked after is found within this time.
constexpr pause rest{10'000};

/// A reviewer that has ended its turn without a verdict is reminded, then given up.
constexpr std::chrono::seconds patience_with_idle{2};
constexpr int64_t most_reminders = 2;

/// Of what is typed to a program that doesn't say what it reads; others have their turn then.
constexpr int most_in_a_round = 50;

/// Gives a reviewer that is done the time to end its turn.
constexpr std::chrono::seconds last_words{10};

void remind(effects& fx, const review_job& job, followed_thread& memory) {
  memory.idle_since.reset();
  auto before = fx.store([&](tx& t) { return count_reminder(t, job.id); });
  if (before >= most_reminders) {
    fx.store([&](tx& t) { fail_review(t, job.id, "the reviewer stopped without a verdict"); });
    return;
  }
  fx.store([&](tx& t) {
    add_directive(t, *job.reviewer_thread_id, "queue",
                  fmt::format("Review job {} has no verdict yet. Call merge_review_submit with "
                              "review_job_id {} and your verdict now.",
                              job.id, job.id));
  });
}

/// Sees that a running review ends.
void follow_review(effects& fx, const seen_thread& seen, const review_job& job, bool told,
                   followed_thread& memory) {
  auto fail = [&](const std::string& why) {
    fx.store([&](tx& t) { fail_review(t, job.id, why); });
  };
  const auto& status = seen.judgement.provider_status;
  if (job.deadline && *job.deadline <= fx.around.now())
    return fail("no verdict in time");
  if (status == "exited" || !is_live(seen.row.thread.status))
    return fail("the reviewer ended without a verdict: " + seen.judgement.evidence.front());
  auto at_rest = (status == "idle" || status == "error") && !told;
  if (!at_rest) {
    memory.idle_since.reset();
    return;
  }
  if (!memory.idle_since)
    memory.idle_since = steady::now();
  else if (steady::now() - *memory.idle_since > patience_with_idle)
    remind(fx, job, memory);
}

/// A reviewer whose job is over is no longer needed.
void dismiss_reviewer(effects& fx, const seen_thread& seen, const review_job& job,
                      followed_thread& memory) {
  if (!memory.idle_since)
    memory.idle_since = steady::now();
  auto busy = seen.judgement.provider_status == "processing";
  if (busy && steady::now() - *memory.idle_since < last_words)
    return;
  pane_turn turn{fx, seen.row.thread.id};
  end_agent(fx, seen.row.thread.id, job.state == "completed" ? "completed" : "stopped", false);
}

/// One look at a thread; says when the next one is due.
pause follow(effects& fx, int64_t thread_id, followed_thread& memory) {
  auto seen = look_at_thread(fx, thread_id);
  if (seen.row.being_launched)
    return while_typing;
  struct news {
    std::optional<directive> next;
    std::optional<review_job> job;
  };
  auto found = fx.store([&](tx& t) {
    return news{next_directive(t, thread_id), last_review_of_thread(t, thread_id)};
  });
  for (int i = 0; i < most_in_a_round && found.next; ++i) {
    if (!deliver(fx, *found.next, memory))
      break;
    found.next = fx.store([&](tx& t) { return next_directive(t, thread_id); });
  }
  if (found.job && found.job->state == "running")
    follow_review(fx, seen, *found.job, found.next.has_value(), memory);
  else if (found.job && is_live(seen.row.thread.status))
    dismiss_reviewer(fx, seen, *found.job, memory);
  if (!found.next)
    return while_reviewed;
  auto waits = found.next->state == "stored" && seen.judgement.provider_status == "processing";
  return waits && found.next->mode == "queue" ? while_agent_works : while_typing;
}

/// Ends the agents that a server was ending when it died.
void finish_endings(effects& fx) {
  for (const auto& row : fx.store(half_ended_threads)) {
    auto id = row.thread.id;
    pane_turn turn{fx, id};
    fx.hold(name_of_ending(id));
    fx.store([=](tx& t) { note_ending(t, id); });
    end_program(fx, row);
    fx.store([=](tx& t) { note_ended(t, id); });
  }
}

/// One look at all that we look after; says when the next one is due.
pause run_round(self_pointer self, const tree& parts) {
  effects fx{self->system(), parts, {}};
  auto& followed = self->state.followed;
  if (followed.empty() && !fx.look([](tx& t) { return any_to_follow(t); }))
    return rest;
  finish_endings(fx);
  auto next = rest;
  auto ids = fx.store([](tx& t) {
    fail_abandoned_reviews(t);
    return threads_to_follow(t);
  });
  for (auto id : ids) {
    try {
      next = std::min(next, follow(fx, id, followed[id]));
    } catch (const std::exception& e) {
      next = std::min(next, while_agent_works);
      // tmux may be gone for a moment; what is on its way stays on its way.
      log_warning("thread #{}: {}", id, e.what());
    }
  }
  for (auto entry = followed.begin(); entry != followed.end();) {
    if (std::find(ids.begin(), ids.end(), entry->first) != ids.end()) {
      ++entry;
      continue;
    }
    fx.store([&](tx& t) { stop_following(t, entry->first); });
    entry = followed.erase(entry);
  }
  return next;
}

void plan_round(self_pointer self, pause until_then) {
  self->delayed_send(self, until_then, follow_round{++self->state.rounds_planned});
}

} // namespace

caf::behavior follower(self_pointer self, tree parts) {
  auto address = caf::actor_cast<caf::actor_addr>(self);
  try {
    self->state.watch = parts.watch([address] {
      if (auto strong = caf::actor_cast<caf::actor>(address))
        caf::anon_send(strong, look_again{});
    });
  } catch (const std::exception& e) {
    // The kernel gives only so many watches: then each rest is that much later.
    log_warning("agents are looked after every 10 s only: {}", e.what());
  }
  plan_round(self, while_typing);
  return {
    [=](look_again) {
      // Whoever types soon looks soon anyway.
      if (self->state.next > while_typing)
        plan_round(self, pause{0});
    },
    [=](follow_round round) {
      if (round.number != self->state.rounds_planned)
        return;
      self->state.next = rest;
      try {
        self->state.next = run_round(self, parts);
      } catch (const std::exception& e) {
        log_warning("agents cannot be looked after right now: {}", e.what());
      }
      plan_round(self, self->state.next);
    },
  };
}

} // namespace orch
