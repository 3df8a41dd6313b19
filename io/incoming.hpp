#pragma once

#include "io/frames.hpp"
#include "io/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// Where the answer to a message goes; only whoever took the message knows what it means.
struct reply_address {
  uint64_t number = 0;
  bool framed = false; ///< came with a Content-Length header, and is answered with one
};

/// A message of a client, taken apart.
struct incoming {
  envelope asked;
  reply_address from{};
  /// Of a client behind a bridge: the request may be repeated by whoever is given it again under
  /// the same number, and this is its place among those that the bridge has not seen answered.
  std::optional<int64_t> place{};
  bool repeated = false; ///< it was given to somebody else before
};

/// Takes a frame apart. Never throws for what is in it. `most_bytes`: the limit it was cut with.
envelope read_frame(const frame& f, std::size_t most_bytes);

/// A line as it goes out to a client.
std::string framed_line(bool framed, std::string_view line);

} // namespace orch
