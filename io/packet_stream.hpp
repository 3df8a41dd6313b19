#pragma once

#include "io/descriptor.hpp"
#include "io/input.hpp"
#include "io/output.hpp"
#include "io/packets.hpp"

#include <functional>

namespace orch {

/// Packets over a connected socket. Lives in the loop's thread.
class packet_stream {
public:
  /// `take` gets what comes in. Neither it nor what it calls may destroy the stream.
  packet_stream(event_loop& loop, descriptor socket, std::function<void(packet)> take);

  void send(packet::kind what, uint64_t number = 0, uint64_t place = 0, std::string_view text = {});

  /// Reads only while more is wanted.
  void want(bool more) { in_.want(more); }

  /// Once a round: writes what can be written.
  void flush();

  /// Tells the other side, once all is written, that no more will come.
  void end_writing();

  /// Bytes that the other side has not taken yet.
  std::size_t unsent() const { return out_.size(); }

  /// Is the other side gone, or does it send what is no packet?
  bool lost() const { return lost_; }

private:
  void read(std::string_view bytes);

  descriptor socket_;
  descriptor writing_; ///< the same socket: the loop knows one callback for each descriptor
  std::function<void(packet)> take_;
  packet_splitter splitter_;
  std::string packet_; ///< being written
  bool lost_ = false;
  bool ends_writing_ = false; ///< when all is written
  output out_;
  input in_;
};

} // namespace orch
