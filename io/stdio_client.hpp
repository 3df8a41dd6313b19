#pragma once

#include "io/incoming.hpp"
#include "io/input.hpp"
#include "io/output.hpp"

#include <functional>

namespace orch {

/// The client on standard input and output: messages in, lines out. Lives in the loop's thread.
class stdio_client {
public:
  /// `gone` is called once, when nobody reads the answers any more.
  stdio_client(event_loop& loop, std::size_t most_bytes, std::function<void(frame)> take,
               std::function<void()> gone);

  /// Reads only while more is wanted.
  void want(bool more) { in_.want(more); }

  /// Reads nothing more.
  void stop() { in_.stop(); }

  /// Has all of the input been read?
  bool ended() const { return in_.ended(); }

  /// An empty line is nothing.
  void write(const reply_address& to, std::string_view line);

  /// Have answers been read, so that more may be made?
  bool has_room() const { return out_.size() < most_unread_answers; }

  /// Bytes that nobody has read yet.
  std::size_t unwritten() const { return out_.size(); }

  /// Has everything been written?
  bool empty() const { return out_.empty(); }

  /// Once a round: writes what can be written. While there is more to do, answers are gathered.
  void flush(bool idle);

private:
  frame_splitter splitter_;
  std::function<void(frame)> take_;
  output out_;
  input in_;
};

} // namespace orch
