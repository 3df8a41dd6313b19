#include "io/hook.hpp"

#include "io/edit_rules.hpp"
#include "io/git_layout.hpp"
#include "io/hook_input.hpp"
#include "io/json_text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr int allowed = 0;
constexpr int refused = 2;
constexpr std::size_t most_input = 16 << 20;

/// How long the payload may take to come: less than the shortest time limit of an installed hook.
constexpr std::chrono::milliseconds longest_input{2'000};

/// Shorter than the time that the installed hook is given, else it would be killed and so allow.
constexpr int64_t longest_wait = 50;
constexpr int look_again_ms = 100;

using steady = std::chrono::steady_clock;

struct hook_options {
  std::string client = "codex";
  std::string event;
  int64_t wait_seconds = 0;
};

void say(std::string_view what) {
  auto line = fmt::format("codex-orchestrator: {}\n", what);
  std::replace(line.begin(), line.end() - 1, '\n', ' ');
  // Who does not read this cannot be helped.
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::optional<std::string> variable(const char* name) {
  auto value = std::getenv(name);
  return value && *value ? std::optional<std::string>{value} : std::nullopt;
}

/// What is no number counts as none: a slip in the settings must not cost an event.
int64_t seconds_in(std::string_view text) {
  int64_t seconds = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failed != std::errc{} || end != text.data() + text.size())
    say(fmt::format("\"{}\" is no number of seconds to wait", text));
  return std::clamp(seconds, int64_t{0}, longest_wait);
}

hook_options read_options(const std::vector<std::string>& arguments) {
  hook_options options;
  options.wait_seconds = seconds_in(variable("ORCH_HOOK_WAIT_SECONDS").value_or("0"));
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& word = arguments[i];
    auto has_value = i + 1 < arguments.size();
    if (word == "--client" && has_value)
      options.client = arguments[++i];
    else if (word == "--wait" && has_value)
      options.wait_seconds = seconds_in(arguments[++i]);
    else if (!word.starts_with("-"))
      options.event = word;
    else
      say(fmt::format("unknown option {}", word));
  }
  return options;
}

/// Waits until there is something to read, or the end of it. Throws when nothing comes for too
/// long.
void await_input(steady::time_point end) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady::now()).count();
    pollfd input{STDIN_FILENO, POLLIN, 0};
    auto ready = ::poll(&input, 1, static_cast<int>(std::max(left, decltype(left){0})));
    if (ready > 0)
      return;
    if (ready == 0)
      throw std::runtime_error{"the payload on standard input did not come to its end in time"};
    if (errno != EINTR)
      throw std::runtime_error{fmt::format("cannot wait for the input: {}", std::strerror(errno))};
  }
}

/// The payload: up to the end of the input, or of the object, because whoever writes it may forget
/// to close its end.
std::string read_payload() {
  if (::isatty(STDIN_FILENO) == 1)
    throw std::runtime_error{"hook expects the payload of a hook on standard input"};
  auto end = steady::now() + longest_input;
  json_nesting nesting;
  std::string text;
  while (!nesting.closed()) {
    await_input(end);
    char part[1 << 16];
    auto got = ::read(STDIN_FILENO, part, sizeof part);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (got < 0)
      throw std::runtime_error{fmt::format("cannot read the input: {}", std::strerror(errno))};
    if (got == 0)
      break;
    std::string_view more{part, static_cast<std::size_t>(got)};
    nesting.read(more);
    text += more;
    if (text.size() > most_input)
      throw std::runtime_error{"the input is longer than 16 MiB"};
  }
  return text;
}

timestamp wall_time() {
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count()};
}

/// One write to a file that is only appended to: lines of several processes do not mix.
void log_event(const hook_input& input) {
  auto log = variable("ORCH_EVENT_LOG");
  if (!log)
    return;
  auto line =
    event_line(input, {variable("ORCH_THREAD"), variable("ORCH_INCARNATION")}, wall_time().us);
  // Not blocking: at a FIFO we would wait until somebody reads it.
  auto fd =
    ::open(log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
  struct stat found {};
  auto regular = fd >= 0 && ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
  auto written = regular ? ::write(fd, line.data(), line.size()) : -1;
  if (written != static_cast<ssize_t>(line.size()))
    say(fmt::format("cannot write the event log {}: {}", *log,
                    fd >= 0 && !regular ? "it is no regular file"
                    : written < 0       ? std::strerror(errno)
                                        : "no space"));
  if (fd >= 0)
    ::close(fd);
}

/// The main work tree of the repository around a path, of which only a part needs to exist.
std::optional<fs::path> root_around(fs::path path) {
  std::error_code unreadable;
  while (path.has_relative_path() && !fs::is_directory(path, unreadable))
    path = path.parent_path();
  try {
    auto found = find_repository(path);
    return found.bare ? std::nullopt : std::optional{found.root};
  } catch (const std::exception&) {
    return std::nullopt; // in no repository, then it is none of our business
  }
}

/// The top of the work tree that a file of a repository is in.
fs::path work_tree_around(const fs::path& file) {
  auto here = file.parent_path();
  while (here.has_relative_path() && !anything_at(here / ".git"))
    here = here.parent_path();
  return here;
}

fs::path state_of(const fs::path& root) {
  return root / ".codex-orch" / "state.db";
}

/// What judges the files of one repository.
struct judge {
  std::shared_ptr<const glance> state;
  edit_facts facts;
};

/// All judges that one payload needs: the repository that the session works in, and those of files
/// elsewhere.
class court {
public:
  /// An empty `cwd` stands for a place that nobody knows.
  explicit court(fs::path cwd) : cwd_{std::move(cwd)} {
    if (!cwd_.empty())
      home_ = root_around(cwd_);
    if (!home_ && !cwd_.empty())
      say(fmt::format("{} is in no git repository; edits are not checked", cwd_.string()));
  }

  std::optional<edit_refusal> judge_file(const fs::path& file) {
    if (home_)
      if (auto at_home = judge_for(*home_); at_home && concerns(*at_home, file))
        return judge_edit(at_home->facts, file);
    auto root = root_around(file.parent_path());
    auto by = root ? judge_for(*root) : nullptr;
    if (!by)
      return std::nullopt;
    auto facts = by->facts;
    if (!concerns(*by, file)) // a worktree that somebody made without us
      facts.worktrees.push_back({0, work_tree_around(file), {}});
    return judge_edit(facts, file);
  }

private:
  bool concerns(const judge& by, const fs::path& file) const {
    return is_within(file, by.facts.root) || worktree_with(by.facts.worktrees, file);
  }

  /// Null if nothing is coordinated there, or its state cannot be read.
  judge* judge_for(const fs::path& root) {
    auto known = judges_.find(root);
    if (known == judges_.end())
      known = judges_.emplace(root, appoint(root)).first;
    return known->second ? &*known->second : nullptr;
  }

  std::optional<judge> appoint(const fs::path& root) const {
    try {
      std::error_code unreadable;
      if (!fs::exists(state_of(root), unreadable))
        throw std::runtime_error{"it does not exist"};
      judge made{std::make_shared<glance>(state_of(root)), {}};
      made.facts.root = root;
      made.facts.worktrees = made.state->worktrees();
      made.facts.cwd = cwd_;
      // The variable names a session of the repository that the command line was started for.
      auto given = root == home_ || cwd_.empty() ? variable("ORCH_SESSION") : std::nullopt;
      made.facts.session = session_of(made.facts.worktrees, cwd_, given);
      made.facts.leases_on = [state = made.state](const std::string& path) {
        return state->leases_on(path, wall_time());
      };
      return made;
    } catch (const std::exception& e) {
      say(fmt::format("edits are not checked, no state of a server in {}: {}",
                      state_of(root).string(), e.what()));
      return std::nullopt;
    }
  }

  fs::path cwd_;
  std::optional<fs::path> home_;
  std::map<fs::path, std::optional<judge>> judges_;
};

std::optional<edit_refusal> first_refusal(court& of, const std::vector<fs::path>& files) {
  for (const auto& file : files)
    if (auto found = of.judge_file(file))
      return found;
  return std::nullopt;
}

/// Where the command line works; empty if it does not say so and our own directory is gone.
fs::path working_directory(const fs::path& given) {
  std::error_code gone;
  auto path = given.is_absolute() ? given : fs::current_path(gone) / given;
  return gone ? fs::path{} : settled(path);
}

/// The files by their whole names.
std::vector<fs::path> files_of(const hook_input& input, const fs::path& cwd) {
  std::vector<fs::path> files;
  for (const fs::path name : edited_paths(input.payload))
    if (name.is_absolute() || !cwd.empty())
      files.push_back(settled(cwd / name));
    else
      say(fmt::format("an edit of {} is not checked: nobody knows in which directory it is",
                      name.string()));
  return files;
}

int check_edit(const hook_input& input, int64_t wait_seconds) {
  auto cwd = working_directory(input.cwd);
  auto files = files_of(input, cwd);
  if (files.empty())
    return allowed;
  auto end = steady::now() + std::chrono::seconds{wait_seconds};
  court here{cwd};
  auto found = first_refusal(here, files);
  while (found && found->waiting_helps && steady::now() < end) {
    ::poll(nullptr, 0, look_again_ms);
    found = first_refusal(here, files);
  }
  if (!found)
    return allowed;
  say(found->reason);
  return refused;
}

int answer(const std::vector<std::string>& arguments) {
  auto options = read_options(arguments);
  auto input = read_hook_input(options.client, options.event, read_payload());
  log_event(input);
  return input.event == "PreToolUse" ? check_edit(input, options.wait_seconds) : allowed;
}

} // namespace

int run_hook(const std::vector<std::string>& arguments) noexcept {
  try {
    try {
      return answer(arguments);
    } catch (const std::exception& e) {
      say(fmt::format("the hook let this pass: {}", e.what()));
    }
  } catch (...) {
    // Out of memory while saying so.
  }
  return allowed;
}

} // namespace orch
