#include "io/status.hpp"

#include "config/config.hpp"
#include "io/change_watch.hpp"
#include "io/disk_meter.hpp"
#include "io/files.hpp"
#include "io/git.hpp"
#include "io/presence.hpp"
#include "io/status_view.hpp"
#include "io/terminal_screen.hpp"
#include "io/tmux.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <set>

namespace orch {

namespace fs = std::filesystem;

namespace {

using std::chrono::milliseconds;

constexpr int failed = 1;

/// For the disk use of all worktrees together: when somebody waits for the page, and between two
/// pages of a watch.
constexpr milliseconds first_budget{300};
constexpr milliseconds later_budget{50};

/// A watch looks again so often without being told, and not more often when it is.
constexpr milliseconds longest_pause{1'000};
constexpr milliseconds shortest_pause{150};

timestamp wall_time() {
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count()};
}

bool is_directory(const fs::path& path) {
  std::error_code unreadable;
  return fs::is_directory(path, unreadable);
}

// --- Looking ----------------------------------------------------------------------------------

/// What `--json` prints.
struct status_page {
  std::vector<overview> repositories;

  field_list fields() { return {required("repositories", repositories)}; }
};

/// The user's tmux commands need the socket that the repository's agents use.
std::function<std::string(const std::string&)> attach_command_of(const fs::path& config) {
  tmux_options options;
  try {
    options.socket_name = read_repository_config(config).agents.tmux_socket;
  } catch (const std::exception&) {
    // Servers complain of it; here it only makes a hint.
  }
  return [options](const std::string& session) {
    return tmux{options}.attach_command(session, attachment::read_write);
  };
}

overview look_at(const status_target& target) {
  overview_facts facts;
  facts.now = wall_time();
  overview all;
  all.at = facts.now;
  auto root = find_repository(target.path).root;
  auto dir = root / ".codex-orch";
  auto state = dir / "state.db";
  if (std::error_code unknown; !fs::exists(state, unknown) && !unknown) {
    all.note = "no state: no server has run in this repository yet";
  } else {
    facts.servers = living_servers(dir / "servers.lock");
    if (facts.servers)
      facts.clients =
        std::count_if(facts.servers->begin(), facts.servers->end(), presence::is_client);
    facts.is_directory = is_directory;
    facts.attach_command = attach_command_of(dir / "config.json");
    try {
      all = read_overview(state, facts);
    } catch (const std::exception& e) {
      throw std::runtime_error{fmt::format("cannot read {}: {}", state.string(), e.what())};
    }
  }
  all.repository = root.string();
  return all;
}

struct looked_at {
  status_page page;
  std::vector<std::string> errors; ///< a line for each repository that could not be read
};

class looker {
public:
  explicit looker(const std::vector<status_target>& targets) : targets_{targets} {}

  looked_at look(milliseconds disk_budget) {
    looked_at found;
    for (const auto& target : targets_)
      found.page.repositories.push_back(look_at_one(target, found.errors));
    measure(found.page.repositories, disk_budget);
    return found;
  }

private:
  static overview look_at_one(const status_target& target, std::vector<std::string>& errors) {
    overview all;
    try {
      all = look_at(target);
    } catch (const std::exception& e) {
      all.at = wall_time();
      all.repository = target.path.string();
      all.note = e.what();
      errors.emplace_back(e.what());
    }
    all.name = target.name.empty() ? fs::path{all.repository}.filename().string() : target.name;
    return all;
  }

  void measure(std::vector<overview>& all, milliseconds budget) {
    std::set<fs::path> directories;
    for (const auto& one : all)
      for (const auto& tree : one.worktrees)
        if (!tree.missing)
          directories.emplace(tree.path);
    auto known = meter_.measure(directories, budget);
    for (auto& one : all)
      for (auto& tree : one.worktrees)
        if (auto bytes = known.find(tree.path); bytes != known.end())
          tree.disk_bytes = bytes->second;
  }

  const std::vector<status_target>& targets_;
  disk_meter meter_;
};

// --- Showing ----------------------------------------------------------------------------------

void say(std::string_view what) {
  auto line = fmt::format("codex-orchestrator: {}\n", printable(what));
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

/// JSON may hold DEL and the control characters above ASCII as they are; a terminal may not.
std::string without_controls(const std::string& json) {
  std::string out;
  for (std::size_t i = 0; i < json.size(); ++i) {
    auto c = static_cast<unsigned char>(json[i]);
    auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0U;
    if (c == 0x7FU)
      out += "\\u007f";
    else if (c == 0xC2U && next >= 0x80U && next < 0xA0U)
      out += fmt::format("\\u00{:02x}", static_cast<unsigned char>(json[++i]));
    else
      out += json[i];
  }
  return out;
}

/// What of a page counts as a change: not the time, nor signs of life.
std::string essence_of(status_page page) {
  for (auto& one : page.repositories) {
    one.at = {};
    for (auto& session : one.sessions)
      session.last_seen_at = {};
  }
  return to_json_text(page);
}

bool variable_set(const char* name) {
  auto value = std::getenv(name);
  return value && *value;
}

bool has_screen() {
  auto term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && term && *term && std::string_view{term} != "dumb";
}

page_style style_of_output() {
  page_style style;
  if (::isatty(STDOUT_FILENO) != 1)
    return style;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    style.width = size.ws_col;
    style.height = size.ws_row;
  }
  style.colours = has_screen() && !variable_set("NO_COLOR");
  return style;
}

std::string text_of(const status_page& page, const status_options& options) {
  if (options.json)
    return without_controls(to_json_text(page)) + "\n";
  auto style = style_of_output();
  style.height = std::max(style.height - 1, 0); // the prompt
  return render_page(page.repositories, style, wall_time());
}

int show_once(const status_options& options) {
  auto found = looker{options.targets}.look(first_budget);
  for (const auto& error : found.errors)
    say(error);
  if (found.errors.size() < options.targets.size() || found.errors.empty())
    if (!write_all(STDOUT_FILENO, text_of(found.page, options)))
      return failed;
  return found.errors.empty() ? 0 : failed;
}

// --- Watching ---------------------------------------------------------------------------------

/// Directories that do not exist yet are tried again with each call.
void watch(const std::vector<overview>& repositories, change_watch& changes) {
  for (const auto& one : repositories)
    changes.add(fs::path{one.repository} / ".codex-orch");
}

std::string screen_of(const status_page& page) {
  auto style = style_of_output();
  auto now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  style.corner =
    fmt::format("{:02}:{:02}:{:02} · q ends", local.tm_hour, local.tm_min, local.tm_sec);
  return render_page(page.repositories, style, wall_time());
}

/// Waits for a change, a second, or what `more` is for; at least the shortest pause between looks.
template <std::size_t Count>
void wait_for_change(change_watch& changes, std::array<pollfd, Count> more) {
  ::poll(more.data(), more.size(), static_cast<int>(shortest_pause.count()));
  for (const auto& source : more)
    if (source.revents != 0)
      return;
  std::array<pollfd, Count + 1> all;
  std::copy(more.begin(), more.end(), all.begin());
  all.back() = {changes.number(), POLLIN, 0};
  ::poll(all.data(), all.size(), static_cast<int>((longest_pause - shortest_pause).count()));
  changes.forget();
}

int watch_on_screen(const status_options& options) {
  looker eyes{options.targets};
  change_watch changes;
  terminal_screen terminal;
  for (auto budget = first_budget;; budget = later_budget) {
    auto found = eyes.look(budget);
    watch(found.page.repositories, changes);
    if (!terminal.draw(screen_of(found.page)))
      return failed;
    wait_for_change(changes, terminal.sources());
    if (!terminal.go_on())
      return 0;
  }
}

/// A page, or a line of JSON, for each change; ends when nobody reads it any more.
int watch_by_lines(const status_options& options) {
  looker eyes{options.targets};
  change_watch changes;
  std::string last;
  for (auto budget = first_budget;; budget = later_budget) {
    auto found = eyes.look(budget);
    watch(found.page.repositories, changes);
    auto essence = essence_of(found.page);
    if (essence != last) {
      auto before = last.empty() || options.json ? "" : "\n";
      if (!write_all(STDOUT_FILENO, before + text_of(found.page, options)))
        return 0;
      last = std::move(essence);
    }
    std::array<pollfd, 1> reader{{{STDOUT_FILENO, 0, 0}}};
    wait_for_change(changes, reader);
    if (::poll(reader.data(), reader.size(), 0) > 0 && (reader[0].revents & POLLERR) != 0)
      return 0;
  }
}

} // namespace

int run_status(const status_options& options) {
  if (options.targets.empty()) {
    say("there is no repository to show");
    return failed;
  }
  if (!options.watch)
    return show_once(options);
  // Where nothing can be read now there is nothing to be watched.
  auto first = looker{options.targets}.look(milliseconds{0});
  if (!first.errors.empty() && first.errors.size() == options.targets.size()) {
    for (const auto& error : first.errors)
      say(error);
    return failed;
  }
  return options.json || !has_screen() ? watch_by_lines(options) : watch_on_screen(options);
}

} // namespace orch
