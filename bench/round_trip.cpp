#include "round_trip.hpp"

#include "clock.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace bench {

namespace {

using line = std::array<char, 128>;

std::vector<int> processors() {
  cpu_set_t set;
  std::vector<int> found;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set))
        found.push_back(i);
  return found;
}

void run_on(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

/// The other process: sends everything back until there is no more.
[[noreturn]] void echo(int from, int to) {
  line text{};
  while (true) {
    auto count = ::read(from, text.data(), text.size());
    if (count <= 0 || ::write(to, text.data(), static_cast<std::size_t>(count)) != count)
      ::_exit(0);
  }
}

int64_t count_trips(int to, int from, double seconds) {
  line text{};
  int64_t count = 0;
  for (auto until = in_seconds(seconds); steady::now() < until; ++count) {
    check_interrupted();
    if (::write(to, text.data(), text.size()) < 0 || ::read(from, text.data(), text.size()) <= 0)
      throw std::system_error{errno, std::generic_category(), "pipe"};
  }
  return count;
}

} // namespace

double round_trip_rate(placement where, double seconds) {
  auto known = processors();
  if (known.empty() || (where == placement::two_processors && known.size() < 2))
    return 0;
  std::array<int, 2> there{};
  std::array<int, 2> back{};
  if (::pipe(there.data()) != 0 || ::pipe(back.data()) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe"};
  auto child = ::fork();
  if (child < 0)
    throw std::system_error{errno, std::generic_category(), "fork"};
  if (child == 0) {
    if (where != placement::anywhere)
      run_on(where == placement::one_processor ? known[0] : known[1]);
    ::close(there[1]);
    ::close(back[0]);
    echo(there[0], back[1]);
  }
  cpu_set_t before;
  ::sched_getaffinity(0, sizeof before, &before);
  if (where != placement::anywhere)
    run_on(known[0]);
  ::close(there[0]);
  ::close(back[1]);
  auto count = count_trips(there[1], back[0], seconds);
  ::close(there[1]);
  ::close(back[0]);
  ::waitpid(child, nullptr, 0);
  ::sched_setaffinity(0, sizeof before, &before);
  return static_cast<double>(count) / seconds;
}

} // namespace bench
