#include "report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace bench {

namespace {

constexpr int rounds_in_turns = 3;

using json = nlohmann::ordered_json;
using series = std::vector<std::vector<figure>>; ///< one element for each round

std::string number(double value) {
  if (value >= 100)
    return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, value >= 10 ? 1 : 2);
}

std::string number(const std::optional<double>& value) {
  return value ? number(*value) : "";
}

std::string share(const figure& x) {
  if (x.against.name.empty() || x.against.per_second <= 0)
    return {};
  return fmt::format("{:.0f} %", 100 * x.value / x.against.per_second);
}

std::string remarks(const figure& x) {
  std::string text = x.against.name.empty() ? "" : "of " + x.against.name;
  if (x.worst)
    text += fmt::format("{}worst {} µs", text.empty() ? "" : "; ", number(x.worst));
  if (x.errors > 0)
    text += fmt::format("{}{} ERRORS", text.empty() ? "" : "; ", x.errors);
  if (!x.note.empty())
    text += (text.empty() ? "" : "; ") + x.note;
  return text;
}

/// Of the rounds the one whose value is the median, for each of their figures.
std::vector<figure> medians(series rounds) {
  std::vector<figure> chosen;
  for (std::size_t i = 0; !rounds.empty() && i < rounds.front().size(); ++i) {
    std::vector<figure> same;
    for (auto& round : rounds)
      same.push_back(round.at(i));
    std::sort(same.begin(), same.end(),
              [](const figure& a, const figure& b) { return a.value < b.value; });
    chosen.push_back(same[same.size() / 2]);
  }
  return chosen;
}

json as_json(const figure& x) {
  json out{{"value", x.value}, {"unit", x.unit}};
  if (x.in_flight > 0)
    out["in_flight"] = x.in_flight;
  if (x.p50)
    out["p50_us"] = *x.p50;
  if (x.p99)
    out["p99_us"] = *x.p99;
  if (x.worst)
    out["worst_us"] = *x.worst;
  out["errors"] = x.errors;
  if (!x.against.name.empty())
    out["limit"] = {{"name", x.against.name}, {"per_second", x.against.per_second}};
  if (!x.note.empty())
    out["note"] = x.note;
  return out;
}

} // namespace

figure figure_of(load_result result, const std::string& operation, int in_flight) {
  figure made{.name = operation, .in_flight = in_flight, .value = result.rate(), .unit = "/s"};
  made.p50 = quantile(result.latencies, 0.5);
  made.p99 = quantile(result.latencies, 0.99);
  made.errors = result.errors;
  made.note = result.first_error.substr(0, 200);
  return made;
}

void report::begin_group(const std::string& title) {
  group_ = title;
  if (settings_.as_json)
    return;
  fmt::print("\n{:<40}{:>9}{:>12} {:<6}{:>10}{:>10}{:>8}{:>9}\n", title, "in flight", "value", "",
             "p50 µs", "p99 µs", "share", settings_.other.empty() ? "" : "to other");
}

void report::measure(const std::string& name, const measurement& work) {
  auto in_turns = !settings_.other.empty();
  series ours;
  series others;
  try {
    for (int round = 0; round < (in_turns ? rounds_in_turns : 1); ++round) {
      ours.push_back(work(settings_.server));
      if (in_turns)
        others.push_back(work(settings_.other));
    }
  } catch (const std::exception& e) {
    check_interrupted();
    entries_.push_back({group_, {.name = name, .unit = ""}, {}, e.what()});
    if (!settings_.as_json)
      fmt::print("{:<40}failed: {}\n", name, e.what());
    return;
  }
  auto chosen = medians(ours);
  auto compared = medians(others);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    add(chosen[i], in_turns ? std::optional{compared.at(i)} : std::nullopt);
}

void report::add(const figure& ours, const std::optional<figure>& other) {
  entries_.push_back({group_, ours, other});
  if (settings_.as_json)
    return;
  auto ratio = other && other->value > 0 ? fmt::format("x {:.2f}", ours.value / other->value) : "";
  fmt::print("{:<40}{:>9}{:>12} {:<6}{:>9}{:>9}{:>8}{:>9}  {}\n", ours.name,
             ours.in_flight > 0 ? fmt::format("{}", ours.in_flight) : "", number(ours.value),
             ours.unit, number(ours.p50), number(ours.p99), share(ours), ratio, remarks(ours));
  std::fflush(stdout);
}

bool report::finish() const {
  auto good = true;
  auto rows = json::array();
  for (const auto& x : entries_) {
    json row{{"group", x.group}, {"name", x.ours.name}};
    if (x.failure.empty())
      row.update(as_json(x.ours));
    else
      row["failure"] = x.failure;
    if (x.other)
      row["other"] = as_json(*x.other);
    good = good && x.failure.empty() && x.ours.errors == 0;
    rows.push_back(std::move(row));
  }
  if (settings_.as_json)
    fmt::print("{}\n", rows.dump(2));
  return good;
}

} // namespace bench
