#pragma once

#include "server.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// One request to be written. Each place of those in flight does its operations one after another.
struct turn {
  uint64_t id = 0;         ///< of the request; unique on the connection
  int part = 0;            ///< of the operation: 0, 1, ...
  std::string_view answer; ///< the line that answered the part before; empty for part 0
};

/// What is asked: appends `"method":…,"params":…` of one request. An operation may take several
/// requests, each of which follows the answer to the one before.
struct workload {
  int parts = 1;
  std::function<void(std::string& out, const turn&)> request{};
};

struct load_plan {
  int in_flight = 1; ///< on each connection
  double seconds = 1;
  double warm_up = 0.1;       ///< seconds before, not counted
  uint64_t most = UINT64_MAX; ///< operations begun on each connection, whatever the time
};

struct load_result {
  double seconds = 0;
  uint64_t operations = 0;
  uint64_t errors = 0;
  std::string first_error;
  std::vector<float> latencies;         ///< of each operation, in microseconds
  std::vector<uint64_t> per_connection; ///< operations

  double rate() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
};

/// Keeps exactly so many operations in flight on each server. What is still in flight at the end is
/// awaited if it is little; otherwise the servers are killed.
load_result put_under_load(const std::vector<server*>& servers, const workload& work,
                           const load_plan& plan);

} // namespace bench
