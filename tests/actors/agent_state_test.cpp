#include "actors/agent_state.hpp"
#include "recorded.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

constexpr int64_t second = 1'000'000;

pane_info living(const std::string& title = "host") {
  pane_info pane;
  pane.id = "%1";
  pane.pid = 4711;
  pane.title = title;
  return pane;
}

pane_info dead(std::optional<int> status, const std::string& signal = {}) {
  auto pane = living("⠋ Working | frozen");
  pane.dead = true;
  pane.dead_status = status;
  pane.dead_signal = signal;
  return pane;
}

agent_event hook(int64_t at_us, const std::string& name, const std::string& message = {}) {
  agent_event made;
  made.at_us = at_us;
  made.event = name;
  made.message = message;
  return made;
}

agent_evidence seen_in(const pane_info& pane) {
  agent_evidence seen;
  seen.pane = pane;
  return seen;
}

agent_judgement judged(const std::string& provider, const agent_evidence& seen,
                       const std::string& thread_status = "running") {
  return judge(find_provider(provider), screen_rules::load("/nonexistent", provider), seen,
               thread_status);
}

turn_fact fact(agent_turn what, int64_t at_us, const std::string& words = "a source") {
  return {what, at_us, words};
}

bool holds(const std::vector<std::string>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const auto& line) { return line.find(text) != line.npos; });
}

} // namespace

TEST_CASE("judge: a program that has ended says how", "[agent_state]") {
  auto [status, signal, thread_status, words] =
    GENERATE(table<std::optional<int>, std::string, std::string, std::string>({
      {0, "", "completed", "status 0"},
      {3, "", "failed", "status 3"},
      {std::nullopt, "9", "failed", "signal 9"},
      {std::nullopt, "", "failed", "does not tell"},
    }));
  INFO(words);
  auto seen = seen_in(dead(status, signal));
  seen.events = {hook(1, "UserPromptSubmit")};
  seen.screen = "⠋ Working";
  auto made = judged("codex", seen);
  CHECK(made.provider_status == "exited");
  CHECK(made.thread_status == thread_status);
  CHECK(made.exit_code == (status ? std::optional<int64_t>{*status} : std::nullopt));
  REQUIRE_FALSE(made.evidence.empty());
  CHECK_THAT(made.evidence.front(), Catch::StartsWith("process: 4711") && Catch::Contains(words));
}

TEST_CASE("judge: a pane that is gone is an agent that is gone", "[agent_state]") {
  agent_evidence seen;
  seen.events = {hook(1, "Stop", "Done.")};
  auto made = judged("codex", seen, "idle");
  CHECK(made.provider_status == "exited");
  CHECK(made.thread_status == "failed");
  CHECK_FALSE(made.exit_code);
  CHECK(holds(made.evidence, "pane is gone"));
  CHECK(made.last_response == "Done.");
}

TEST_CASE("judge: how a thread ended stays as it was", "[agent_state]") {
  auto status = GENERATE(as<std::string>{}, "completed", "failed", "stopped", "planned");
  INFO(status);
  CHECK(judged("codex", {}, status).thread_status == status);
  CHECK(judged("codex", seen_in(dead(0)), status).thread_status == status);
  CHECK(judged("codex", seen_in(dead({}, "9")), status).thread_status == status);
  auto seen = seen_in(living("Ready | 1"));
  seen.ended_before = true;
  auto made = judged("codex", seen, status);
  CHECK(made.thread_status == status);
  CHECK(made.provider_status == "idle");
}

TEST_CASE("judge: what is being launched is unknown", "[agent_state]") {
  agent_evidence seen;
  seen.being_launched = true;
  auto made = judged("codex", seen, "initializing");
  CHECK(made.provider_status == "unknown");
  CHECK(made.thread_status == "initializing");
  CHECK_FALSE(made.evidence.empty());
}

TEST_CASE("judge: what nobody tells is unknown, never idle", "[agent_state]") {
  auto [provider, screen] = GENERATE(table<std::string, std::string>({
    {"codex", ""},
    {"codex", "  >_ OpenAI Codex\n› /quit\n  Waiting for startup\n"},
    {"claude_code", ""},
    {"command", "$ "},
    {"command", "❯ \n› "},
  }));
  INFO(provider << ": " << screen);
  auto seen = seen_in(living());
  seen.screen = screen;
  auto made = judged(provider, seen, "initializing");
  CHECK(made.provider_status == "unknown");
  CHECK(made.thread_status == "initializing");
  CHECK(holds(made.evidence, "4711"));
  CHECK_FALSE(made.last_response);
}

TEST_CASE("judge: every recorded screen alone", "[agent_state]") {
  auto [name, provider_status, thread_status] =
    GENERATE(table<std::string, std::string, std::string>({
      {"codex/idle", "idle", "idle"},
      {"codex/idle-fresh", "idle", "idle"},
      {"codex/working-streaming", "processing", "running"},
      {"codex/approval-command", "waiting_user_answer", "waiting_user_answer"},
      {"codex/trust", "waiting_user_answer", "waiting_user_answer"},
      {"codex/interrupted", "idle", "interrupted"},
      {"codex/error", "error", "interrupted"},
      {"codex/starting", "unknown", "initializing"},
      {"claude/idle", "idle", "idle"},
      {"claude/working", "processing", "running"},
      {"claude/question", "waiting_user_answer", "waiting_user_answer"},
      {"claude/error", "error", "interrupted"},
    }));
  INFO(name);
  auto slash = name.find('/');
  auto client = name.substr(0, slash);
  auto screen = recorded_screen(client + "/screen/" + name.substr(slash + 1) + ".txt");
  auto seen = seen_in(living(screen.title));
  seen.screen = condensed(screen.text);
  auto made = judged(client == "codex" ? "codex" : "claude_code", seen, "initializing");
  CHECK(made.provider_status == provider_status);
  CHECK(made.thread_status == thread_status);
}

TEST_CASE("judge: the newest of hooks, transcript and status file counts", "[agent_state]") {
  struct source {
    int64_t hook_at, transcript_at, process_at;
    std::string expected;
  };
  // The hooks say idle, the transcript says processing, the file says that it asks.
  auto at = GENERATE(values<source>({
    {3, 2, 1, "idle"},
    {1, 3, 2, "processing"},
    {1, 2, 3, "waiting_user_answer"},
    {3, 3, 3, "idle"},
    {2, 3, 3, "processing"},
  }));
  INFO(at.hook_at << ", " << at.transcript_at << ", " << at.process_at);
  auto seen = seen_in(living());
  seen.events = {hook(at.hook_at - 1, "UserPromptSubmit"), hook(at.hook_at, "Stop")};
  seen.transcript.turn = fact(agent_turn::working, at.transcript_at, "the transcript");
  seen.process = fact(agent_turn::waiting, at.process_at, "the file");
  auto made = judged("claude_code", seen);
  CHECK(made.provider_status == at.expected);
  CHECK(made.evidence.size() == 3);
  CHECK(holds(made.evidence, "hook Stop"));
  CHECK(holds(made.evidence, "the transcript"));
  CHECK(holds(made.evidence, "the file"));
}

TEST_CASE("judge: the last hook that says something counts", "[agent_state]") {
  auto seen = seen_in(living("Ready | 1"));
  seen.events = {hook(1, "UserPromptSubmit"), hook(2, "SomethingNew")};
  CHECK(judged("codex", seen).provider_status == "processing");
  seen.events.push_back(hook(3, "Stop"));
  CHECK(judged("codex", seen).provider_status == "idle");
}

TEST_CASE("judge: hooks count more than what the screen shows", "[agent_state]") {
  auto seen = seen_in(living("Ready | 1"));
  seen.events = {hook(1, "UserPromptSubmit")};
  CHECK(judged("codex", seen).provider_status == "processing");
  seen = seen_in(living("⠋ Working | 1"));
  seen.events = {hook(1, "Stop")};
  auto made = judged("codex", seen);
  CHECK(made.provider_status == "idle");
  CHECK(holds(made.evidence, "pane title: works"));
}

TEST_CASE("judge: an error of the model is in the transcript alone", "[agent_state]") {
  auto seen = seen_in(living("Ready | 1"));
  seen.events = {hook(10 * second, "SessionStart"), hook(10 * second, "UserPromptSubmit")};
  seen.transcript.turn = fact(agent_turn::failed, 11 * second, "transcript: an error");
  auto made = judged("codex", seen);
  CHECK(made.provider_status == "error");
  CHECK(made.thread_status == "interrupted");
  CHECK(made.evidence.front() == "transcript: an error");
  // The next turn makes it good.
  seen.events.push_back(hook(12 * second, "UserPromptSubmit"));
  CHECK(judged("codex", seen).provider_status == "processing");
}

TEST_CASE("judge: a title that asks for action corrects what was said", "[agent_state]") {
  auto seen = seen_in(living("[ ! ] Action Required | 1"));
  seen.events = {hook(1, GENERATE(as<std::string>{}, "PreToolUse", "Stop", "SessionStart"))};
  auto made = judged("codex", seen);
  CHECK(made.provider_status == "waiting_user_answer");
  CHECK(made.thread_status == "waiting_user_answer");
  CHECK_THAT(made.evidence.front(), Catch::StartsWith("pane title"));
  CHECK(made.evidence.size() == 2);
}

TEST_CASE("judge: an approval that was given shows in the title first", "[agent_state]") {
  auto seen = seen_in(living("⠋ Working | 1"));
  seen.events = {hook(1, "PreToolUse"), hook(2, "PermissionRequest")};
  CHECK(judged("codex", seen).provider_status == "processing");
  seen.pane->title = "[ ! ] Action Required | 1";
  CHECK(judged("codex", seen).provider_status == "waiting_user_answer");
  seen.pane->title = "Ready | 1"; // a moment late
  CHECK(judged("codex", seen).provider_status == "waiting_user_answer");
}

TEST_CASE("judge: an agent that asks in words has ended its turn", "[agent_state]") {
  auto rule = std::string{"────────────────────────────────────────\n"};
  auto seen = seen_in(living("✳ plan"));
  seen.events = {hook(1, "UserPromptSubmit"), hook(2, "Stop", "Do you want to proceed?")};
  seen.process = fact(agent_turn::idle, 3);
  seen.screen = "❯ plan it\n\n● Do you want to proceed?\n\n✻ Brewed for 2s\n\n" + rule + "❯ \n"
                + rule + "  ? for shortcuts\n";
  CHECK(judged("claude_code", seen).provider_status == "idle");
}

TEST_CASE("judge: an interrupt is told by the transcript, its idle by the file", "[agent_state]") {
  auto seen = seen_in(living("✳ x"));
  seen.events = {hook(1 * second, "UserPromptSubmit")};
  seen.transcript.turn = fact(agent_turn::interrupted, 2 * second, "transcript: interrupted");
  seen.process = fact(agent_turn::idle, 3 * second, "its status file: idle");
  auto made = judged("claude_code", seen);
  CHECK(made.provider_status == "idle");
  CHECK(made.thread_status == "interrupted");
  CHECK(made.evidence.front() == "transcript: interrupted");
  CHECK(holds(made.evidence, "its status file: idle"));
}

TEST_CASE("judge: an idle status file does not hide an error", "[agent_state]") {
  auto seen = seen_in(living("✳ x"));
  seen.process = fact(agent_turn::idle, 3 * second);
  SECTION("of the transcript") {
    seen.transcript.turn = fact(agent_turn::failed, 2 * second, "the error");
  }
  SECTION("of the hooks alone") {
    seen.events = {hook(1 * second, "UserPromptSubmit"), hook(2 * second, "StopFailure")};
  }
  CHECK(judged("claude_code", seen).provider_status == "error");
}

TEST_CASE("judge: an interrupt before anything was said shows in the file alone", "[agent_state]") {
  auto seen = seen_in(living("✳ x"));
  seen.events = {hook(1 * second, "UserPromptSubmit")};
  seen.transcript.turn = fact(agent_turn::working, 1 * second);
  seen.process = fact(agent_turn::idle, 2 * second);
  auto made = judged("claude_code", seen);
  CHECK(made.provider_status == "idle");
  CHECK(made.thread_status == "idle");
}

TEST_CASE("judge: a queued prompt goes on after the hook of the first turn", "[agent_state]") {
  auto seen = seen_in(living("✳ x"));
  seen.events = {hook(1 * second, "UserPromptSubmit"), hook(2 * second, "UserPromptSubmit"),
                 hook(3 * second, "Stop", "One.")};
  seen.transcript.turn = fact(agent_turn::working, 3 * second + 100'000);
  CHECK(judged("claude_code", seen).provider_status == "processing");
}

TEST_CASE("judge: who says that it ends and lives is unknown", "[agent_state]") {
  auto seen = seen_in(living("host"));
  seen.events = {hook(1, "Stop"), hook(2, "SessionEnd")};
  auto made = judged("codex", seen, "idle");
  CHECK(made.provider_status == "unknown");
  CHECK(made.thread_status == "idle");
}

TEST_CASE("judge: who is ready for its first prompt is not ready for others", "[agent_state]") {
  auto seen = seen_in(living("Ready | 1"));
  seen.awaits_prompt = true;
  auto made = judged("codex", seen, "initializing");
  CHECK(made.provider_status == "unknown");
  CHECK(made.thread_status == "initializing");
  seen.pane->title = "[ ! ] Action Required | 1";
  CHECK(judged("codex", seen).provider_status == "waiting_user_answer");
  seen.pane->title = "⠋ Working | 1";
  CHECK(judged("codex", seen).provider_status == "processing");
}

TEST_CASE("judge: the last answer is that of the last turn that ended", "[agent_state]") {
  auto seen = seen_in(living("Ready | 1"));
  CHECK_FALSE(judged("codex", seen).last_response);
  seen.transcript.last_response = "From the transcript.";
  CHECK(judged("codex", seen).last_response == "From the transcript.");
  seen.events = {hook(1, "Stop", "First."), hook(2, "UserPromptSubmit", "a prompt"),
                 hook(3, "Stop", "Second."), hook(4, "Notification", "Claude waits")};
  CHECK(judged("claude_code", seen).last_response == "Second.");
}

TEST_CASE("judge: each piece of evidence is named once", "[agent_state]") {
  auto seen = seen_in(living("[ ! ] Action Required | 1"));
  seen.events = {hook(1, "PreToolUse")};
  auto made = judged("codex", seen);
  auto sorted = made.evidence;
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("judge: all that it says are words of the contract", "[agent_state]") {
  for (auto what :
       {agent_turn::starting, agent_turn::idle, agent_turn::working, agent_turn::waiting,
        agent_turn::interrupted, agent_turn::failed, agent_turn::ended}) {
    auto seen = seen_in(living());
    seen.transcript.turn = fact(what, 5);
    auto made = judged("codex", seen);
    INFO(word(what));
    CHECK(std::count(provider_statuses.begin(), provider_statuses.end(), made.provider_status)
          == 1);
    CHECK(std::count(thread_statuses.begin(), thread_statuses.end(), made.thread_status) == 1);
    CHECK(is_live(made.thread_status));
  }
}

TEST_CASE("screen text: runs of blank lines become one", "[agent_state]") {
  CHECK(condensed("") == "");
  CHECK(condensed("\n  \n\na\n\n \n\nb\nc\n") == "a\n\nb\nc\n");
  CHECK(condensed("a") == "a\n");
  CHECK(condensed("  a\n") == "  a\n");
}

TEST_CASE("panes: a number is worth nothing without its server", "[agent_state]") {
  thread_row row;
  auto pane = living();
  pane.server = 99;
  CHECK_FALSE(is_pane_of(row, pane));
  row.pane = thread_pane{"%1", 4711, 99};
  CHECK(is_pane_of(row, pane));
  row.pane = thread_pane{"%2", 4711, 99};
  CHECK_FALSE(is_pane_of(row, pane));
  row.pane = thread_pane{"%1", 4711, 98};
  CHECK_FALSE(is_pane_of(row, pane));
  row.pane = thread_pane{"%1", 4712, 99};
  CHECK_FALSE(is_pane_of(row, pane));
  row.pane = thread_pane{"%1", 0, 0}; // a row of an earlier program
  CHECK_FALSE(is_pane_of(row, pane));
}
