#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orch {

/// What a bridge and the supervisor of its repository say to each other. Both are the same build
/// of the program on one machine, so numbers are written as they lie in memory.
struct packet {
  enum class kind : uint32_t {
    hello,        ///< bridge, first: a `bridge_hello`; supervisor: it is served
    refusal,      ///< supervisor: why it is not served
    message,      ///< bridge: a message of its client, under a new number
    repeat,       ///< bridge: the same, and somebody else was given it before
    too_large,    ///< bridge: the beginning of a message over the limit
    stop_waiting, ///< bridge: what waits is to be answered now
    end,          ///< bridge: its client has ended, all is answered; supervisor: that is known
    answer,       ///< supervisor: to the message of that number; empty if nothing is to be said
    notice,       ///< supervisor: a line about that message, or (0) about a subscription
    ping,         ///< either: say something
    pong,         ///< either: what was to be said
  };

  kind what = kind::ping;
  uint64_t number = 0; ///< of a message
  uint64_t place = 0;  ///< of a message: `incoming::place`
  std::string text{};
};

/// The number of this protocol; raised with each change of it.
inline constexpr int64_t bridge_protocol = 2;

void append_packet(std::string& out, packet::kind what, uint64_t number, uint64_t place,
                   std::string_view text);

/// Cuts a stream of bytes into packets.
class packet_splitter {
public:
  /// Throws `std::runtime_error` for what no bridge or supervisor sends.
  void feed(std::string_view bytes, const std::function<void(packet)>& emit);

private:
  std::string held_;
};

} // namespace orch
