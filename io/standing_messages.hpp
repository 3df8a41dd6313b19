#pragma once

#include "io/wire.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orch {

/// Is it the wish that a request be given up? Then that request's id, as JSON text.
std::optional<std::string> id_to_cancel(const envelope& asked);

/// What a client has said that holds for the rest of its connection: the MCP handshake, and its
/// subscriptions. Said again to whoever answers it next.
class standing_messages {
public:
  /// Remembers or forgets, as the message wants; `text` is all of it. Is it one of these?
  bool note(const envelope& asked, const std::string& text);

  /// In the order in which they came.
  std::vector<std::string> all() const;

  /// The resources that the client has subscribed to.
  std::vector<std::string> subscribed() const;

private:
  void forget(const std::string& what);

  struct standing {
    std::string what; ///< only the last one of each is kept
    std::string text;
  };

  std::vector<standing> kept_;
};

} // namespace orch
