#pragma once

#include "io/hook_input.hpp"
#include "io/provider.hpp"
#include "io/screen_rules.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace orch {

/// A file of the recordings of real agent CLIs.
inline std::filesystem::path recorded(const std::string& name) {
  return std::filesystem::path{ORCH_TEST_DATA} / "agents" / name;
}

inline std::string recorded_text(const std::string& name) {
  std::ifstream in{recorded(name), std::ios::binary};
  if (!in)
    throw std::runtime_error{"no recording " + name};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The names in a directory of recordings that end in `ending`, without it, sorted.
inline std::vector<std::string> recordings_in(const std::string& directory,
                                              const std::string& ending) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{recorded(directory)})
    if (entry.path().extension() == ending)
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// Its first line is "title: ...".
inline screen_view recorded_screen(const std::string& name) {
  auto text = recorded_text(name);
  constexpr std::string_view head{"title: "};
  auto end = text.find('\n');
  if (!text.starts_with(head))
    throw std::runtime_error{name + " has no title"};
  return {text.substr(head.size(), end - head.size()), text.substr(end + 1)};
}

/// A recorded hook as it comes out of the event log.
inline agent_event recorded_event(const std::string& client, const std::string& hook,
                                  const std::filesystem::path& log, int64_t at_us) {
  auto input = read_hook_input(client, "", recorded_text(client + "/hooks/" + hook + ".json"));
  std::ofstream{log} << event_line(input, {"7", "2"}, at_us);
  auto events = read_agent_events(log);
  if (events.size() != 1)
    throw std::runtime_error{hook + " is no event"};
  return events.front();
}

inline std::string word(agent_turn turn) {
  switch (turn) {
  case agent_turn::starting:
    return "starting";
  case agent_turn::idle:
    return "idle";
  case agent_turn::working:
    return "working";
  case agent_turn::waiting:
    return "waiting";
  case agent_turn::interrupted:
    return "interrupted";
  case agent_turn::failed:
    return "failed";
  case agent_turn::ended:
    return "ended";
  }
  return "?";
}

/// "nothing" if the source says nothing.
inline std::string word(const std::optional<turn_fact>& fact) {
  return fact ? word(fact->what) : "nothing";
}

} // namespace orch
