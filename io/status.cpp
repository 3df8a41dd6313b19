#include "io/status.hpp"

#include "config/config.hpp"
#include "io/descriptor.hpp"
#include "io/git.hpp"
#include "io/presence.hpp"
#include "io/status_view.hpp"
#include "io/tmux.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <set>

namespace orch {

namespace fs = std::filesystem;

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int failed = 1;

/// For the disk use of all worktrees together: when somebody waits for the page, and between two
/// pages of a watch.
constexpr milliseconds first_budget{300};
constexpr milliseconds later_budget{50};
constexpr std::chrono::seconds measured_again_after{60};

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

// --- Which servers live -----------------------------------------------------------------------

/// All bytes of the file that somebody has locked, each once.
std::optional<std::vector<int64_t>> locked_bytes(int fd) {
  constexpr auto last = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> locked;
  std::vector<std::pair<int64_t, int64_t>> unseen{{0, last}};
  while (!unseen.empty()) {
    auto [from, to] = unseen.back();
    unseen.pop_back();
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = from;
    lock.l_len = to == last ? 0 : to - from + 1;
    if (::fcntl(fd, F_OFD_GETLK, &lock) != 0)
      return {};
    if (lock.l_type == F_UNLCK)
      continue;
    auto found = static_cast<int64_t>(lock.l_start);
    locked.push_back(found);
    if (found > from)
      unseen.emplace_back(from, found - 1);
    if (lock.l_len > 0 && found + lock.l_len - 1 < to)
      unseen.emplace_back(found + lock.l_len, to);
  }
  return locked;
}

/// The ids of the servers that live (see io/presence), asked without locking anything.
std::optional<std::vector<int64_t>> living_servers(const fs::path& file) {
  descriptor fd{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (fd.number() < 0)
    return errno == ENOENT ? std::optional{std::vector<int64_t>{}} : std::nullopt;
  auto bytes = locked_bytes(fd.number());
  if (!bytes)
    return {};
  std::vector<int64_t> servers;
  for (auto byte : *bytes)
    if (byte % 2 == 0) // the odd ones are of their child programs, which may outlive them
      servers.push_back(byte / 2);
  return servers;
}

// --- Disk use ---------------------------------------------------------------------------------

/// What the files below a directory take, counted like `disk_use` but bit by bit.
class disk_walk {
public:
  explicit disk_walk(fs::path top) {
    struct stat found {};
    if (::lstat(top.c_str(), &found) == 0) {
      blocks_ = found.st_blocks;
      unseen_.push_back(std::move(top));
    }
  }

  /// Goes on until `end`; true once all is counted.
  bool go_on(steady::time_point end) {
    for (auto steps = 1;; ++steps) {
      if (steps % 32 == 0 && steady::now() >= end)
        return false;
      if (!open_ && !open_next())
        return true;
      auto entry = ::readdir(open_.get());
      if (entry)
        count(entry->d_name);
      else
        open_.reset();
    }
  }

  int64_t bytes() const { return blocks_ * 512; }

private:
  struct closer {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };

  bool open_next() {
    while (!open_ && !unseen_.empty()) {
      here_ = std::move(unseen_.back());
      unseen_.pop_back();
      open_.reset(::opendir(here_.c_str()));
    }
    return open_ != nullptr;
  }

  void count(std::string_view name) {
    struct stat found {};
    if (name == "." || name == ".."
        || ::fstatat(::dirfd(open_.get()), name.data(), &found, AT_SYMLINK_NOFOLLOW) != 0)
      return;
    auto below = S_ISDIR(found.st_mode);
    if (below || found.st_nlink < 2 || seen_.emplace(found.st_dev, found.st_ino).second)
      blocks_ += found.st_blocks;
    if (below)
      unseen_.push_back(here_ / name);
  }

  int64_t blocks_ = 0;
  std::vector<fs::path> unseen_;
  fs::path here_;
  std::unique_ptr<DIR, closer> open_;
  std::set<std::pair<dev_t, ino_t>> seen_; ///< files with several names
};

/// Measures directories a little at a time and remembers what it found.
class disk_meter {
public:
  /// What is known of these directories after measuring for at most `budget`.
  std::map<fs::path, int64_t> measure(const std::set<fs::path>& directories, milliseconds budget) {
    auto now = steady::now();
    std::erase_if(known_, [&](const auto& one) { return !directories.contains(one.first); });
    std::vector<entry*> open;
    for (const auto& directory : directories) {
      auto& one = known_[directory];
      if (!one.walk && now >= one.stale_at)
        one.walk = std::make_unique<disk_walk>(directory);
      if (one.walk)
        open.push_back(&one);
    }
    auto end = now + budget;
    // Each gets a share, so that a huge one does not keep the others unknown.
    while (!open.empty() && steady::now() < end) {
      auto share = (end - steady::now()) / static_cast<int64_t>(open.size());
      auto here = open.front();
      open.erase(open.begin());
      if (!here->go_on(steady::now() + std::max(share, steady::duration{milliseconds{2}})))
        open.push_back(here);
    }
    std::map<fs::path, int64_t> found;
    for (const auto& [directory, one] : known_)
      if (one.bytes)
        found.emplace(directory, *one.bytes);
    return found;
  }

private:
  struct entry {
    std::unique_ptr<disk_walk> walk;
    std::optional<int64_t> bytes;
    steady::time_point stale_at = steady::time_point::min();

    bool go_on(steady::time_point end) {
      if (!walk->go_on(end))
        return false;
      bytes = walk->bytes();
      walk.reset();
      stale_at = steady::now() + measured_again_after;
      return true;
    }
  };

  std::map<fs::path, entry> known_;
};

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

bool write_all(std::string_view text) {
  while (!text.empty()) {
    auto written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) {
      pollfd out{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&out, 1, -1);
      continue;
    }
    if (written < 0)
      return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

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
    if (!write_all(text_of(found.page, options)))
      return failed;
  return found.errors.empty() ? 0 : failed;
}

// --- Watching ---------------------------------------------------------------------------------

/// Says when something was written in the state directories: the log of a database, the wake file.
class change_watch {
public:
  int descriptor() const { return inotify_.number(); }

  /// Directories that do not exist yet are tried again with each call.
  void add(const std::vector<overview>& repositories) {
    for (const auto& one : repositories)
      ::inotify_add_watch(inotify_.number(), (fs::path{one.repository} / ".codex-orch").c_str(),
                          IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR);
  }

  /// However many changes there were, one look answers them all.
  void forget() {
    alignas(inotify_event) std::array<char, 4'096> events;
    while (::read(inotify_.number(), events.data(), events.size()) > 0) {
    }
  }

private:
  orch::descriptor inotify_{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
};

/// The terminal as a screen of its own; it is as before once this is gone. Signals that would end
/// or stop the program are read from a descriptor, so that nothing ends without that.
class screen {
public:
  screen() {
    sigset_t signals;
    sigemptyset(&signals);
    for (auto signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP})
      sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, &signals_before_);
    signals_ = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    has_keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    enter();
  }
  screen(const screen&) = delete;
  screen& operator=(const screen&) = delete;
  ~screen() {
    leave();
    ::close(signals_);
    ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
  }

  bool draw(const status_page& page) {
    auto style = style_of_output();
    auto now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    style.corner =
      fmt::format("{:02}:{:02}:{:02} · q ends", local.tm_hour, local.tm_min, local.tm_sec);
    auto text = render_page(page.repositories, style, wall_time());
    text.pop_back(); // a newline in the last line of the screen would move all of it
    std::string frame = "\x1b[H";
    for (auto c : text)
      frame += c == '\n' ? std::string{"\x1b[K\r\n"} : std::string{c};
    return write_all(frame + "\x1b[K\x1b[J");
  }

  /// What to poll for signals and keys.
  std::array<pollfd, 2> sources() const {
    return {{{signals_, POLLIN, 0}, {has_keys_ ? STDIN_FILENO : -1, POLLIN, 0}}};
  }

  /// Reads what has come; false if it is time to end.
  bool go_on() {
    signalfd_siginfo signal{};
    while (::read(signals_, &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo == SIGTSTP)
        pause();
      else if (signal.ssi_signo != SIGWINCH)
        return false;
    }
    pollfd key{has_keys_ ? STDIN_FILENO : -1, POLLIN, 0};
    while (::poll(&key, 1, 0) > 0 && key.revents != 0) {
      char c = 0;
      auto got = ::read(STDIN_FILENO, &c, 1);
      if (got <= 0) { // no more keys; signals still end it
        has_keys_ = false;
        return true;
      }
      if (c == 'q' || c == 'Q' || c == '\x03')
        return false;
    }
    return true;
  }

private:
  void enter() {
    if (has_keys_) {
      auto raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write_all("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
  }

  void leave() {
    write_all("\x1b[?7h\x1b[?25h\x1b[?1049l");
    if (has_keys_)
      ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  /// Ctrl-Z: the shell gets its terminal until we are continued.
  void pause() {
    leave();
    ::raise(SIGSTOP);
    enter();
  }

  int signals_ = -1;
  sigset_t signals_before_{};
  termios before_{};
  bool has_keys_ = false;
};

/// Waits for a change, a second, or what `more` is for; at least the shortest pause between looks.
template <std::size_t Count>
void wait_for_change(change_watch& changes, std::array<pollfd, Count> more) {
  ::poll(more.data(), more.size(), static_cast<int>(shortest_pause.count()));
  for (const auto& source : more)
    if (source.revents != 0)
      return;
  std::array<pollfd, Count + 1> all;
  std::copy(more.begin(), more.end(), all.begin());
  all.back() = {changes.descriptor(), POLLIN, 0};
  ::poll(all.data(), all.size(), static_cast<int>((longest_pause - shortest_pause).count()));
  changes.forget();
}

int watch_on_screen(const status_options& options) {
  looker eyes{options.targets};
  change_watch changes;
  screen terminal;
  for (auto budget = first_budget;; budget = later_budget) {
    auto found = eyes.look(budget);
    changes.add(found.page.repositories);
    if (!terminal.draw(found.page))
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
    changes.add(found.page.repositories);
    auto essence = essence_of(found.page);
    if (essence != last) {
      auto before = last.empty() || options.json ? "" : "\n";
      if (!write_all(before + text_of(found.page, options)))
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
