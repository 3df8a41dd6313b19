#include "io/agent_events.hpp"

#include "io/files.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>

namespace orch {

namespace {

constexpr std::size_t most_of_log = 4U << 20;

using json = nlohmann::json;

std::string text_of(const json& line, const char* name) {
  auto found = line.find(name);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

} // namespace

std::string read_tail(const std::filesystem::path& file, std::size_t most) {
  try {
    readable_file in{file};
    auto from = in.size() > most ? in.size() - most : 0;
    auto text = in.read(from, most);
    if (from > 0)
      text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
    return text;
  } catch (const std::system_error&) {
    return {};
  }
}

std::vector<agent_event> read_agent_events(const std::filesystem::path& log) {
  std::vector<agent_event> events;
  auto text = read_tail(log, most_of_log);
  for (std::size_t from = 0; from < text.size();) {
    auto to = std::min(text.find('\n', from), text.size());
    auto line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(from),
                            text.begin() + static_cast<std::ptrdiff_t>(to), nullptr, false);
    from = to + 1;
    if (!line.is_object() || text_of(line, "event").empty())
      continue;
    agent_event event;
    if (auto at = line.find("at"); at != line.end() && at->is_number_integer())
      event.at_us = at->get<int64_t>();
    event.event = text_of(line, "event");
    event.session_id = text_of(line, "session_id");
    event.transcript_path = text_of(line, "transcript_path");
    event.message = text_of(line, "message");
    event.tool = text_of(line, "tool");
    event.detail = text_of(line, "detail");
    events.push_back(std::move(event));
  }
  return events;
}

} // namespace orch
