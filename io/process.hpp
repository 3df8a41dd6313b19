#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

/// A program to run to its end. Nothing of it ever passes through a shell.
struct program {
  std::vector<std::string> argv; ///< argv[0] is looked up in PATH
  std::filesystem::path directory;
  std::vector<std::pair<std::string, std::string>> environment{}; ///< set on top of ours
  std::vector<std::string> unset{};                               ///< names taken out of ours
  std::string input{};
  std::chrono::milliseconds timeout{120'000};
  std::size_t most_output = 64U << 20; ///< bytes kept of each stream; the rest is read and dropped
  std::vector<int> inherit{};          ///< descriptors the child keeps open, under any number
  bool clean = false;                  ///< nothing of our environment but what is set above
  /// Both streams go there instead of being kept: `most_output` bytes, and of what is beyond that
  /// the end. -1: they are kept.
  int log = -1;
  /// Before it is killed it gets SIGTERM and so much time to end what it has started.
  std::chrono::milliseconds grace{0};
  /// Asked now and then: is nobody interested any more? Then it ends as at the time-out.
  std::function<bool()> given_up{};
};

/// How a program ended.
struct outcome {
  int exit_code = -1; ///< -1 if a signal ended it
  int signal = 0;
  bool timed_out = false; ///< it and its process group were killed for it
  std::string out{};
  std::string err{};

  bool ok() const { return exit_code == 0; }
};

/// Runs it and waits; the child leads a session of its own, so that what kills our group spares it.
/// Throws `request_error` (unavailable) if it cannot be started. Safe in any thread.
outcome run(const program& p);

/// A program that is asked one line after the other. It ends when this goes: its input is closed,
/// and it is killed if it takes longer than its time-out. For one thread.
class dialogue {
public:
  /// Throws `request_error` (unavailable) if it cannot be started. Of `p`, `input`, `log`, `grace`
  /// and `given_up` mean nothing here.
  explicit dialogue(const program& p);
  ~dialogue();
  dialogue(const dialogue&) = delete;
  dialogue& operator=(const dialogue&) = delete;

  /// Sends a line and returns the next one that it says, without its end; nothing if it has ended
  /// or says nothing within the time-out.
  std::optional<std::string> ask(const std::string& line);

  pid_t id() const;

  /// Closes its input and waits for its end; what it has said on stderr is in the outcome.
  outcome end();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// The program that `name` means: a path, or looked up in PATH as `run` does. Nothing if it is not
/// there or cannot be run.
std::optional<std::filesystem::path> find_program(std::string_view name);

} // namespace orch
