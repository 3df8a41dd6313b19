#pragma once

#include "limits.hpp"
#include "load.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bench {

/// One measured number and what belongs to it.
struct figure {
  std::string name;
  int in_flight = 0; ///< 0: has none
  double value = 0;
  std::string unit{};
  std::optional<double> p50{}; ///< these three in microseconds
  std::optional<double> p99{};
  std::optional<double> worst{};
  uint64_t errors = 0;
  limit against{}; ///< what the machine allows at most; no name: nothing fits
  std::string note{};
};

/// The rate and latencies of a load; `operation` names what one of them is.
figure figure_of(load_result result, const std::string& operation, int in_flight);

struct settings {
  std::string server;
  std::string other; ///< a second program to compare with; empty: none
  std::filesystem::path dir;
  double seconds = 1; ///< of one measurement
  bool quick = false;
  bool as_json = false;
};

/// One measurement of a server program; it may give several figures, always the same ones.
using measurement = std::function<std::vector<figure>(const std::string& program)>;

/// Measures, prints as it goes, and remembers.
class report {
public:
  explicit report(settings wanted) : settings_{std::move(wanted)} {}

  const settings& wanted() const { return settings_; }

  /// How long one measurement may take: shorter if it is repeated in turns.
  double seconds() const {
    return settings_.other.empty() ? settings_.seconds : settings_.seconds / 2;
  }

  void begin_group(const std::string& title);

  /// Runs it, in turns with the other program if there is one, and adds the medians. A failure is
  /// a row of the table, not the end.
  void measure(const std::string& name, const measurement& work);

  void add(const figure& ours, const std::optional<figure>& other = {});

  /// Prints all as one JSON array if that is wanted. False if anything failed.
  bool finish() const;

private:
  struct entry {
    std::string group;
    figure ours;
    std::optional<figure> other;
    std::string failure{};
  };

  settings settings_;
  std::string group_;
  std::vector<entry> entries_;
};

} // namespace bench
