#pragma once

#include "actors/agent_host.hpp"
#include "actors/caf.hpp"
#include "io/git.hpp"
#include "storage/requests.hpp"
#include "storage/storage_actor.hpp"

#include <caf/actor_system.hpp>
#include <caf/message.hpp>
#include <caf/scoped_actor.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace orch {

/// How what runs by itself is to run here.
struct loop_host {
  loops_config config;
  reviews_config reviews;
  /// Is told how many reviewers run in this repository.
  std::function<void(int64_t running)> note_reviews = [](int64_t) {};
  /// May one more start, as far as other repositories are concerned?
  std::function<bool()> take_review_slot = [] { return true; };
};

class conflict_radar;

/// The handles and facts that the owners of one repository share.
struct tree {
  caf::actor storage;
  caf::actor reader;
  std::shared_ptr<const surroundings> around;
  std::function<std::shared_ptr<git>()> open_git;
  /// Calls back, in another thread, when waiters should look again; until the result is dropped.
  std::function<std::shared_ptr<void>(std::function<void()>)> watch;
  /// The same, when there may be new events.
  std::function<std::shared_ptr<void>(std::function<void()>)> watch_events;
  std::shared_ptr<const agent_host> agents{}; ///< without: no agents are looked after
  std::shared_ptr<const loop_host> loops{};   ///< without: nothing runs by itself
  std::shared_ptr<conflict_radar> radar{};    ///< without: conflicts are not foreseen
  /// Set when these owners end: whoever waits in a thread of its own gives up.
  std::shared_ptr<std::atomic<bool>> ending = std::make_shared<std::atomic<bool>>(false);
};

/// What a method with side effects works with: straight code in a thread of its own that asks the
/// storage actor for one transaction after the other and runs git in between.
class effects {
public:
  effects(caf::actor_system& system, const tree& parts, caller from,
          std::shared_ptr<const std::atomic<bool>> cancelled = {});

  const surroundings& around;
  const caller from;

  /// The same work in another thread, which gives up as this does.
  effects for_another_thread() const {
    return effects{self_.home_system(), parts_, from, cancelled_};
  }

  /// For what starts agents and talks to them.
  const agent_host& agents() const { return *parts_.agents; }

  conflict_radar& radar() const { return *parts_.radar; }

  /// For loops.
  const loop_host& loops() const { return *parts_.loops; }

  /// Does nobody wait for the answer any more? Asked by work that waits for something.
  bool given_up() const { return *parts_.ending || (cancelled_ && *cancelled_); }

  /// Runs `work` as one transaction and waits for its result; throws its `request_error`, or
  /// unavailable if the caller is not answered here any more.
  template <class Work>
  auto store(Work work) -> std::invoke_result_t<Work, tx&> {
    return write([this, work](tx& t) {
      t.asked_by(from);
      return work(t);
    });
  }

  /// The same whoever answers the caller by now: for what has been done, or is undone.
  template <class Work>
  auto store_anyway(Work work) -> std::invoke_result_t<Work, tx&> {
    return write([this, work](tx& t) {
      t.done_for(from);
      return work(t);
    });
  }

  /// For what is noted after the deed: a full disk is logged and does not make it undone.
  template <class Work>
  void store_if_possible(Work work) {
    try {
      store_anyway(work);
    } catch (const request_error& e) {
      not_noted(e);
    }
  }

  /// Runs `work`, which only reads, beside the writer: for what is asked often.
  template <class Work>
  auto look(Work work) -> std::invoke_result_t<Work, tx&> {
    auto slot = std::make_shared<std::optional<std::invoke_result_t<Work, tx&>>>();
    ask({[work, slot](tx& t) {
           *slot = work(t);
           return caf::make_message(done{});
         },
         true});
    return std::move(**slot);
  }

  /// The repository; opened when first asked for.
  git& repository();

  /// One more, for another thread.
  std::shared_ptr<git> another_repository() const { return parts_.open_git(); }

  /// The branch that work starts from and goes back to: the configured one, or what git says.
  std::string main_branch();

  /// Keeps something in hand until this work ends (`surroundings::at_work`). Also for use inside
  /// `store`.
  void hold(const std::string& name) { held_.push_back(around.doing.take(name)); }

  /// Notes in the transaction that completes the work what the answer will be, so that whoever
  /// repeats the request under its key gets it even if this process dies right after the commit.
  /// Nothing may fail after that. Work that may be repeated without harm need not do this.
  template <class Result>
  void conclude(tx& t, const Result& result) {
    if (!key_)
      return;
    key_->conclude(t, to_json_text(result));
    concluded_ = true;
  }

  /// Notes, in the transaction that makes it, the row that this work is about. If this process dies
  /// before the answer is kept, whoever repeats the request under its key finds it by
  /// `begun_before` and goes on from there.
  void note_begun(tx& t, int64_t row_id) const {
    if (key_)
      key_->note_begun(t, row_id);
  }

  /// The row that a former attempt at this request has made.
  std::optional<int64_t> begun_before() const { return begun_before_; }

  /// Runs `work` unless its request_key was answered before; who repeats a request that is being
  /// done right now, by whatever server, waits for that answer.
  template <request M>
  typename M::result once_per_key(const call<M>& asked,
                                  typename M::result (*work)(effects&, const M&)) {
    key_ = keyed_request::of(asked.params, asked.from);
    if (!key_)
      return work(*this, asked.params);
    if (auto answered = answer_before())
      return from_json<typename M::result>(json::parse(*answered));
    try {
      auto result = work(*this, asked.params);
      if (!concluded_)
        store_if_possible([&](tx& t) { key_->conclude(t, to_json_text(result)); });
      return result;
    } catch (...) {
      auto why = current_error();
      note_refusal(why);
      throw why;
    }
  }

private:
  void ask(const transaction& job);

  template <class Work>
  auto write(Work work) -> std::invoke_result_t<Work, tx&> {
    using result = std::invoke_result_t<Work, tx&>;
    if constexpr (std::is_void_v<result>) {
      ask({[work](tx& t) {
             work(t);
             return caf::make_message(done{});
           },
           false});
    } else {
      auto slot = std::make_shared<std::optional<result>>();
      ask({[work, slot](tx& t) {
             *slot = work(t);
             return caf::make_message(done{});
           },
           false});
      return std::move(**slot);
    }
  }

  void note_refusal(const request_error& why);
  static void not_noted(const request_error& why);

  /// The answer that the request of this key got. Waits for one that is being done right now.
  /// Nothing: it is ours to do, and known to be in our hands.
  std::optional<std::string> answer_before();

  const tree& parts_;
  caf::scoped_actor self_;
  std::shared_ptr<git> git_;
  std::vector<in_hand::token> held_;
  std::shared_ptr<const std::atomic<bool>> cancelled_;
  std::optional<keyed_request> key_;
  bool concluded_ = false; ///< the answer is kept
  std::optional<int64_t> begun_before_;
};

/// Something to be run in a thread of its own; what it returns is the answer.
struct effect_job {
  std::function<caf::message(effects&)> work;
  caller from;
  std::shared_ptr<const std::atomic<bool>> cancelled{};
};

/// A detached actor that answers one `effect_job` and ends.
caf::actor spawn_effect_worker(caf::actor_system& system, const tree& parts);

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::effect_job)
