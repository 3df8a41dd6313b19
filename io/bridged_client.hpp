#pragma once

#include "io/packet_stream.hpp"
#include "io/repository_host.hpp"

#include <functional>
#include <memory>

namespace orch {

/// What a bridge says first.
struct bridge_hello {
  int64_t protocol = 0;
  std::string version;              ///< of the program
  int64_t server = 0;               ///< the bridge's process, as `presence` knows it
  std::string profile;              ///< of MCP tools
  int64_t most_bytes = 0;           ///< of one message
  int64_t window = 0;               ///< messages that it sends and that are not answered, at most
  int64_t epoch = 0;                ///< `caller::epoch`
  std::optional<int64_t> thread_id; ///< of the agent that started the bridge

  field_list fields() {
    return {required("protocol", protocol),     required("version", version),
            required("server", server),         required("profile", profile),
            required("most_bytes", most_bytes), required("window", window),
            required("epoch", epoch),           optional("thread_id", thread_id)};
  }
};

/// A client that is connected through a bridge, seen from the supervisor. Lives in the thread of
/// the host's loop.
class bridged_client {
public:
  bridged_client(repository_host& host, event_loop& loop, descriptor socket,
                 std::function<bool(int64_t)> alive, connection_options base);
  ~bridged_client();
  bridged_client(const bridged_client&) = delete;
  bridged_client& operator=(const bridged_client&) = delete;

  /// Once a round of the loop.
  void run_round(bool idle);

  /// See `bridge_door::close`.
  void leave();

  /// May it be destroyed?
  bool gone() const { return *gone_; }

private:
  void take(packet p);
  void greet(const packet& p);
  void let_in();
  void part();

  repository_host& host_;
  std::function<bool(int64_t)> alive_;
  connection_options options_;
  packet_stream stream_;
  repository_host::hosted_client client_; ///< once it has been greeted
  bool leaving_ = false;
  bool cut_ = false;   ///< the bridge is gone
  bool ended_ = false; ///< and has said so
  bool greeted_ = false;
  bool parted_ = false;
  std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);
  std::shared_ptr<bool> alive_here_ = std::make_shared<bool>(true);
};

} // namespace orch
