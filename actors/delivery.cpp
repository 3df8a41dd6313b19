#include "actors/delivery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

constexpr int most_attempts = 3;
const std::string silent_program = "this program does not say what it reads";

constexpr int64_t second_us = 1'000'000;

/// Submitted and still where one types: Enter was not taken.
constexpr int64_t enter_again_after_us = 2 * second_us;

/// Submitted, idle, and never seen: it is lost.
constexpr int64_t type_again_after_us = 10 * second_us;

constexpr std::chrono::seconds interrupt_again_after{5};

/// A CLI that has just drawn its paste takes Enter for part of it otherwise.
constexpr std::chrono::milliseconds before_enter{30};

/// Where hooks cut long messages.
constexpr std::size_t longest_seen = 60'000;

std::string without_blanks(std::string_view text) {
  std::string out;
  for (auto c : text)
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
      out += c;
  return out;
}

int64_t count_prompts(const agent_evidence& seen, const std::string& words) {
  return std::count_if(seen.transcript.prompts.begin(), seen.transcript.prompts.end(),
                       [&](const std::string& prompt) { return holds_words(prompt, words); });
}

bool was_seen(const seen_thread& seen, const directive& what, const followed_thread& memory) {
  auto words = typed_words(what, reports(seen.row));
  for (const auto& event : seen.evidence.events)
    if (event.event == "UserPromptSubmit" && event.at_us >= what.updated_at.us - second_us
        && (what.mode == "restart" || holds_words(event.message, words)))
      return true;
  return what.mode != "restart" && memory.prompts_before
         && count_prompts(seen.evidence, words) > *memory.prompts_before;
}

/// By its provider, or because it has said something already.
bool says_what_it_reads(const seen_thread& seen) {
  return reports(seen.row) || !seen.evidence.events.empty();
}

/// What stands where one types. Nothing: that place cannot be seen; a dialog or a pager is there.
std::optional<std::string> typed_so_far(effects& fx, const seen_thread& seen) {
  auto rules = screen_rules::load(fx.around.state_dir, seen.row.thread.provider);
  if (!rules.knows_composer() || !reports(seen.row))
    return "";
  return rules.typed_text(
    fx.agents().terminal.capture(seen.evidence.pane->id, {50, /*escapes=*/true}));
}

bool is_ours(const std::string& typed, const directive& what) {
  // Long pastes are shown as a note about them.
  return !without_blanks(typed).empty()
         && (holds_words(typed_words(what), typed) || typed.find("[Pasted") != std::string::npos);
}

void note(effects& fx, const directive& what, const std::string& state,
          const std::optional<std::string>& why = {}) {
  fx.store([&](tx& t) { note_delivery(t, what.id, state, why); });
}

void note_submitted(effects& fx, const seen_thread& seen, const directive& what) {
  note(fx, what, "submitted",
       says_what_it_reads(seen) ? std::nullopt : std::optional{silent_program});
}

/// Why the program in that pane cannot get all of these words.
std::optional<std::string> too_long(const pane_info& pane, const std::string& words) {
  auto most = longest_line(pane);
  if (!most)
    return {};
  for (std::size_t from = 0; from < words.size();) {
    auto to = std::min(words.find('\n', from), words.size());
    if (to - from > *most)
      return fmt::format("a line of it has {} bytes, and the program reads lines through its "
                         "terminal, which keeps {} of them; send shorter lines, or a file's name",
                         to - from, *most);
    from = to + 1;
  }
  return {};
}

void type_words(effects& fx, const seen_thread& seen, const std::string& words) {
  const auto& terminal = fx.agents().terminal;
  const auto& pane = seen.evidence.pane->id;
  if (seen.evidence.pane->in_mode)
    terminal.leave_copy_mode(pane);
  if (!reports(seen.row)) {
    terminal.type_text(pane, words, /*then_enter=*/true);
    return;
  }
  terminal.type_text(pane, words);
  std::this_thread::sleep_for(before_enter);
  terminal.press(pane, "Enter");
}

void type(effects& fx, const seen_thread& seen, const directive& what, followed_thread& memory) {
  memory.enters_again = 0;
  auto words = typed_words(what, reports(seen.row));
  memory.prompts_before = count_prompts(seen.evidence, words);
  if (auto why = reports(seen.row) ? std::nullopt : too_long(*seen.evidence.pane, words)) {
    note(fx, what, "failed", *why);
    return;
  }
  if (!fx.store([&](tx& t) { return begin_typing(t, what.id); }))
    return;
  try {
    type_words(fx, seen, words);
  } catch (const request_error& e) {
    // Nothing was typed into a pane that takes no input. Else: a CLI shows whether it got it.
    if (e.code == errc::failed_precondition)
      fx.store([&](tx& t) { put_back(t, what.id); });
    else if (!says_what_it_reads(seen))
      note(fx, what, "failed", fmt::format("nobody can tell whether it was typed: {}", e.what()));
    else
      throw;
    return;
  }
  note_submitted(fx, seen, what);
}

void interrupt_first(effects& fx, const seen_thread& seen, const directive& what,
                     followed_thread& memory) {
  auto again = memory.interrupted_for == what.id
               && steady::now() - memory.interrupted_at < interrupt_again_after;
  if (again)
    return;
  memory.interrupted_for = what.id;
  memory.interrupted_at = steady::now();
  press_interrupt(fx, seen.row);
}

void begin(effects& fx, const seen_thread& seen, const directive& what, followed_thread& memory) {
  const auto& status = seen.judgement.provider_status;
  // Of a program that never tells anything there is nothing to wait for.
  if (!says_what_it_reads(seen) && status == "unknown") {
    type(fx, seen, what, memory);
    return;
  }
  auto busy = status == "processing" || status == "waiting_user_answer";
  if (busy && what.mode == "interrupt_patch")
    interrupt_first(fx, seen, what, memory);
  if (status != "idle" && status != "error")
    return;
  auto typed = typed_so_far(fx, seen);
  if (!typed || !without_blanks(*typed).empty())
    return;
  type(fx, seen, what, memory);
}

/// What was typed has not been seen yet.
void insist(effects& fx, const seen_thread& seen, const directive& what, followed_thread& memory) {
  auto waited = fx.around.now().us - what.updated_at.us;
  const auto& status = seen.judgement.provider_status;
  if (!says_what_it_reads(seen) && status == "unknown" && waited > enter_again_after_us) {
    // Whoever typed it died before it could say how far it came; nobody will ever tell.
    note(fx, what, "submitted", silent_program);
    return;
  }
  auto ready = status == "idle" || status == "error";
  if (!ready || waited < enter_again_after_us)
    return;
  auto typed = what.mode == "restart" ? std::optional<std::string>{} : typed_so_far(fx, seen);
  if (typed && is_ours(*typed, what) && memory.enters_again < most_attempts) {
    ++memory.enters_again;
    fx.agents().terminal.press(seen.evidence.pane->id, "Enter");
    return;
  }
  if (typed && !without_blanks(*typed).empty())
    return; // somebody types
  if (waited < type_again_after_us)
    return;
  if (what.attempts >= most_attempts || what.mode == "restart")
    note(fx, what, "failed",
         fmt::format("typed {} times, but the agent never showed that it took it", what.attempts));
  else
    type(fx, seen, what, memory);
}

} // namespace

std::string typed_words(const directive& what, bool for_cli) {
  auto words = typeable(what.text);
  while (!words.empty() && words.back() == '\n')
    words.pop_back();
  if (!for_cli)
    return words;
  // Before Enter it would mean: go on in the next line.
  if (words.ends_with('\\'))
    words += ' ';
  auto first = words.find_first_not_of(" \t\n");
  if (first != words.npos && std::string_view{"/!@#?"}.find(words[first]) != std::string_view::npos)
    words = fmt::format("[directive {}] {}", what.id, words);
  return words;
}

bool holds_words(std::string_view prompt, std::string_view words) {
  return without_blanks(prompt).find(without_blanks(words.substr(0, longest_seen)))
         != std::string::npos;
}

namespace {

/// Launches the agent anew with the words. True if they went with it.
void restart_with(effects& fx, const directive& what) {
  if (!fx.store([&](tx& t) { return begin_typing(t, what.id); }))
    return;
  try {
    auto row = relaunch(fx, what.thread_id, typed_words(what));
    if (row.has_first_prompt)
      note(fx, what, "submitted");
    else // its command line takes no prompt: it is typed like any other
      fx.store([&](tx& t) { queue_again(t, what.id); });
  } catch (const request_error& e) {
    note(fx, what, "failed", e.what());
  }
}

} // namespace

bool deliver(effects& fx, const directive& what, followed_thread& memory) {
  pane_turn turn{fx, what.thread_id};
  // What was seen before we had the turn may be of an agent that is no more.
  auto seen = look_at_thread(fx, what.thread_id);
  if (seen.row.being_launched)
    return false;
  auto exited = seen.judgement.provider_status == "exited";
  // Whoever was at it may have died between ending the agent and launching it again.
  auto cut_short = what.state == "typed" && exited && what.attempts < most_attempts;
  if (what.mode == "restart" && (what.state == "stored" || cut_short)) {
    restart_with(fx, what);
  } else if (exited) {
    note(fx, what, "failed", "the agent has ended: " + seen.judgement.evidence.front());
  } else if (!seen.evidence.pane || seen.evidence.pane->dead) {
    return false;
  } else if (what.state == "stored") {
    begin(fx, seen, what, memory);
    return !says_what_it_reads(seen);
  } else if (was_seen(seen, what, memory)) {
    note(fx, what, "seen");
  } else {
    insist(fx, seen, what, memory);
  }
  return false;
}

} // namespace orch
