#pragma once

#include "io/bridge.hpp"
#include "io/posted.hpp"
#include "io/presence.hpp"
#include "io/reopening.hpp"
#include "io/repository_host.hpp"
#include "io/server.hpp"
#include "io/standing_messages.hpp"
#include "io/stdio_client.hpp"

#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

namespace orch {

/// The client on standard input and output, and who answers it: the supervisor of its repository
/// if one lives, over a bridge, or else actors of our own. Changes from one to the other whenever
/// it has to, unseen by the client: what was sent and not answered is sent again, in the same
/// order, and what was done is not done twice. Lives in the loop's thread.
class relay {
public:
  /// Throws if there is no repository, unless the options say that there need not be one.
  relay(caf::actor_system& system, std::shared_ptr<event_loop> loop, const serve_options& options);

  ~relay();
  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  /// Once a round of the loop. `idle`: no actor has anything to do.
  void run_round(bool idle);

  /// Nothing more is read; what has been read is answered, and nothing waits any more.
  void stop();

  /// Is it time to end, since the input has ended or nobody reads the answers? Sessions are being
  /// suspended.
  bool ending() const { return ending_; }

  /// Has everything been done?
  bool finished() const { return finished_; }

  /// Throws what kept the repository from being opened at the start, if something did.
  void rethrow_failure() const {
    if (failure_)
      std::rethrow_exception(failure_);
  }

private:
  /// A message whose answer has not been seen.
  struct kept_message {
    frame what;
    uint64_t place = 0;
    std::string id;     ///< as JSON text
    bool reads = false; ///< its answer depends on what was written before it
    bool writes = false;
    bool sent = false;      ///< over this bridge
    bool cancelled = false; ///< not sent again
  };

  void take(frame f);
  void keep(uint64_t number, frame f, const envelope& asked);
  void send_what_may_go();
  void send(uint64_t number, kept_message& kept);

  /// The standing messages, for whoever answers from now on; none for the first one.
  std::vector<std::string> to_be_said_again();

  bool try_bridge();
  void mind_bridge();
  void cross();
  void take_packet(const packet& p);

  void mind_own_actors();
  bool has_opened();
  void open_in_background(bool first);
  void take_failure(const std::exception_ptr& failure);
  bool fenced_off_others();
  void use_own_actors();
  void close_own_actors();

  bool all_answered() const;
  void mind_end();

  caf::actor_system& system_;
  std::shared_ptr<event_loop> loop_;
  serve_options options_;
  std::filesystem::path state_dir_;
  std::unique_ptr<presence>
    client_presence_; ///< keeps the client's sessions alive, whoever answers
  stdio_client client_;

  uint64_t last_number_ = 0;
  std::map<uint64_t, kept_message> kept_; ///< those that no actors of our own have taken
  std::set<uint64_t> free_places_;        ///< of 1 to `places_`
  uint64_t places_ = 0;
  standing_messages standing_;
  bool notices_framed_ = false;
  bool answered_before_ = false;

  std::unique_ptr<bridge> bridge_;
  bool crossed_ = false; ///< the client is answered over the bridge
  std::chrono::steady_clock::time_point next_try_{};

  /// Opening waits for whoever writes at the moment, so it is done beside the loop.
  std::thread opener_;
  posted_work posted_;
  bool opening_ = false;
  std::exception_ptr failure_;

  // Requests are numbered anew by epochs, so that a supervisor that was stopped in the middle does
  // nothing more for this client when it goes on.
  int64_t epoch_ = 0;
  int64_t fenced_at_ = 0;
  bool fence_asked_ = false;
  bool crossed_before_ = false;

  std::unique_ptr<reopening> door_;
  std::optional<workspace_files> files_;
  std::unique_ptr<repository_host> host_;
  repository_host::hosted_client own_; ///< the client, when actors of our own answer it

  bool stopping_ = false;
  bool nobody_reads_ = false;
  bool ending_ = false;
  bool end_asked_ = false;
  bool finished_ = false;
};

} // namespace orch
