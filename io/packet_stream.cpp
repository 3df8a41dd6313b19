#include "io/packet_stream.hpp"

#include "io/log.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <exception>
#include <utility>

namespace orch {

packet_stream::packet_stream(event_loop& loop, descriptor socket, std::function<void(packet)> take)
  : socket_{std::move(socket)}, writing_{::fcntl(socket_.number(), F_DUPFD_CLOEXEC, 0)},
    take_{std::move(take)}, lost_{!writing_.open()},
    // What was sent before the other side went can still be read: the input tells the end.
    out_{loop, writing_.number(), nullptr, true}, in_{
                                                    loop, socket_.number(),
                                                    [this](std::string_view bytes) { read(bytes); },
                                                    [this] { lost_ = true; }} {
}

void packet_stream::send(packet::kind what, uint64_t number, uint64_t place,
                         std::string_view text) {
  packet_.clear();
  append_packet(packet_, what, number, place, text);
  out_.add(packet_);
}

void packet_stream::flush() {
  out_.flush();
  if (out_.empty() && std::exchange(ends_writing_, false))
    ::shutdown(socket_.number(), SHUT_WR);
}

void packet_stream::end_writing() {
  ends_writing_ = true;
  flush();
}

void packet_stream::read(std::string_view bytes) {
  try {
    splitter_.feed(bytes, take_);
  } catch (const std::exception& e) {
    log_warning("a connection to another process of this program is cut: {}", e.what());
    in_.stop();
    lost_ = true;
  }
}

} // namespace orch
