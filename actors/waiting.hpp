#pragma once

// Requests that are held open until a lease is theirs. The line itself is kept in the database
// (storage/waiters); here is who has to be told.

#include "actors/effects.hpp"
#include "io/log.hpp"
#include "storage/waiters.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <variant>

namespace orch {

/// Something may have become free, here or in another process.
struct look_again {
  uint64_t planned = 0; ///< of those that were planned only the last counts; 0: a hint
};

/// The request of that ticket is no longer wanted; it gets no answer.
struct cancel_wait {
  uint64_t ticket = 0;
};

/// A place in the line of those who wait.
struct line_place {
  int64_t waiter_id = 0;
};

/// How a wait began: granted at once, or in line.
struct wait_begun {
  caf::message answer; ///< if granted at once
  int64_t waiter_id = 0;
  std::vector<in_hand::token> held{}; ///< its place and its request_key
};

/// A request that is held open.
struct held_request {
  uint64_t ticket = 0;
  caf::response_promise promise;
  std::chrono::steady_clock::time_point deadline;
  int64_t wait_seconds = 0;
  bool cancelled = false;
  std::vector<in_hand::token> held{};
  /// The answer once it is granted; runs in the transaction that takes the wait off the books.
  std::function<caf::message(tx&, const wait_state&)> answer;
  /// Runs in the transaction that leaves the line; null: it was cancelled, and is perhaps repeated.
  std::function<void(tx&, const request_error* why)> give_up;
};

/// What looking at all waits brought.
struct waits_looked_at {
  std::map<int64_t, caf::message> granted;
  std::map<int64_t, request_error> ended;
  std::optional<timestamp> look_again_at;
};

/// The held requests of one owner. Lives in the owner's state; all calls from the owner.
class waiting_room {
public:
  waiting_room() = default;
  waiting_room(const waiting_room&) = delete;
  waiting_room& operator=(const waiting_room&) = delete;

  /// The owner ends: nobody is left without an answer.
  ~waiting_room();

  /// Answers a request at once or holds it open. `start(tx, params)` gives the result or a place in
  /// line; `finish(tx, params, wait_state)` the result once the wait was granted.
  template <class Self, request M, class Start, class Finish>
  void answer_or_hold(Self* self, const tree& parts, const call<M>& asked,
                      caf::response_promise promise, Start start, Finish finish) {
    // Watching begins before getting in line, so that no wake-up is missed.
    watch(self, parts);
    auto work = [asked, start](tx& t) { return caf::make_message(begin_wait(t, asked, start)); };
    self->request(parts.storage, caf::infinite, transaction{work, false})
      .then(
        [=, this](const wait_begun& begun) mutable {
          if (begun.waiter_id == 0)
            promise.deliver(begun.answer);
          else
            hold(self, parts, begun, held_for(asked, begun.waiter_id, promise, finish));
        },
        [=](caf::error& e) mutable { promise.deliver(std::move(e)); });
  }

  /// Looks at all waits and answers those that are over.
  template <class Self>
  void look(Self* self, const tree& parts, look_again why = {}) {
    if (why.planned != 0 && why.planned != planned_)
      return;
    if (looking_ || held_.empty()) {
      look_once_more_ = looking_;
      return;
    }
    looking_ = true;
    self->request(parts.storage, caf::infinite, look_transaction())
      .then(
        [this, self, parts](const waits_looked_at& seen) {
          answer(seen);
          finish_look(self, parts, seen.look_again_at);
        },
        [this, self, parts](const caf::error& e) {
          // They are still in line; only those whose time is over learn that it went wrong.
          refuse_overdue(e);
          finish_look(self, parts, {});
        });
  }

  template <class Self>
  void cancel(Self* self, const tree& parts, uint64_t ticket) {
    for (auto& [id, request] : held_) {
      if (request.ticket != ticket)
        continue;
      request.cancelled = true;
      look(self, parts);
      return;
    }
    // It may be on its way into the line.
    cancelled_.insert(ticket);
    if (cancelled_.size() > most_cancelled)
      cancelled_.erase(cancelled_.begin());
  }

  bool empty() const { return held_.empty(); }

private:
  template <class Self>
  void watch(Self* self, const tree& parts) {
    if (watch_)
      return;
    auto address = caf::actor_cast<caf::actor_addr>(self);
    try {
      watch_ = parts.watch([address] {
        if (auto strong = caf::actor_cast<caf::actor>(address))
          caf::anon_send(strong, look_again{});
      });
    } catch (const std::exception& e) {
      // The kernel gives only so many watches. Then those who wait are looked at now and then.
      log_warning("waiting without a watch: {}", e.what());
    }
  }

  template <class Self>
  void hold(Self* self, const tree& parts, const wait_begun& begun, held_request request) {
    auto now = std::chrono::steady_clock::now();
    request.deadline = now + std::chrono::seconds{request.wait_seconds};
    request.cancelled = cancelled_.erase(request.ticket) > 0;
    request.held = begun.held;
    held_.emplace(begun.waiter_id, std::move(request));
    // It may have been granted between getting in line and now, with nobody here to hear of it.
    look(self, parts);
  }

  template <request M, class Start>
  static wait_begun begin_wait(tx& t, const call<M>& asked, const Start& start) {
    t.asked_by(asked.from);
    auto key = keyed_request::of(asked.params, asked.from);
    if (key) {
      auto earlier = key->find_earlier(t);
      if (earlier.answer)
        return {caf::make_message(from_json<typename M::result>(json::parse(*earlier.answer)))};
      if (earlier.being_done && !key->is_of_place() && !asked.from.repeated)
        throw key->still_being_done();
      // Whoever waited there before is cut off from the client, or dead.
      if (earlier.begun)
        leave_line(t, *earlier.begun);
    }
    auto begun = start(t, asked.params);
    auto result = std::get_if<typename M::result>(&begun);
    if (key)
      key->keep_answer(t, result ? std::optional{to_json_text(*result)} : std::nullopt);
    if (result)
      return {caf::make_message(std::move(*result))};
    auto waiter_id = std::get<line_place>(begun).waiter_id;
    wait_begun in_line{{}, waiter_id, {t.take_in_hand(name_of_waiter(waiter_id))}};
    if (key) {
      key->note_begun(t, waiter_id);
      in_line.held.push_back(t.take_in_hand(key->name()));
    }
    return in_line;
  }

  template <request M, class Finish>
  static held_request held_for(const call<M>& asked, int64_t waiter_id,
                               caf::response_promise promise, Finish finish) {
    held_request held;
    held.ticket = asked.from.ticket;
    held.promise = std::move(promise);
    held.wait_seconds = asked.params.wait_seconds;
    auto key = keyed_request::of(asked.params, asked.from);
    // By then whoever asked may have been cut off, and may wait anew.
    held.answer = [asked, finish, key, waiter_id](tx& t, const wait_state& state) {
      auto result = finish(t, asked.params, state);
      if (key)
        key->conclude(t, to_json_text(result), waiter_id);
      return caf::make_message(std::move(result));
    };
    held.give_up = [key, waiter_id](tx& t, const request_error* why) {
      if (key && why)
        key->conclude_refused(t, *why, waiter_id);
      else if (key)
        key->forget(t, waiter_id);
    };
    return held;
  }

  transaction look_transaction() const;
  void answer(const waits_looked_at& seen);
  void refuse_overdue(const caf::error& why);
  std::chrono::milliseconds until_next(const std::optional<timestamp>& lease_end) const;

  template <class Self>
  void finish_look(Self* self, const tree& parts, const std::optional<timestamp>& lease_end) {
    looking_ = false;
    if (std::exchange(look_once_more_, false))
      look(self, parts);
    else
      plan_look(self, lease_end);
  }

  template <class Self>
  void plan_look(Self* self, const std::optional<timestamp>& lease_end) {
    if (!held_.empty())
      self->delayed_send(self, until_next(lease_end), look_again{++planned_});
  }

  /// Cancellations kept of requests that were not in line; the oldest were answered long ago.
  static constexpr std::size_t most_cancelled = 1'000;

  uint64_t planned_ = 0; ///< looks
  std::map<int64_t, held_request> held_;
  std::set<uint64_t> cancelled_; ///< tickets, which only grow
  std::shared_ptr<void> watch_;
  bool looking_ = false;
  bool look_once_more_ = false;
};

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::look_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::cancel_wait)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::wait_begun)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::waits_looked_at)
