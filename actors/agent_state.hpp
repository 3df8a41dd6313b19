#pragma once

#include "actors/effects.hpp"
#include "io/provider.hpp"
#include "io/screen_rules.hpp"
#include "storage/threads.hpp"

namespace orch {

/// Everything that tells what an incarnation of a thread is at.
struct agent_evidence {
  bool being_launched = false;
  bool hidden = false;           ///< it lives, but in a pane that our tmux does not show
  bool ended_before = false;     ///< the thread is over: completed, failed or stopped
  bool awaits_prompt = false;    ///< launched with a prompt a moment ago that it has not taken yet
  std::optional<pane_info> pane; ///< its own; nothing if that is gone
  std::vector<agent_event> events;
  transcript_facts transcript;
  std::optional<turn_fact> process; ///< what the CLI writes down about its process
  std::string screen;
};

/// What the evidence comes to.
struct agent_judgement {
  std::string provider_status;
  std::string thread_status;
  std::vector<std::string> evidence; ///< what it was judged by, best first
  std::optional<std::string> last_response;
  std::optional<int64_t> exit_code;
};

/// From evidence to state. Whether the process lives is beyond doubt. Else the newest word of
/// hooks, transcript and status file counts. Title and screen only speak where those are silent,
/// and when they show that a person is asked, which not every CLI tells by other means. What nobody
/// tells is unknown, never idle.
agent_judgement judge(const provider& by, const screen_rules& rules, const agent_evidence& seen,
                      const std::string& thread_status);

/// A screen without runs of blank lines: of several one is left, of the first ones none.
std::string condensed(const std::string& screen);

/// Does it say by itself what it does and reads? Only what a provider has launched surely does.
bool reports(const thread_row& row);

/// Was an agent of this thread ever seen to run?
bool was_launched(const thread_row& row);

/// Is that pane the one that the thread was launched in, and not a later one of the same number?
bool is_pane_of(const thread_row& of, const pane_info& pane);

/// Is that process, which lives, the program of the thread or something it has started? Known by
/// its environment.
bool is_process_of(const thread_row& of, int64_t pid);

/// The pane of a thread; nothing if it is gone, or tmux is.
std::optional<pane_info> find_pane(const agent_host& host, const thread_row& of);

/// Looks at all there is. `lines`: of the screen.
agent_evidence gather_evidence(effects& fx, const thread_row& of, int lines);

/// A thread as it was seen just now; the row was brought up to date.
struct seen_thread {
  thread_row row;
  agent_evidence evidence;
  agent_judgement judgement;
};

/// Looks at a thread (not_found) and notes what was seen. `lines`: of the screen; if not said, what
/// the rules for screens need, if there are any.
seen_thread look_at_thread(effects& fx, int64_t thread_id, const std::optional<int>& lines = {});

} // namespace orch
