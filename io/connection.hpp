#pragma once

#include "actors/repository.hpp"
#include "io/incoming.hpp"
#include "io/mcp.hpp"
#include "io/subscriptions.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace orch {

struct connection_options {
  std::size_t most_bytes = 16U << 20; ///< of one message
  std::size_t window = 256;           ///< requests read and not answered
  std::string profile = "all";        ///< of MCP tools
  bool lasting = true;                ///< keeps the sessions opened on it alive
  /// The process that does so, as `presence` knows it; 0: the one that answers.
  int64_t server = 0;
  int64_t epoch = 0;                  ///< `caller::epoch`
  std::optional<int64_t> thread_id{}; ///< of the agent that started the server
  /// There is no repository, and why: all requests are refused with this.
  std::optional<std::string> no_repository{};
};

/// One client: messages in, requests to the owners, answers out, in the order that the contract
/// promises. Belongs to the actor `self`, whose thread makes all calls and runs all callbacks.
class connection {
public:
  /// Where answers go.
  struct sink {
    /// The one answer to a message; empty if nothing is to be said.
    std::function<void(const reply_address& to, std::string_view line)> answer;
    /// Something else about a message, or about what it has subscribed to.
    std::function<void(const reply_address& to, std::string_view line)> notify;
    /// Is there room for more? While there is none, no request is started.
    std::function<bool()> has_room = [] { return true; };
  };

  connection(caf::event_based_actor* self, connection_options options, sink out);

  /// The ways to the owners; null while they are being restarted, or `parked` says why they are
  /// not. Then a client that may be answered elsewhere (`caller::epoch`) is not refused but left.
  void use(std::shared_ptr<const route_table> table, const std::string& parked = {});

  void take(incoming m);

  /// There may be room for answers again.
  void go_on() { start_what_may_start(); }

  /// Is there room for more input?
  bool wants_input() const;

  /// Has everything that was read been answered?
  bool idle() const { return slots_.empty() && waiting_.empty(); }

  /// Answers the requests that wait for something, now and from now on: the server is to stop.
  void stop_waiting();

  /// Starts nothing more and ends what waits: whoever sent the requests is going to repeat those
  /// that have no answer elsewhere.
  void leave();

  /// Nothing that was started is still on its way.
  bool has_left() const { return running_ == 0 && waiting_.empty(); }

  /// Answers that still come are dropped. Any thread may run their callbacks then.
  ~connection();

  /// Does somebody who waits want to hear of it?
  bool wants_progress() const;

  /// Tells those who asked for it how long they have waited.
  void send_progress();

private:
  /// A request on its way from line to answer.
  struct slot {
    envelope asked;
    reply_address from{};
    std::optional<int64_t> place{};
    bool repeated = false;
    bool tool = false;   ///< dress the answer as the result of tools/call
    bool modern = false; ///< of the stateless MCP era
    bool waits = false;
    bool alone = false;  ///< overlaps nothing
    bool silent = false; ///< cancelled: nothing more is sent for it
    bool answered = false;
    bool ended = false; ///< of a resource: all its parts are read, or one could not be
    std::optional<resource_read> resource{}; ///< instead of a method
    uint64_t ticket = 0;
    std::string method;
    json params;
    std::string progress_token; ///< as JSON text; empty: no word of progress is wanted
    std::chrono::steady_clock::time_point started;
    std::string line; ///< the answer, while earlier ones are outstanding
  };
  using slot_ptr = std::shared_ptr<slot>;

  void take_message(const slot_ptr& s);
  void take_protocol_message(const slot_ptr& s);
  void read_resource(const slot_ptr& s);
  void subscribe(const slot_ptr& s, const resource_subscription& asked);
  void cancel(const std::string& id);
  void end_wait(uint64_t ticket);

  void queue(const slot_ptr& s);
  void start_what_may_start();
  bool may_start(const slot& s, const method_info* m) const;
  void start(const slot_ptr& s, const method_info& m);
  std::optional<request_key> key_for(const method_info& m, slot& s) const;
  void note_sessions(const method_info& m, const json& params, const caller& from);
  void finish(const slot_ptr& s, bool wrote);

  request_error without_owners() const;
  void refuse(const slot_ptr& s, const request_error& error);
  void answer(const slot_ptr& s, std::string line);
  void flush_answers();
  void send(const slot& s, const std::string& line);

  caf::event_based_actor* self_;
  connection_options options_;
  sink out_;
  mcp_session mcp_;
  subscriptions subscribed_;
  reply_address notices_to_{}; ///< that of the last subscription
  std::shared_ptr<const route_table> table_;
  std::string parked_;
  std::deque<slot_ptr> slots_;           ///< in the order of arrival, answered in it
  std::deque<slot_ptr> queued_;          ///< of these, not started yet
  std::map<uint64_t, slot_ptr> waiting_; ///< started, held open, overtaken by later ones
  bool starting_ = false;
  bool leaving_ = false;
  bool waits_end_ = false; ///< nothing waits any more
  std::string_view running_owner_;
  bool running_alone_ = false;
  std::size_t running_ = 0; ///< ordered requests that owners have now
  std::size_t writing_ = 0; ///< of these, those that write
  std::map<int64_t, std::chrono::steady_clock::time_point> last_sign_of_life_;
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);
};

} // namespace orch
