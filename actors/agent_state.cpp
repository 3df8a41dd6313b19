#include "actors/agent_state.hpp"

#include "io/process_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace orch {

namespace {

/// Of a transcript; turns are short compared to it.
constexpr std::size_t most_of_transcript = 2U << 20;

/// Of the screen: what the rules are about is at its end.
constexpr int lines_for_rules = 50;

/// A CLI takes the prompt of its command line within this time, or its hooks don't work.
constexpr int64_t longest_start_seconds = 60;

std::string provider_word(agent_turn what) {
  switch (what) {
  case agent_turn::idle:
  case agent_turn::interrupted:
    return "idle";
  case agent_turn::working:
    return "processing";
  case agent_turn::waiting:
    return "waiting_user_answer";
  case agent_turn::failed:
    return "error";
  case agent_turn::starting:
  case agent_turn::ended: // it says that it ends, but its process lives: we shall see
    return "unknown";
  }
  return "unknown";
}

std::string thread_word(agent_turn what, const std::string& before) {
  switch (what) {
  case agent_turn::idle:
    return "idle";
  case agent_turn::working:
    return "running";
  case agent_turn::waiting:
    return "waiting_user_answer";
  case agent_turn::interrupted:
  case agent_turn::failed: // the turn failed; the agent is there and can be told to go on
    return "interrupted";
  case agent_turn::starting:
  case agent_turn::ended:
    return before;
  }
  return before;
}

agent_judgement judge_ended(const agent_evidence& seen, const std::string& thread_status) {
  agent_judgement made;
  made.provider_status = "exited";
  made.thread_status = thread_status;
  if (!seen.pane) {
    made.evidence.emplace_back("process: its pane is gone");
    if (is_live(thread_status))
      made.thread_status = "failed";
    return made;
  }
  const auto& pane = *seen.pane;
  made.exit_code = pane.dead_status;
  auto how = pane.dead_status            ? fmt::format("with status {}", *pane.dead_status)
             : !pane.dead_signal.empty() ? fmt::format("by signal {}", pane.dead_signal)
                                         : std::string{"in a way that tmux does not tell"};
  made.evidence.push_back(fmt::format("process: {} ended {}", pane.pid, how));
  if (is_live(thread_status))
    made.thread_status = pane.dead_status == 0 ? "completed" : "failed";
  return made;
}

/// The newest of several facts; of equally new ones the first.
const turn_fact* newest(const std::vector<const turn_fact*>& facts) {
  const turn_fact* found = nullptr;
  for (const auto* fact : facts)
    if (!found || fact->at_us > found->at_us)
      found = fact;
  return found;
}

void add(std::vector<const turn_fact*>& to, const std::optional<turn_fact>& fact) {
  if (fact)
    to.push_back(&*fact);
}

std::optional<turn_fact> last_turn(const provider& by, const std::vector<agent_event>& events) {
  for (auto event = events.rbegin(); event != events.rend(); ++event)
    if (auto fact = by.turn_of(*event))
      return fact;
  return {};
}

std::optional<std::string> last_words(const agent_evidence& seen) {
  for (auto event = seen.events.rbegin(); event != seen.events.rend(); ++event)
    if ((event->event == "Stop" || event->event == "StopFailure") && !event->message.empty())
      return event->message;
  if (!seen.transcript.last_response.empty())
    return seen.transcript.last_response;
  return {};
}

/// Who contradicts: what can be seen now counts more than what was said last, where it can only be
/// seen.
std::optional<turn_fact> correction(const turn_fact& said, const std::optional<turn_fact>& shown) {
  if (!shown)
    return {};
  auto asks = shown->what == agent_turn::waiting
              && (said.what == agent_turn::working || said.what == agent_turn::idle);
  // An approval that was given is reported when the tool has ended.
  auto goes_on = said.what == agent_turn::waiting && shown->what == agent_turn::working;
  if (asks || goes_on)
    return shown;
  return {};
}

} // namespace

agent_judgement judge(const provider& by, const screen_rules& rules, const agent_evidence& seen,
                      const std::string& thread_status) {
  if (seen.being_launched) {
    return {"unknown", thread_status, {"it is being launched"}, {}, {}};
  }
  if (seen.hidden)
    return {"unknown",
            thread_status,
            {"process: it runs, but this tmux does not show its pane"},
            last_words(seen),
            {}};
  if (!seen.pane || seen.pane->dead) {
    auto made = judge_ended(seen, thread_status);
    made.last_response = last_words(seen);
    return made;
  }
  auto hooks = last_turn(by, seen.events);
  auto shown = rules.judge({seen.pane->title, seen.screen});
  std::vector<const turn_fact*> sources;
  add(sources, hooks);
  add(sources, seen.transcript.turn);
  add(sources, seen.process);
  const auto* said = newest(sources);
  add(sources, shown);
  agent_judgement made;
  made.last_response = last_words(seen);
  auto state =
    said ? *said
    : shown
      ? *shown
      : turn_fact{agent_turn::starting, 0,
                  fmt::format("process: {} runs; nothing tells what it does", seen.pane->pid)};
  if (said)
    if (auto better = correction(*said, shown))
      state = *better;
  // An idle that merely follows an interrupt says less than the interrupt.
  if (state.what == agent_turn::idle && seen.process && said == &*seen.process) {
    std::vector<const turn_fact*> told;
    add(told, hooks);
    add(told, seen.transcript.turn);
    const auto* before = newest(told);
    if (before && (before->what == agent_turn::interrupted || before->what == agent_turn::failed))
      state = *before;
  }
  // Ready, but not for us: what it was launched with comes first.
  auto works = (seen.transcript.turn && seen.transcript.turn->what == agent_turn::working)
               || (shown && shown->what == agent_turn::working);
  if (seen.awaits_prompt && state.what == agent_turn::idle && works)
    state.what = agent_turn::working;
  else if (seen.awaits_prompt && state.what == agent_turn::idle)
    state = {agent_turn::starting, state.at_us, state.words + ", its first prompt is on its way"};
  made.provider_status = provider_word(state.what);
  made.thread_status = seen.ended_before ? thread_status : thread_word(state.what, thread_status);
  made.evidence.push_back(state.words);
  for (const auto* other : sources)
    if (std::find(made.evidence.begin(), made.evidence.end(), other->words) == made.evidence.end())
      made.evidence.push_back(other->words);
  return made;
}

bool reports(const thread_row& row) {
  return find_provider(row.thread.provider).reports() && row.launch.launch_codex
         && !row.launch.launch_command;
}

bool was_launched(const thread_row& row) {
  return row.pane || row.thread.launch_command;
}

std::string condensed(const std::string& screen) {
  std::string out;
  auto blank = false;
  std::istringstream in{screen};
  for (std::string line; std::getline(in, line);) {
    auto empty = line.find_first_not_of(' ') == std::string::npos;
    if (empty && (blank || out.empty()))
      continue;
    blank = empty;
    out += (empty ? std::string{} : line) + "\n";
  }
  return out;
}

bool is_pane_of(const thread_row& of, const pane_info& pane) {
  if (!of.pane || of.pane->id != pane.id)
    return false;
  return of.pane->tmux_server_pid == pane.server && of.pane->pid == pane.pid;
}

std::optional<pane_info> find_pane(const agent_host& host, const thread_row& of) {
  if (!of.pane)
    return {};
  auto found = host.terminal.pane(of.pane->id);
  if (found && is_pane_of(of, *found))
    return found;
  return {};
}

bool is_process_of(const thread_row& of, int64_t pid) {
  return of.thread.log_file_path
         && has_environment(static_cast<pid_t>(pid),
                            {fmt::format("ORCH_THREAD={}", of.thread.id),
                             fmt::format("ORCH_INCARNATION={}", of.thread.incarnation),
                             fmt::format("ORCH_EVENT_LOG={}", *of.thread.log_file_path)});
}

namespace {

/// A server may die between making a pane and writing that down. The agent in it knows who it is.
std::optional<pane_info> find_lost_pane(effects& fx, const thread_row& of) {
  auto lost =
    of.thread.status == "initializing" && !of.pane && !of.being_launched && of.thread.log_file_path;
  if (!lost)
    return {};
  for (const auto& pane : fx.agents().terminal.list_panes())
    if (!pane.dead && is_process_of(of, pane.pid))
      return pane;
  return {};
}

} // namespace

agent_evidence gather_evidence(effects& fx, const thread_row& of, int lines) {
  agent_evidence seen;
  seen.being_launched = of.being_launched;
  seen.ended_before = !is_live(of.thread.status);
  seen.pane = find_pane(fx.agents(), of);
  // tmux may learn how a program ended a moment after it has.
  for (int i = 0; i < 10 && seen.pane && seen.pane->dead && !seen.pane->dead_status
                  && seen.pane->dead_signal.empty() && !seen.ended_before;
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    seen.pane = find_pane(fx.agents(), of);
  }
  seen.hidden = !seen.pane && of.pane && is_process_of(of, of.pane->pid);
  const auto& by = find_provider(of.thread.provider);
  if (of.thread.log_file_path)
    seen.events = read_agent_events(*of.thread.log_file_path);
  auto young = of.thread.started_at
               && fx.around.now() < plus_seconds(*of.thread.started_at, longest_start_seconds);
  seen.awaits_prompt = of.has_first_prompt && young && reports(of)
                       && std::none_of(seen.events.begin(), seen.events.end(), [](auto& event) {
                            return event.event == "UserPromptSubmit";
                          });
  auto transcript = of.transcript_path.value_or("");
  for (const auto& event : seen.events)
    if (!event.transcript_path.empty())
      transcript = event.transcript_path;
  if (!transcript.empty()) {
    auto text = read_tail(transcript, most_of_transcript);
    for (std::size_t from = 0; from < text.size();) {
      auto to = std::min(text.find('\n', from), text.size());
      auto line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(from),
                              text.begin() + static_cast<std::ptrdiff_t>(to), nullptr, false);
      from = to + 1;
      try {
        if (line.is_object())
          by.read_transcript(line, seen.transcript);
      } catch (const json::exception&) {
        // A line of a form that we don't know says nothing.
      }
    }
    // What an earlier incarnation left in it says nothing of this one.
    if (of.thread.started_at && seen.transcript.turn
        && seen.transcript.turn->at_us < of.thread.started_at->us)
      seen.transcript.turn.reset();
  }
  if (seen.pane && !seen.pane->dead) {
    seen.process = by.turn_of_process(seen.pane->pid);
    if (seen.process && of.thread.started_at && seen.process->at_us < of.thread.started_at->us)
      seen.process.reset();
  }
  if (seen.pane && lines > 0) {
    try {
      seen.screen = condensed(fx.agents().terminal.capture(seen.pane->id, {lines}));
    } catch (const request_error&) {
      // Gone a moment ago; the next look tells.
    }
  }
  return seen;
}

seen_thread look_at_thread(effects& fx, int64_t thread_id, const std::optional<int>& lines) {
  seen_thread seen;
  seen.row = fx.store([=](tx& t) { return get_thread(t, thread_id); });
  if (auto pane = find_lost_pane(fx, seen.row))
    seen.row = fx.store([&](tx& t) {
      return note_launched(t, thread_id, seen.row.thread.incarnation,
                           {pane->id, pane->pid, pane->server}, pane->session, pane->window);
    });
  auto& thread = seen.row.thread;
  auto rules = screen_rules::load(fx.around.state_dir, thread.provider);
  auto needed = rules.read_screens() ? lines_for_rules : 0;
  seen.evidence = gather_evidence(fx, seen.row, lines.value_or(needed));
  seen.judgement = judge(find_provider(thread.provider), rules, seen.evidence, thread.status);
  thread_sighting sighting{thread.id, thread.incarnation, seen.judgement.thread_status, {}, {}, {}};
  for (const auto& event : seen.evidence.events) {
    if (!event.session_id.empty())
      sighting.agent_session_id = event.session_id;
    if (!event.transcript_path.empty())
      sighting.transcript_path = event.transcript_path;
  }
  if (!is_live(sighting.status) && !seen.judgement.evidence.empty())
    sighting.error_message =
      sighting.status == "failed" ? std::optional{seen.judgement.evidence.front()} : std::nullopt;
  auto news = sighting.status != thread.status
              || (sighting.agent_session_id && sighting.agent_session_id != thread.agent_session_id)
              || (sighting.transcript_path && sighting.transcript_path != seen.row.transcript_path);
  if (news && !seen.row.being_launched) {
    // Who asks is told what is seen even if the disk has no room for it.
    thread.status = sighting.status;
    fx.store_if_possible([&](tx& t) {
      note_sighting(t, sighting);
      seen.row = get_thread(t, thread_id);
    });
  }
  return seen;
}

} // namespace orch
