#include "io/reopening.hpp"

#include "io/log.hpp"

#include <fmt/format.h>

namespace orch {

std::optional<workspace_files> reopening::attempt() {
  try {
    return open_workspace(directory_, settings_);
  } catch (const std::exception& e) {
    note_failure(e.what());
    return {};
  }
}

void reopening::note_failure(const std::string& why) {
  auto pause = seen_.note();
  parked_ = !pause;
  next_ = failures::clock::now() + pause.value_or(std::chrono::milliseconds{0});
  why_not_ =
    parked_ ? fmt::format("repository {} could not be opened {} times: {}. It stays stopped until "
                          "the supervisor is told to reload (SIGHUP) or this server is started "
                          "again",
                          name_, seen_.count(), why)
            : fmt::format("repository {} cannot be opened right now: {}", name_, why);
  log_error("{}", why_not_);
}

} // namespace orch
