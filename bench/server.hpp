#pragma once

#include "clock.hpp"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// One running server and the two pipes to it, whose near ends never block.
class server {
public:
  server(const std::string& program, const std::filesystem::path& repository);
  /// Any command that answers on its standard output.
  explicit server(const std::vector<std::string>& command);
  /// Closes its input and waits for its end; kills it if that takes too long.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Asks one question and waits; throws if the answer is an error. For preparations: nothing else
  /// may be in flight.
  std::string ask(std::string_view method, std::string_view params = "{}");

  int input() const { return to_; }
  int output() const { return from_; }

  /// A line of /proc/PID/status in KiB, such as VmRSS.
  long status_kib(std::string_view name) const;

  /// Processor time used so far, in milliseconds (in steps of the kernel's clock tick).
  double cpu_ms() const;

  /// Ends at once; for a server with answers outstanding that nobody wants.
  void kill();

private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  bool ended_ = false;
};

} // namespace bench
