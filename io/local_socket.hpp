#pragma once

#include "io/descriptor.hpp"

#include <filesystem>

namespace orch {

/// Stream sockets in the file system that only processes of this user talk over. All descriptors
/// are close-on-exec and never block.

/// Listens on a new socket `file` of mode 0600, instead of whatever has that name. Throws
/// `std::system_error`.
descriptor listen_on(const std::filesystem::path& file);

/// The next who wants to be connected; not open if there is none, or it is another user. Throws
/// `std::system_error` if the process or the machine has no descriptors left.
descriptor accept_from(const descriptor& listening);

/// Connects to `file`; not open if nobody of this user listens there.
descriptor connect_to(const std::filesystem::path& file);

} // namespace orch
