#include "io/stdio_client.hpp"

#include "io/stopping.hpp"

namespace orch {

stdio_client::stdio_client(event_loop& loop, std::size_t most_bytes,
                           std::function<void(frame)> take, std::function<void()> gone)
  : splitter_{most_bytes}, take_{std::move(take)}, out_{loop, protocol_output(), std::move(gone)},
    in_{loop, STDIN_FILENO, [this](std::string_view bytes) { splitter_.feed(bytes, take_); },
        [this] { splitter_.finish(take_); }} {
}

void stdio_client::write(const reply_address& to, std::string_view line) {
  if (!line.empty())
    out_.add(framed_line(to.framed, line));
}

void stdio_client::flush(bool idle) {
  if (idle || out_.size() >= worth_a_write)
    out_.flush();
}

} // namespace orch
