#pragma once

#include "io/bridged_client.hpp"
#include "io/packet_stream.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace orch {

/// The way from a server process to the supervisor of its repository. Lives in the loop's thread.
class bridge {
public:
  /// Nothing if no supervisor of this user listens. `take` gets answers and notices; it must not
  /// destroy the bridge.
  static std::unique_ptr<bridge> to(event_loop& loop, const std::filesystem::path& state_dir,
                                    const bridge_hello& hello, std::function<void(packet)> take);

  /// Has the supervisor let us in?
  bool open() const { return open_; }

  /// There is no supervisor any more, it does not answer, or it does not let us in.
  bool lost() const { return lost_ || stream_->lost(); }

  /// Is it of no use to try again soon?
  bool refused() const { return refused_; }

  void send(packet::kind what, uint64_t number = 0, uint64_t place = 0,
            std::string_view text = {}) {
    stream_->send(what, number, place, text);
  }

  /// Is there room for more messages?
  bool has_room() const { return stream_->unsent() < most_unread_answers; }

  /// Says that the client has ended; `lost` when the supervisor is done with it.
  void end();

  /// Has the supervisor suspended the client's sessions?
  bool ended_well() const { return ended_well_; }

  /// Writes what can be written now.
  void flush() { stream_->flush(); }

  /// Once a round of the loop. `wants_answers`: is there room for them? `awaits`: are there any to
  /// come?
  void run_round(bool wants_answers, bool awaits);

private:
  bridge(event_loop& loop, descriptor socket, std::function<void(packet)> take);
  void hear(packet p);
  void mind_silence(bool awaits);

  using clock = std::chrono::steady_clock;

  event_loop& loop_;
  std::function<void(packet)> take_;
  std::unique_ptr<packet_stream> stream_;
  clock::time_point heard_ = clock::now(); ///< the last time, or when there was nothing to hear
  bool pinged_ = false;
  bool open_ = false;
  bool lost_ = false;
  bool refused_ = false;
  bool ended_well_ = false;
};

} // namespace orch
