#include "actors/waiting.hpp"

#include <caf/make_message.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

constexpr std::chrono::milliseconds longest_pause{5'000};

} // namespace

waiting_room::~waiting_room() {
  for (auto& [id, request] : held_)
    request.promise.deliver(
      to_caf_error({errc::unavailable, "the part of the server that waits is restarting"}));
}

transaction waiting_room::look_transaction() const {
  auto now = std::chrono::steady_clock::now();
  return {[now, held = held_](tx& t) {
            drop_dead_waiters(t);
            waits_looked_at seen;
            for (const auto& [id, request] : held) {
              if (request.cancelled) {
                // What it was granted in the meantime is given back: nobody will use it.
                leave_line(t, id);
                request.give_up(t, nullptr);
                seen.ended.emplace(id, request_error{errc::timeout, "the wait was cancelled"});
                continue;
              }
              auto state = look_at_wait(t, id);
              if (state.over && state.granted) {
                seen.granted.emplace(id, request.answer(t, state));
              } else if (state.over) {
                request_error why{errc::failed_precondition, "the session that waited has ended"};
                request.give_up(t, &why);
                seen.ended.emplace(id, std::move(why));
              } else if (request.deadline <= now) {
                auto held_up_by = what_holds_up(t, id);
                leave_line(t, id);
                request_error why{errc::timeout,
                                  fmt::format("not free within {} s", request.wait_seconds),
                                  held_up_by};
                request.give_up(t, &why);
                seen.ended.emplace(id, std::move(why));
              } else {
                seen.look_again_at = state.look_again_at;
              }
            }
            return caf::make_message(std::move(seen));
          },
          false};
}

void waiting_room::answer(const waits_looked_at& seen) {
  auto take = [this](int64_t id) {
    auto node = held_.extract(id);
    return node.empty() ? caf::response_promise{} : std::move(node.mapped().promise);
  };
  for (const auto& [id, message] : seen.granted)
    take(id).deliver(message);
  for (const auto& [id, refusal] : seen.ended)
    take(id).deliver(to_caf_error(refusal));
}

void waiting_room::refuse_overdue(const caf::error& why) {
  auto now = std::chrono::steady_clock::now();
  for (auto entry = held_.begin(); entry != held_.end();) {
    if (entry->second.deadline <= now) {
      entry->second.promise.deliver(caf::error{why});
      entry = held_.erase(entry);
    } else {
      ++entry;
    }
  }
}

std::chrono::milliseconds waiting_room::until_next(
  const std::optional<timestamp>& lease_end) const {
  using namespace std::chrono;
  auto deadline = std::min_element(held_.begin(), held_.end(), [](const auto& a, const auto& b) {
                    return a.second.deadline < b.second.deadline;
                  })->second.deadline;
  auto delay = ceil<milliseconds>(deadline - steady_clock::now());
  if (lease_end) {
    auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch());
    delay = std::min(delay, ceil<milliseconds>(microseconds{lease_end->us} - now) + 1ms);
  }
  // Looked at now and then even so: a process may die between its commit and its hint.
  return std::clamp(delay, 1ms, longest_pause);
}

} // namespace orch
