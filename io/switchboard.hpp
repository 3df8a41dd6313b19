#pragma once

#include "config/supervisor_config.hpp"
#include "io/standing_messages.hpp"
#include "io/stdio_client.hpp"
#include "io/supervised.hpp"

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <string>

namespace orch {

/// All repositories of a supervisor, and the client on standard input and output that reaches them
/// by their names. Lives in the thread of the loop.
class switchboard {
public:
  switchboard(caf::actor_system& system, event_loop& loop, const connection_options& options);

  /// Starts what is new in a configuration, ends what is not in it any more, and starts anew what
  /// has changed or has been stopped for good. Not after `stop`.
  void use(const supervision& wanted);

  /// Nothing more is read; the repositories answer what they have got and end.
  void stop();
  bool stopping() const { return stopping_; }

  bool ended();

  /// Once a round of the loop. `idle`: no actor has anything to do.
  void run_round(bool idle);

private:
  /// A request that a repository has not answered yet.
  struct pending {
    std::string repository;
    const supervised* at = nullptr;
    envelope asked; ///< without its parameters
    reply_address from;
  };

  struct place {
    std::unique_ptr<supervised> repository;
    standing_messages standing;
    bool failed = false; ///< it has ended by itself, and what was left is refused
  };

  std::unique_ptr<supervised> start(const supervision_target& target);
  void take(frame f);
  void take_answers(const std::vector<supervised_answer>& answers);
  void refuse(const envelope& asked, const reply_address& from, const request_error& error);
  void refuse_unknown(const envelope& asked, const reply_address& from);
  void retire(place& old);
  void refuse_what_is_left(const supervised& ended);
  std::string name_for(const envelope& asked) const;

  caf::actor_system& system_;
  event_loop& loop_;
  connection_options options_;
  std::shared_ptr<review_budget> budget_ = std::make_shared<review_budget>();
  posted_work posted_;
  stdio_client client_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, pending> pending_;
  std::map<std::string, place> repositories_;
  std::list<std::unique_ptr<supervised>> leaving_;
  /// Bytes of answers that nobody has read yet; repositories look at it from their threads.
  std::atomic<std::size_t> unread_ = 0;
  std::atomic<std::size_t> on_their_way_ = 0;
  bool had_room_ = true;
  bool nobody_reads_ = false;
  bool stopping_ = false;
};

} // namespace orch
