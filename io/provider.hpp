#pragma once

#include "io/agent_events.hpp"
#include "io/tmux.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

/// What an agent is at, as one source tells it.
enum class agent_turn : uint8_t {
  starting,    ///< it runs, but is not ready yet
  idle,        ///< it waits for something to do
  working,     ///< a turn is going on
  waiting,     ///< it asks a person: an approval, a question, a dialog
  interrupted, ///< its turn was cut short; it waits
  failed,      ///< its turn ended in an error; it waits
  ended        ///< the CLI has ended
};

/// What one source says of the present, and when that was.
struct turn_fact {
  agent_turn what = agent_turn::starting;
  int64_t at_us = 0; ///< microseconds since 1970 UTC; 0: now
  std::string words; ///< for people: "hook Stop"
};

/// What a transcript tells.
struct transcript_facts {
  std::optional<turn_fact> turn;
  std::string last_response;
  std::vector<std::string> prompts; ///< what the agent was told, oldest first
};

/// What an agent is to be launched with.
struct agent_launch {
  int64_t thread_id = 0;
  int64_t session_id = 0;
  int64_t incarnation = 0;
  std::string role;
  std::filesystem::path repo_root;
  std::filesystem::path directory;    ///< the worktree it works in
  std::filesystem::path files;        ///< a directory of the incarnation's own; exists
  std::filesystem::path program;      ///< this program
  std::vector<std::string> command;   ///< the CLI and its first arguments
  std::string prompt;                 ///< the first one; empty: none
  std::filesystem::path assignment{}; ///< a file that holds it; empty: none
  std::optional<std::string> resumes; ///< a conversation of the CLI, by the CLI's id
};

/// How a launch goes: files to be written first, then the command of the pane.
struct launch_plan {
  std::vector<std::pair<std::filesystem::path, std::string>> files;
  pane_command command;
  bool prompt_is_typed = false; ///< the command does not carry the prompt
};

/// One kind of agent CLI: how it is launched, what its signals mean, how it is talked to.
class provider {
public:
  virtual ~provider() = default;

  virtual std::string_view name() const = 0;

  /// The CLI's program, and how a person gets it.
  virtual std::string default_command() const = 0;
  virtual std::string instructions() const = 0;

  virtual launch_plan plan(const agent_launch& launch) const = 0;

  /// Does it say by itself what it does and reads? Else deliveries cannot be confirmed.
  virtual bool reports() const = 0;

  /// What an event says of the present; nothing if it says nothing.
  virtual std::optional<turn_fact> turn_of(const agent_event& event) const;

  /// Reads one line of the CLI's own transcript into the facts.
  virtual void read_transcript(const nlohmann::json& line, transcript_facts& facts) const;

  /// What the CLI writes down about its process; nothing if it writes nothing.
  virtual std::optional<turn_fact> turn_of_process(int64_t /*pid*/) const { return {}; }

  /// Does the interrupt key put the prompt back where one types, if the turn had hardly begun?
  virtual bool escape_returns_prompt() const { return false; }

  /// The keys that cut a turn short.
  virtual std::string interrupt_key() const { return "Escape"; }

  /// What makes it end by itself: typed and submitted at its prompt; empty: it is killed.
  virtual std::string quit_command() const { return {}; }
};

/// By its name, one of `provider_names`.
const provider& find_provider(std::string_view name);

const provider& codex_provider();
const provider& claude_provider();
const provider& command_provider();

/// The tools that an agent in a role is given: a name of `tool_profiles()`.
std::string_view profile_for_role(std::string_view role);

/// The variables that every agent gets: ORCH_THREAD, ORCH_SESSION, ORCH_INCARNATION, ORCH_REPO,
/// ORCH_EVENT_LOG; and ORCH_ASSIGNMENT where its task is in a file.
std::vector<std::pair<std::string, std::string>> agent_environment(const agent_launch& launch);

/// The event log of an incarnation.
std::filesystem::path event_log_of(const agent_launch& launch);

} // namespace orch
