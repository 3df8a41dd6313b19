#pragma once

#include "io/descriptor.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace orch {

/// Tells which server processes of a repository live, by locks that the kernel takes away when a
/// process dies. A server picks a random id and locks the byte `2 * id` of a file that all share;
/// byte `2 * id + 1` is locked through a descriptor that its child programs inherit, so that what
/// they still do after its death can be waited for. Ids of dead servers are never met again.
class presence {
public:
  /// What lives as long as the process: the actors of a repository, or a client on its input.
  enum class of : uint8_t { server, client };

  /// Creates the file if it is missing. Throws `std::system_error`.
  explicit presence(const std::filesystem::path& file, of whom = of::server);

  /// This server's id: positive, below 2^61; odd for a client.
  int64_t id() const { return id_; }

  static bool is_client(int64_t id) { return id % 2 != 0; }

  /// Does that server live? Safe in any thread.
  bool alive(int64_t server) const;

  /// Have the programs that a dead server had started ended? Waits for them up to `patience`.
  bool children_ended(int64_t server, std::chrono::milliseconds patience) const;

  /// What child programs are to inherit.
  int children_descriptor() const { return children_.number(); }

private:
  descriptor own_;
  descriptor children_;
  int64_t id_ = 0;
};

/// The ids of all that live, servers and clients, asked without locking or making anything.
/// Nothing: that cannot be told.
std::optional<std::vector<int64_t>> living_servers(const std::filesystem::path& file);

} // namespace orch
