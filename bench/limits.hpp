#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bench {

/// How often the machine can do something that the server cannot do without.
struct limit {
  std::string name;
  double per_second = 0;
};

/// What the machine allows, each measured for that long, with files below `dir`.
struct machine_limits {
  limit fdatasync{"fdatasync, 4 KiB appended"};
  limit commit{"SQLite commit, WAL + FULL, 1 insert"};
  limit grouped{"SQLite insert, 256 a commit, savepoints"};
  limit point_select{"SQLite point SELECT, 12 columns"};
  limit page{"SQLite SELECT of 50 rows"};
  limit long_page{"SQLite SELECT of 1,000 rows"};
  limit parse{"JSON parse of a request"};
  limit round_trip{"pipe round trip, two processes"};
  limit near_round_trip{"pipe round trip, on one processor"};
  limit far_round_trip{"pipe round trip, on two processors"};

  std::vector<limit> all() const;
};

/// Commits of one insert a second. What a disk gives changes from second to second, so this is
/// measured again beside each row that is held against it.
double commit_rate(const std::filesystem::path& dir, double seconds);

machine_limits measure_limits(const std::filesystem::path& dir, double seconds);

} // namespace bench
