#include "actors/events.hpp"

#include "actors/owner.hpp"

#include <algorithm>

namespace orch {

namespace {

using self_pointer = event_actor::stateful_pointer<event_state>;
using steady_clock = std::chrono::steady_clock;

/// Looked at now and then even without a hint: a process may die between its commit and that.
constexpr std::chrono::milliseconds longest_pause{5'000};
/// Where the kernel gives no watch.
constexpr std::chrono::milliseconds pause_without_watch{100};
/// How long the watch is kept for the next one who waits.
constexpr std::chrono::milliseconds watch_kept{1'000};

/// What all looks together brought, by the number of the request.
struct looked_at {
  std::map<uint64_t, event_look> seen;
};

} // namespace
} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::looked_at)

namespace orch {

namespace {

void look(self_pointer self, const tree& parts);

void watch(self_pointer self, const tree& parts) {
  if (self->state.watch)
    return;
  auto address = caf::actor_cast<caf::actor_addr>(self);
  try {
    self->state.watch = parts.watch_events([address] {
      if (auto strong = caf::actor_cast<caf::actor>(address))
        caf::anon_send(strong, look_again{});
    });
  } catch (const std::exception& e) {
    // The kernel gives only so many watches. Then events are looked for again and again.
    log_warning("following events without a watch: {}", e.what());
  }
}

/// The next look if nothing is heard, or the end of a watch that nobody needs any more.
void plan_look(self_pointer self) {
  using namespace std::chrono;
  auto& state = self->state;
  if (state.held.empty() && !state.watch)
    return;
  auto now = steady_clock::now();
  auto at = now + (state.watch ? longest_pause : pause_without_watch);
  if (state.held.empty())
    at = now + watch_kept;
  for (const auto& [number, x] : state.held)
    at = std::min(at, x.not_before > now ? x.not_before : x.deadline);
  if (now < state.planned_for && state.planned_for <= at)
    return;
  state.planned_for = at;
  self->delayed_send(self, std::max(ceil<milliseconds>(at - now), 1ms),
                     look_again{++state.planned});
}

void answer(self_pointer self, looked_at& found) {
  for (auto& [number, seen] : found.seen) {
    auto held = self->state.held.find(number);
    if (held == self->state.held.end()) // cancelled meanwhile
      continue;
    held->second.settled = true;
    if (!seen.over)
      continue;
    held->second.promise.deliver(std::move(seen.answer));
    self->state.held.erase(held);
  }
}

template <class Which>
void refuse(self_pointer self, Which which, const caf::error& why) {
  auto& held = self->state.held;
  for (auto entry = held.begin(); entry != held.end();) {
    if (which(entry->second)) {
      entry->second.promise.deliver(caf::error{why});
      entry = held.erase(entry);
    } else {
      ++entry;
    }
  }
}

/// Nobody can be told anything; those whose time is over learn why.
void refuse_overdue(self_pointer self, const caf::error& why) {
  refuse(
    self, [now = steady_clock::now()](const auto& x) { return x.deadline <= now; }, why);
}

void finish_look(self_pointer self, const tree& parts, bool more) {
  self->state.looking = false;
  if (std::exchange(self->state.look_once_more, false) || more)
    look(self, parts);
  else
    plan_look(self);
}

/// Looks at what is new for all whose time to rest is over.
void look(self_pointer self, const tree& parts) {
  auto& state = self->state;
  if (state.looking) {
    state.look_once_more = true;
    return;
  }
  auto now = steady_clock::now();
  std::map<uint64_t, held_event_look> due;
  auto settled = true;
  for (const auto& [number, x] : state.held) {
    if (x.not_before > now)
      continue;
    due.emplace(number, x);
    settled = settled && x.settled;
  }
  if (due.empty()) {
    plan_look(self);
    return;
  }
  state.looking = true;
  auto work = [now, due = std::move(due)](tx& t) {
    looked_at found;
    for (const auto& [number, x] : due)
      found.seen.emplace(number, x.look(t, x.deadline <= now));
    return caf::make_message(std::move(found));
  };
  self
    ->request(settled ? parts.reader : parts.storage, caf::infinite, transaction{work, true, true})
    .then(
      [=](looked_at& found) {
        auto more = std::any_of(found.seen.begin(), found.seen.end(),
                                [](const auto& entry) { return entry.second.more; });
        answer(self, found);
        finish_look(self, parts, more);
      },
      [=](const caf::error& e) {
        refuse_overdue(self, e);
        finish_look(self, parts, false);
      });
}

void hold(self_pointer self, const tree& parts, held_event_look request) {
  auto& state = self->state;
  // Watching begins before the first look, so that nothing falls in between.
  if (request.deadline > steady_clock::now())
    watch(self, parts);
  state.held.emplace(++state.arrived, std::move(request));
  look(self, parts);
}

/// Looks for what `events.tail` asks for, from where the last look has ended.
auto tail_look(const events_tail& request) {
  struct progress {
    std::optional<int64_t> since;
    bool gap = false;
  };
  auto so_far = std::make_shared<progress>(progress{request.since});
  return [request, so_far](tx& t, bool overdue) {
    auto found = find_events(t, so_far->since ? *so_far->since : newest_event(t), request.kinds,
                             request.limit);
    so_far->since = found.page.next_since;
    found.page.gap = so_far->gap = so_far->gap || found.page.gap;
    event_look seen;
    seen.more = found.more;
    // A gap is told even if nothing has come since.
    seen.over = !found.more && (!found.page.events.empty() || overdue || found.page.gap);
    if (seen.over)
      seen.answer = caf::make_message(std::move(found.page));
    return seen;
  };
}

auto tail(self_pointer self, const tree& parts) {
  return [=](const call<events_tail>& asked) -> caf::result<event_page> {
    auto promise = self->make_response_promise<event_page>();
    held_event_look request;
    request.ticket = asked.from.ticket;
    request.promise = promise;
    request.look = tail_look(asked.params);
    request.deadline = steady_clock::now() + std::chrono::seconds{asked.params.wait_seconds};
    request.settled = asked.from.settled;
    hold(self, parts, std::move(request));
    return promise;
  };
}

auto follow(self_pointer self, const tree& parts) {
  return [=](const follow_changes& asked) -> caf::result<seen_changes> {
    auto promise = self->make_response_promise<seen_changes>();
    held_event_look request;
    request.ticket = asked.ticket;
    request.promise = promise;
    request.not_before = steady_clock::now() + asked.rest;
    request.look = [since = asked.since](tx& t, bool) {
      event_look seen;
      auto changes = changes_since(t, since.value_or(newest_event(t)));
      seen.over = !since || !changes.none();
      if (seen.over)
        seen.answer = caf::make_message(std::move(changes));
      return seen;
    };
    hold(self, parts, std::move(request));
    return promise;
  };
}

void cancel(self_pointer self, uint64_t ticket) {
  refuse(
    self, [ticket](const auto& x) { return x.ticket == ticket; },
    to_caf_error({errc::timeout, "the wait was cancelled"}));
}

} // namespace

event_state::~event_state() {
  for (auto& [number, request] : held)
    request.promise.deliver(
      to_caf_error({errc::unavailable, "the part of the server that waits is restarting"}));
}

event_actor::behavior_type events(self_pointer self, tree parts) {
  return {
    tail(self, parts),
    follow(self, parts),
    [=](look_again why) {
      if (why.planned != 0) {
        if (why.planned != self->state.planned)
          return;
        // It has come, perhaps a little early; what is still to be done needs another plan.
        self->state.planned_for = {};
      }
      if (self->state.held.empty() && why.planned != 0)
        self->state.watch.reset();
      else if (!self->state.held.empty())
        look(self, parts);
    },
    [=](const cancel_wait& x) {
      cancel(self, x.ticket);
      if (self->state.held.empty())
        plan_look(self);
    },
  };
}

route_map routes(const event_actor& owner) {
  return routes_to(owner, event_methods::list{});
}

} // namespace orch
