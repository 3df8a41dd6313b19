#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <vector>

namespace bench {

using steady = std::chrono::steady_clock;

inline double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

inline steady::time_point in_seconds(double seconds) {
  return steady::now()
         + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
}

/// The value below which that part of the values lies; 0 for none. Reorders them.
template <class T>
T quantile(std::vector<T>& values, double part) {
  if (values.empty())
    return {};
  auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

/// Set by SIGINT and SIGTERM; what waits or repeats looks at it, so that nothing is left behind.
extern volatile std::sig_atomic_t interrupted;

inline void check_interrupted() {
  if (interrupted != 0)
    throw std::runtime_error{"interrupted"};
}

} // namespace bench
