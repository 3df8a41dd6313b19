#include "messages/threads.hpp"
#include "recorded.hpp"
#include "state_fixture.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <cstdlib>
#include <map>

using namespace orch;

namespace {

using nlohmann::json;

transcript_facts facts_of_lines(const provider& by, const std::string& text) {
  transcript_facts facts;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    by.read_transcript(json::parse(line), facts);
  return facts;
}

struct expected_facts {
  std::string turn;
  std::string at; ///< of the line that tells the turn
  std::string last_response;
  std::vector<std::string> prompts;
};

void check_transcripts(const provider& by, const std::string& directory,
                       const std::map<std::string, expected_facts>& expected) {
  std::vector<std::string> names;
  for (const auto& [name, facts] : expected) {
    INFO(directory << "/" << name);
    names.push_back(name);
    auto found = facts_of_lines(by, recorded_text(directory + "/" + name + ".jsonl"));
    CHECK(word(found.turn) == facts.turn);
    if (found.turn)
      CHECK(found.turn->at_us == parse_timestamp(facts.at)->us);
    CHECK(found.last_response == facts.last_response);
    CHECK(found.prompts == facts.prompts);
  }
  CHECK(recordings_in(directory, ".jsonl") == names);
}

void check_hooks(const provider& by, const std::string& client,
                 const std::map<std::string, std::string>& expected) {
  scratch_directory place;
  std::vector<std::string> names;
  for (const auto& [name, turn] : expected) {
    INFO(client << "/hooks/" << name);
    names.push_back(name);
    auto event = recorded_event(client, name, place.path / "events.jsonl", 1'234'567);
    auto fact = by.turn_of(event);
    CHECK(word(fact) == turn);
    if (fact) {
      CHECK(fact->at_us == 1'234'567);
      CHECK(fact->words.starts_with("hook " + event.event));
    }
    auto payload = json::parse(recorded_text(client + "/hooks/" + name + ".json"));
    CHECK(event.event == payload["hook_event_name"]);
    CHECK(event.session_id == payload["session_id"]);
    CHECK(event.transcript_path == payload["transcript_path"]);
    CHECK(event.tool == payload.value("tool_name", ""));
  }
  CHECK(recordings_in(client + "/hooks", ".json") == names);
}

/// An event log with these lines.
struct log_fixture {
  std::vector<agent_event> read(const std::string& text) {
    std::ofstream{log, std::ios::binary} << text;
    return read_agent_events(log);
  }

  scratch_directory place;
  std::filesystem::path log = place.path / "events.jsonl";
};

/// Claude's directory of its own, with status files.
struct status_fixture {
  status_fixture() {
    if (auto before = std::getenv("CLAUDE_CONFIG_DIR"))
      earlier = before;
    std::filesystem::create_directories(place.path / "sessions");
    ::setenv("CLAUDE_CONFIG_DIR", place.path.c_str(), 1);
  }
  ~status_fixture() {
    if (earlier)
      ::setenv("CLAUDE_CONFIG_DIR", earlier->c_str(), 1);
    else
      ::unsetenv("CLAUDE_CONFIG_DIR");
  }

  std::optional<turn_fact> read(const std::string& text) {
    std::ofstream{place.path / "sessions/4711.json"} << text;
    return claude_provider().turn_of_process(4711);
  }

  scratch_directory place;
  std::optional<std::string> earlier;
};

} // namespace

TEST_CASE("codex transcript: every recorded rollout says how it ended", "[provider]") {
  check_transcripts(
    codex_provider(), "codex/rollout",
    {
      {"edit", {"idle", "2026-11-23T04:32:54.240Z", "Wrote it.", {"write w1.txt"}}},
      {"error", {"failed", "2026-11-23T04:32:45.285Z", "", {"fail 500"}}},
      {"interrupted", {"interrupted", "2026-11-23T04:32:49.424Z", "I begin,", {"hang mid"}}},
      {"killed", {"working", "2026-11-23T04:32:51.281Z", "I begin,", {"hang mid"}}},
      {"ok", {"idle", "2026-11-23T04:37:26.698Z", "Hi there.", {"hello there"}}},
      {"refused-edit", {"idle", "2026-11-23T04:32:59.998Z", "Wrote it.", {"write w2.txt"}}},
      {"steered",
       {"idle",
        "2026-11-23T04:37:29.557Z",
        "Hi there.",
        {"hello there", "slow one", "hello steered"}}},
      {"tools", {"idle", "2026-11-23T04:32:42.670Z", "Case 1 is done.", {"do case 1"}}},
    });
}

TEST_CASE("codex transcript: an error says which", "[provider]") {
  auto facts = facts_of_lines(codex_provider(), recorded_text("codex/rollout/error.jsonl"));
  REQUIRE(facts.turn);
  CHECK_THAT(facts.turn->words, Catch::Contains("experiencing high demand"));
}

TEST_CASE("codex transcript: a kind of error may be an object", "[provider]") {
  transcript_facts facts;
  codex_provider().read_transcript(
    json::parse(
      R"({"timestamp": "2026-11-23T04:32:54Z", "type": "event_msg", "payload": {"type":
          "task_complete", "last_agent_message": null, "error": {"message": "exceeded retry limit",
          "codex_error_info": {"response_too_many_failed_attempts": {"http_status_code": 429}}}}})"),
    facts);
  CHECK(word(facts.turn) == "failed");
  CHECK_THAT(facts.turn->words, Catch::Contains("exceeded retry limit"));
}

TEST_CASE("codex transcript: a turn without words keeps the last answer", "[provider]") {
  auto text = recorded_text("codex/rollout/ok.jsonl")
              + R"({"timestamp": "2026-11-23T04:40:00Z", "type": "event_msg", "payload": )"
                R"({"type": "task_complete", "last_agent_message": null}})";
  auto facts = facts_of_lines(codex_provider(), text);
  CHECK(word(facts.turn) == "idle");
  CHECK(facts.last_response == "Hi there.");
}

TEST_CASE("claude transcript: every recorded transcript says how it ended", "[provider]") {
  check_transcripts(
    claude_provider(), "claude/transcript",
    {
      {"error",
       {"failed",
        "2026-11-23T04:32:50.947Z",
        "API Error: 500 scripted failure. This is a server-side issue, usually temporary — try "
        "again in a moment. If it persists, check your inference gateway (127.0.0.1:8080).",
        {"fail 500"}}},
      {"interrupted", {"interrupted", "2026-11-23T04:32:56.842Z", "I begin,", {"hang mid"}}},
      {"interrupted-early", {"working", "2026-11-23T04:32:58.639Z", "", {"hang"}}},
      {"killed", {"working", "2026-11-23T04:33:03.108Z", "", {"hang mid"}}},
      {"ok", {"idle", "2026-11-23T04:37:30.213Z", "Hi there.", {"hello there"}}},
      {"queued",
       {"idle",
        "2026-11-23T04:37:38.710Z",
        "Hi there.",
        {"hello there", "slow one", "hello queued"}}},
      {"refused-edit",
       {"idle",
        "2026-11-23T04:33:14.641Z",
        "Wrote it.",
        {"shell touch /tmp/outside", "ask me", "write /repo/w2.txt"}}},
      {"tools", {"idle", "2026-11-23T04:32:47.103Z", "Case 1 is done.", {"do case 1"}}},
    });
}

TEST_CASE("claude transcript: a queued prompt goes on after the end of a turn", "[provider]") {
  auto text = recorded_text("claude/transcript/queued.jsonl");
  auto queued = text.find(R"("promptSource":"queued")");
  REQUIRE(queued != std::string::npos);
  auto facts = facts_of_lines(claude_provider(), text.substr(0, text.find('\n', queued)));
  CHECK(word(facts.turn) == "working");
  CHECK(facts.prompts.back() == "hello queued");
}

TEST_CASE("claude transcript: subagents and notes of the program itself say nothing",
          "[provider]") {
  auto mark = GENERATE(as<std::string>{}, "isSidechain", "isMeta");
  INFO(mark);
  auto facts = facts_of_lines(claude_provider(), recorded_text("claude/transcript/ok.jsonl"));
  json line{{"type", "user"},
            {"timestamp", "2026-11-23T05:00:00Z"},
            {mark, true},
            {"message", {{"content", "look around"}}}};
  claude_provider().read_transcript(line, facts);
  CHECK(word(facts.turn) == "idle");
  CHECK(facts.prompts.size() == 1);
}

TEST_CASE("codex hooks: every recorded hook says what it means", "[provider]") {
  check_hooks(codex_provider(), "codex",
              {
                {"Interrupt", "interrupted"},
                {"PermissionRequest-Bash", "waiting"},
                {"PermissionRequest-mcp", "waiting"},
                {"PostToolUse-Bash", "working"},
                {"PostToolUse-apply_patch", "working"},
                {"PostToolUse-mcp", "working"},
                {"PreToolUse-Bash", "working"},
                {"PreToolUse-Bash-apply_patch", "working"},
                {"PreToolUse-apply_patch", "working"},
                {"PreToolUse-mcp", "working"},
                {"PreToolUse-request_user_input", "working"},
                {"SessionEnd", "ended"},
                {"SessionStart-resume", "idle"},
                {"SessionStart-startup", "idle"},
                {"Stop", "idle"},
                {"UserPromptSubmit", "working"},
              });
}

TEST_CASE("claude hooks: every recorded hook says what it means", "[provider]") {
  check_hooks(claude_provider(), "claude",
              {
                {"Notification-idle_prompt", "idle"},
                {"Notification-permission_prompt", "waiting"},
                {"PermissionRequest-AskUserQuestion", "waiting"},
                {"PermissionRequest-Bash", "waiting"},
                {"PermissionRequest-Edit", "waiting"},
                {"PostToolBatch", "nothing"},
                {"PostToolUse-AskUserQuestion", "working"},
                {"PostToolUse-Bash", "working"},
                {"PostToolUse-Edit", "working"},
                {"PostToolUse-Read", "working"},
                {"PostToolUse-Write", "working"},
                {"PostToolUse-mcp", "working"},
                {"PreToolUse-AskUserQuestion", "working"},
                {"PreToolUse-Bash", "working"},
                {"PreToolUse-Edit", "working"},
                {"PreToolUse-Read", "working"},
                {"PreToolUse-Write", "working"},
                {"PreToolUse-mcp", "working"},
                {"SessionEnd", "ended"},
                {"SessionStart-resume", "idle"},
                {"SessionStart-startup", "idle"},
                {"Stop", "idle"},
                {"StopFailure-authentication_failed", "failed"},
                {"StopFailure-server_error", "failed"},
                {"StopFailure-unknown", "failed"},
                {"UserPromptSubmit", "working"},
                {"UserPromptSubmit-pasted", "working"},
              });
}

TEST_CASE_METHOD(log_fixture, "agent events: prompts, answers and reasons come through",
                 "[provider]") {
  CHECK(recorded_event("codex", "Stop", log, 1).message == "Hi there.");
  CHECK(recorded_event("codex", "UserPromptSubmit", log, 1).message == "do case 1");
  CHECK(recorded_event("claude", "Stop", log, 1).message == "Case 1 is done.");
  CHECK_THAT(recorded_event("claude", "UserPromptSubmit-pasted", log, 1).message,
             Catch::Contains("<pasted_content") && Catch::Contains("ünïcode ✓\nlast line"));
  CHECK(recorded_event("claude", "Notification-idle_prompt", log, 1).detail == "idle_prompt");
  CHECK(recorded_event("claude", "StopFailure-server_error", log, 1).detail == "server_error");
  CHECK(recorded_event("claude", "SessionEnd", log, 1).detail == "other");
  CHECK(recorded_event("codex", "SessionStart-resume", log, 1).detail == "resume");
}

TEST_CASE("agent events: a session that starts anew in a turn ends none", "[provider]") {
  // After a compaction the turn goes on.
  agent_event compacted{5, "SessionStart", "", "", "", "", "compact"};
  CHECK(word(claude_provider().turn_of(compacted)) != "idle");
  CHECK(word(codex_provider().turn_of(compacted)) != "idle");
}

TEST_CASE_METHOD(log_fixture, "agent events: lines that are none are passed over", "[provider]") {
  auto events = read("\n{\"event\":\"Stop\",\"at\":7}\nnoise\n[]\n{\"at\":1}\n{\"event\":5}\n"
                     "{\"event\":\"Stop\",\"at\":\"x\",\"message\":9}\n{\"event\":\"Sto");
  REQUIRE(events.size() == 2);
  CHECK(events[0].at_us == 7);
  CHECK(events[1].at_us == 0);
  CHECK(events[1].message.empty());
}

TEST_CASE_METHOD(log_fixture, "agent events: a log that is not there has none", "[provider]") {
  CHECK(read_agent_events(place.path / "nowhere").empty());
  CHECK(read("").empty());
}

TEST_CASE_METHOD(log_fixture, "agent events: of a very long log the end is read", "[provider]") {
  std::string text;
  for (int i = 0; i < 60'000; ++i)
    text += R"({"event":"PreToolUse","at":)" + std::to_string(i)
            + R"(,"message":"0123456789012345678901234567890123456789012345678901234"})" + "\n";
  REQUIRE(text.size() > (4U << 20));
  auto events = read(text);
  REQUIRE_FALSE(events.empty());
  CHECK(events.size() < 60'000);
  CHECK(events.back().at_us == 59'999);
  CHECK(events.front().at_us == 60'000 - std::ssize(events));
}

TEST_CASE_METHOD(log_fixture, "agent events: a tail begins with a line", "[provider]") {
  read("first\nsecond\nthird\n");
  CHECK(read_tail(log, 100) == "first\nsecond\nthird\n");
  CHECK(read_tail(log, 9) == "third\n");
  CHECK(read_tail(log, 3).empty());
  CHECK(read_tail(place.path / "nowhere", 10).empty());
}

TEST_CASE_METHOD(log_fixture, "agent events: a log that is no file keeps nobody waiting",
                 "[provider]") {
  REQUIRE(::mkfifo((place.path / "fifo").c_str(), 0600) == 0);
  CHECK(read_tail(place.path / "fifo", 10).empty());
  CHECK(orch::read_agent_events(place.path / "fifo").empty());
  CHECK(read_tail("/dev/zero", 10).empty());
  CHECK(read_tail(place.path, 10).empty());
}

TEST_CASE_METHOD(status_fixture, "claude status file: every recorded one says what it means",
                 "[provider]") {
  auto [name, turn, at_ms] = GENERATE(table<std::string, std::string, int64_t>({
    {"busy", "working", 1795408374536},
    {"idle", "idle", 1795408361508},
    {"waiting-permission", "waiting", 1795408387745},
    {"waiting-question", "waiting", 1795408391259},
  }));
  INFO(name);
  auto fact = read(recorded_text("claude/status/" + name + ".json"));
  CHECK(word(fact) == turn);
  REQUIRE(fact);
  CHECK(fact->at_us == at_ms * 1'000);
}

TEST_CASE_METHOD(status_fixture, "claude status file: one of another form says nothing",
                 "[provider]") {
  auto text = GENERATE(as<std::string>{}, "", "{", "[]", "{}", R"({"status": "sleeping"})",
                       R"({"status": 7})", R"({"status": null})",
                       R"({"status": "idle", "statusUpdatedAt": "yesterday"})",
                       R"({"status": "waiting", "waitingFor": null, "statusUpdatedAt": null})");
  INFO(text);
  std::optional<turn_fact> fact;
  CHECK_NOTHROW(fact = read(text));
  CHECK((!fact || fact->at_us == 0)); // older than anything else
}

TEST_CASE_METHOD(status_fixture, "claude status file: a process without one says nothing",
                 "[provider]") {
  CHECK_FALSE(claude_provider().turn_of_process(4712));
  CHECK_FALSE(codex_provider().turn_of_process(4711));
}

TEST_CASE("providers: a name finds its provider", "[provider]") {
  for (auto name : provider_names)
    CHECK(find_provider(name).name() == name);
  CHECK_THROWS_AS(find_provider("emacs"), request_error);
}

TEST_CASE("providers: a program that tells nothing is not asked", "[provider]") {
  const auto& by = command_provider();
  CHECK_FALSE(by.reports());
  CHECK(by.plan({}).prompt_is_typed);
  // But one may write events into the log.
  CHECK(word(by.turn_of({1, "Stop", "", "", "", "", ""})) == "idle");
}

TEST_CASE("providers: a role gets its tools", "[provider]") {
  CHECK(profile_for_role("merge-reviewer") == "reviewer");
  CHECK(profile_for_role("planner") == "planner");
  CHECK(profile_for_role("session-root") == "root");
  CHECK(profile_for_role("worker") == "worker");
  CHECK(profile_for_role("") == "worker");
}

TEST_CASE("providers: a prompt is the last word of the command", "[provider]") {
  agent_launch launch;
  launch.thread_id = 7;
  launch.session_id = 3;
  launch.incarnation = 2;
  launch.role = "worker";
  launch.repo_root = "/repo";
  launch.directory = "/repo/wt";
  launch.files = "/repo/.codex-orch/threads/7/2";
  launch.program = "/usr/bin/codex-orchestrator";
  launch.prompt = "- \"text\" that looks\nlike an --option";
  for (const auto* by : {&codex_provider(), &claude_provider()}) {
    INFO(by->name());
    launch.command = {"agent", "--own"};
    launch.resumes.reset();
    auto plan = by->plan(launch);
    const auto& argv = plan.command.argv;
    REQUIRE(argv.size() > 4);
    CHECK(argv[0] == "agent");
    CHECK(argv[1] == "--own");
    CHECK(argv.back() == launch.prompt);
    CHECK(argv[argv.size() - 2] == "--");
    CHECK_FALSE(plan.prompt_is_typed);
    launch.resumes = "uuid";
    auto again = by->plan(launch).command.argv;
    CHECK(std::find(again.begin(), again.end(), "uuid") != again.end());
    for (const auto& [name, value] : agent_environment(launch)) {
      auto in_environment = [&](const auto& x) { return x.first == name && x.second == value; };
      CHECK(std::any_of(plan.command.environment.begin(), plan.command.environment.end(),
                        in_environment));
    }
  }
}
