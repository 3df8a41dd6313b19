#pragma once

#include "io/event_loop.hpp"

#include <string>
#include <string_view>

namespace orch {

/// Answers on their way to a descriptor, gathered into few writes that never block the loop.
class output {
public:
  /// `fd` stays open; `broken` is called once, when nobody reads any more.
  output(event_loop& loop, int fd, std::function<void()> broken);
  ~output();

  void add(std::string_view bytes) { pending_ += bytes; }

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
  std::function<void()> broken_;
  std::string pending_;
  std::size_t written_ = 0; ///< bytes at the start of `pending_` that are out already
  bool failed_ = false;
};

} // namespace orch
