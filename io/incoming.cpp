#include "io/incoming.hpp"

#include <fmt/format.h>

namespace orch {

envelope read_frame(const frame& f, std::size_t most_bytes) {
  if (f.how != frame::form::too_large)
    return read_envelope(f.text);
  auto asked = read_beginning(f.text);
  asked.problem = request_error{errc::too_large,
                                fmt::format("a message may have {} bytes at most", most_bytes),
                                {{"limit", most_bytes}}};
  return asked;
}

std::string framed_line(bool framed, std::string_view line) {
  return framed ? fmt::format("Content-Length: {}\r\n\r\n{}", line.size(), line)
                : fmt::format("{}\n", line);
}

} // namespace orch
