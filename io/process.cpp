#include "io/process.hpp"

#include "io/descriptor.hpp"
#include "io/files.hpp"
#include "messages/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

namespace orch {

namespace {

using steady = std::chrono::steady_clock;

/// How long a grandchild may hold the pipes open after the child's end.
constexpr std::chrono::milliseconds linger{1000};

/// How often to look for the child's end where the kernel has no pidfd.
constexpr std::chrono::milliseconds glance{20};

/// Of the end of a log that is too long so much is kept.
constexpr std::size_t kept_end = 64U << 10;

[[noreturn]] void cannot_run(const program& p, int error) {
  std::error_code missing;
  auto in = p.directory.string();
  if (error == ENOENT && !in.empty() && !std::filesystem::is_directory(p.directory, missing))
    throw request_error{errc::unavailable,
                        fmt::format("cannot run {}: no directory {}", p.argv.at(0), in),
                        {{"program", p.argv.at(0)}, {"directory", in}}};
  throw request_error{errc::unavailable,
                      fmt::format("cannot run {}: {}", p.argv.at(0), std::strerror(error)),
                      {{"program", p.argv.at(0)}, {"errno", error}}};
}

/// Takes a fresh descriptor, above the numbers that the child's own streams are put on.
descriptor fresh(const program& p, int number) {
  descriptor first{number};
  if (first.open() && number > STDERR_FILENO)
    return first;
  descriptor second{first.open() ? ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1};
  if (!second.open())
    cannot_run(p, errno);
  return second;
}

struct channel {
  descriptor ours;
  descriptor theirs;
};

channel make_channel(const program& p) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    cannot_run(p, errno);
  descriptor writing{::fcntl(ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
  ::close(ends[1]);
  channel made{fresh(p, ends[0]), std::move(writing)};
  if (!made.theirs.open() || ::fcntl(made.ours.number(), F_SETFL, O_NONBLOCK) != 0)
    cannot_run(p, errno);
  return made;
}

/// A file in memory: unlike a pipe it takes all input at once and can neither block nor break.
descriptor make_input(const program& p) {
  if (p.input.empty())
    return fresh(p, ::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto file = fresh(p, ::memfd_create("input", MFD_CLOEXEC));
  std::string_view rest = p.input;
  while (!rest.empty()) {
    auto written = ::write(file.number(), rest.data(), rest.size());
    if (written < 0 && errno != EINTR)
      cannot_run(p, errno);
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  if (::lseek(file.number(), 0, SEEK_SET) != 0)
    cannot_run(p, errno);
  return file;
}

/// What the child gets besides its arguments: streams, directory, descriptors.
class file_actions {
public:
  explicit file_actions(const program& p) : program_{p} {
    check(posix_spawn_file_actions_init(&actions_));
  }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;
  ~file_actions() { posix_spawn_file_actions_destroy(&actions_); }

  void put(int from, int to) { check(posix_spawn_file_actions_adddup2(&actions_, from, to)); }
  void enter(const std::filesystem::path& directory) {
    check(posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str()));
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
  void check(int error) {
    if (error != 0)
      cannot_run(program_, error);
  }

  const program& program_;
  posix_spawn_file_actions_t actions_{};
};

/// A session of its own and signals as if nobody had touched them: ours are blocked or ignored.
class spawn_attributes {
public:
  spawn_attributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  spawn_attributes(const spawn_attributes&) = delete;
  spawn_attributes& operator=(const spawn_attributes&) = delete;
  ~spawn_attributes() { posix_spawnattr_destroy(&attributes_); }

  const posix_spawnattr_t* get() const { return &attributes_; }

private:
  posix_spawnattr_t attributes_{};
};

std::vector<std::string> child_environment(const program& p) {
  auto replaced = [&](std::string_view name) {
    return std::ranges::find(p.unset, name) != p.unset.end()
           || std::ranges::any_of(p.environment, [&](auto& set) { return set.first == name; });
  };
  std::vector<std::string> result;
  for (auto entry = p.clean ? nullptr : environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view line = *entry;
    if (!replaced(line.substr(0, line.find('='))))
      result.emplace_back(line);
  }
  for (const auto& [name, value] : p.environment)
    result.push_back(fmt::format("{}={}", name, value));
  return result;
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (const auto& word : words)
    result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

/// Numbers for the inherited descriptors that none of those to be copied has yet.
int first_free_number(const program& p, const std::array<int, 3>& streams) {
  auto highest = std::max(99, std::ranges::max(streams));
  for (auto number : p.inherit)
    highest = std::max(highest, number);
  return highest + 1;
}

pid_t start(const program& p, const std::array<int, 3>& streams) {
  file_actions actions{p};
  auto number = first_free_number(p, streams);
  for (auto inherited : p.inherit)
    actions.put(inherited, number++);
  for (int i = 0; i < 3; ++i)
    actions.put(streams.at(static_cast<std::size_t>(i)), i);
  if (!p.directory.empty())
    actions.enter(p.directory);
  auto environment = child_environment(p);
  pid_t child = -1;
  auto error = posix_spawnp(&child, p.argv.at(0).c_str(), actions.get(), spawn_attributes{}.get(),
                            pointers_to(p.argv).data(), pointers_to(environment).data());
  if (error != 0)
    cannot_run(p, error);
  return child;
}

/// Becomes readable when the process ends; closed where the kernel cannot do that.
descriptor watch_end_of(pid_t process) {
  // The function of glibc 2.36 cannot be called from C++: its header lacks extern "C".
  return descriptor{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))};
}

/// A child from its start until it is reaped and its pipes are read.
class running_child {
public:
  running_child(const program& p, pid_t child, descriptor out, descriptor err)
    : program_{p}, child_{child}, ended_{watch_end_of(child)}, out_{std::move(out)}, err_{std::move(
                                                                                       err)},
      deadline_{steady::now() + std::min<std::chrono::milliseconds>(p.timeout, most_patience)} {}

  outcome finish() {
    while (!reaped_ || ((out_.open() || err_.open()) && steady::now() < deadline_)) {
      wait_for_news();
      read_some(out_, result_.out);
      read_some(err_, result_.err);
      if (!reaped_)
        reap();
      auto unwanted = !reaped_ && !result_.timed_out && program_.given_up && program_.given_up();
      if (!reaped_ && !result_.timed_out && (unwanted || steady::now() >= deadline_))
        give_up();
      kill_in_time();
    }
    write_end();
    return std::move(result_);
  }

private:
  static constexpr std::chrono::hours most_patience{24 * 365};
  static constexpr std::chrono::milliseconds between_questions{200};

  void wait_for_news() {
    std::array<pollfd, 3> watched{
      {{ended_.number(), POLLIN, 0}, {out_.number(), POLLIN, 0}, {err_.number(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), static_cast<int>(patience().count()));
  }

  std::chrono::milliseconds patience() const {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady::now());
    if (program_.given_up)
      left = std::min<std::chrono::milliseconds>(left, between_questions);
    if (!reaped_ && (result_.timed_out || !ended_.open()))
      return glance;
    return std::clamp<std::chrono::milliseconds>(left, {}, std::chrono::hours{1});
  }

  void read_some(descriptor& from, std::string& to) {
    std::array<char, 65536> buffer;
    auto count = from.open() ? ::read(from.number(), buffer.data(), buffer.size()) : 0;
    if (count > 0 && program_.log >= 0)
      write_down({buffer.data(), static_cast<std::size_t>(count)});
    else if (count > 0)
      to.append(buffer.data(),
                std::min(static_cast<std::size_t>(count), program_.most_output - to.size()));
    else if (count == 0 || (errno != EINTR && errno != EAGAIN))
      from.close();
  }

  void write_down(std::string_view bytes) {
    auto room = program_.most_output - logged_;
    write_all(program_.log, bytes.substr(0, room)); // what a full disk does not take is lost
    logged_ += std::min(room, bytes.size());
    if (bytes.size() <= room)
      return;
    left_out_ += bytes.size() - room;
    end_ += bytes.substr(room);
    if (end_.size() > 2 * kept_end)
      end_.erase(0, end_.size() - kept_end);
  }

  void write_end() {
    if (left_out_ == 0)
      return;
    auto end = std::string_view{end_}.substr(end_.size() - std::min(end_.size(), kept_end));
    if (left_out_ > end.size())
      write_all(program_.log,
                fmt::format("\n[... {} bytes are left out here ...]\n", left_out_ - end.size()));
    write_all(program_.log, end);
  }

  void reap() {
    int status = 0;
    auto got = ::waitpid(child_, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
      return;
    if (got == child_ && WIFEXITED(status))
      result_.exit_code = WEXITSTATUS(status);
    if (got == child_ && WIFSIGNALED(status))
      result_.signal = WTERMSIG(status);
    reaped_ = true;
    ended_.close();
    deadline_ = steady::now() + linger;
  }

  void give_up() {
    result_.timed_out = true;
    if (program_.grace.count() > 0)
      ::kill(child_, SIGTERM);
    kill_at_ = steady::now() + program_.grace;
  }

  void kill_in_time() {
    if (!reaped_ && result_.timed_out && steady::now() >= kill_at_)
      ::kill(-child_, SIGKILL);
  }

  const program& program_;
  pid_t child_;
  descriptor ended_;
  descriptor out_;
  descriptor err_;
  steady::time_point deadline_;
  outcome result_{};
  std::size_t logged_ = 0;
  std::size_t left_out_ = 0;
  std::string end_;
  steady::time_point kill_at_{};
  bool reaped_ = false;
};

} // namespace

outcome run(const program& p) {
  auto in = make_input(p);
  auto out = make_channel(p);
  auto err = make_channel(p);
  // One pipe for both keeps their order.
  auto errors_to = p.log >= 0 ? out.theirs.number() : err.theirs.number();
  auto child = start(p, {in.number(), out.theirs.number(), errors_to});
  out.theirs.close();
  err.theirs.close();
  return running_child{p, child, std::move(out.ours), std::move(err.ours)}.finish();
}

struct dialogue::parts {
  program asked;
  pid_t child = -1;
  descriptor in;
  descriptor out;
  descriptor err;
  std::string said{};
  std::optional<outcome> ended{};

  /// Waits for what it says; false if there is nothing more.
  bool hear(steady::time_point end) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady::now());
    pollfd watched{out.number(), POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) <= 0)
      return false;
    std::array<char, 4'096> buffer;
    auto count = ::read(out.number(), buffer.data(), buffer.size());
    if (count > 0)
      said.append(buffer.data(), static_cast<std::size_t>(count));
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
  }
};

dialogue::dialogue(const program& p) : parts_{std::make_unique<parts>(parts{p, -1, {}, {}, {}})} {
  std::array<int, 2> ends{-1, -1};
  // A socket, as writing to one that is closed need not raise a signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    cannot_run(p, errno);
  parts_->in = descriptor{ends[0]};
  auto in = fresh(p, ends[1]);
  auto out = make_channel(p);
  auto err = make_channel(p);
  parts_->child = start(p, {in.number(), out.theirs.number(), err.theirs.number()});
  parts_->out = std::move(out.ours);
  parts_->err = std::move(err.ours);
}

dialogue::~dialogue() {
  end();
}

std::optional<std::string> dialogue::ask(const std::string& line) {
  auto text = line + "\n";
  auto& all = *parts_;
  if (::send(all.in.number(), text.data(), text.size(), MSG_NOSIGNAL)
      != static_cast<ssize_t>(text.size()))
    return {};
  auto end = steady::now() + all.asked.timeout;
  while (all.said.find('\n') == std::string::npos)
    if (!all.hear(end))
      return {};
  auto length = all.said.find('\n');
  auto answer = all.said.substr(0, length);
  all.said.erase(0, length + 1);
  return answer;
}

pid_t dialogue::id() const {
  return parts_->child;
}

outcome dialogue::end() {
  if (!parts_->ended) {
    parts_->in.close();
    parts_->ended =
      running_child{parts_->asked, parts_->child, std::move(parts_->out), std::move(parts_->err)}
        .finish();
  }
  return *parts_->ended;
}

std::optional<std::filesystem::path> find_program(std::string_view name) {
  auto runs = [](const std::filesystem::path& candidate) {
    std::error_code ignored;
    return ::access(candidate.c_str(), X_OK) == 0
           && !std::filesystem::is_directory(candidate, ignored);
  };
  if (name.find('/') != name.npos)
    return runs(name) ? std::optional{std::filesystem::path{name}} : std::nullopt;
  auto path = std::getenv("PATH");
  std::string_view rest = path ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    auto end = std::min(rest.find(':'), rest.size());
    auto candidate = std::filesystem::path{rest.substr(0, end)} / name;
    if (runs(candidate))
      return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

} // namespace orch
