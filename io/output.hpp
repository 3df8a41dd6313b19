#pragma once

#include "io/event_loop.hpp"

#include <string>
#include <string_view>

namespace orch {

/// Answers that nobody has read yet: beyond this no more requests are started.
inline constexpr std::size_t most_unread_answers = 1U << 20;

/// Answers are gathered up to this size while there is more to do.
inline constexpr std::size_t worth_a_write = 64U << 10;

/// Answers on their way to a descriptor, gathered into few writes that never block the loop.
class output {
public:
  /// `fd` stays open; `broken` is called once, when nobody reads any more; null: that is found
  /// out elsewhere. `non_blocking`: `fd` is so, and nobody else changes that.
  output(event_loop& loop, int fd, std::function<void()> broken, bool non_blocking = false);
  ~output();

  /// Dropped when nobody reads any more.
  void add(std::string_view bytes) {
    if (!failed_)
      pending_ += bytes;
  }

  /// Writes what can be written now; the rest follows when there is room.
  void flush();

  bool empty() const { return size() == 0; }
  std::size_t size() const { return pending_.size() - written_; }

private:
  void fail();
  void forget_written();

  event_loop& loop_;
  int fd_;
  int own_fd_ = -1; ///< a description of our own, so that O_NONBLOCK is not shared with others
  bool blocks_;     ///< a write waits for room
  std::function<void()> broken_;
  bool tells_broken_;
  std::string pending_;
  std::size_t written_ = 0; ///< bytes at the start of `pending_` that are out already
  bool failed_ = false;
  bool waits_for_room_ = false;
};

} // namespace orch
