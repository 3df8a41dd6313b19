#include "panes.hpp"

#include <algorithm>
#include <random>

using namespace orch::test;

namespace {

/// A pane whose program writes each line that it reads to a file.
struct echo_panes : panes {
  int64_t start_echo() {
    session = open()["session"]["id"];
    // The terminal gives `cat` one line at a time.
    auto made = ask("thread.child.spawn",
                    {{"session_id", session},
                     {"provider", "command"},
                     {"launch_command", "exec cat >" + quoted(heard.string())}})["thread"];
    return made["id"];
  }

  json params_of(int64_t thread, const std::string& text) const {
    return {{"thread_id", thread}, {"directive", text}, {"mode", "queue"}, {"wait_seconds", 0}};
  }

  path heard = base / "heard.txt";
  json session;
};

/// A line that a terminal takes as it is: at most 250 bytes, and not a blank one.
std::string random_line(std::mt19937& random) {
  static const words parts{"a",    "b",  "Z",        "0",   " ",     "  ",   "\t",   "é",  "漢",
                           "🙂", "\"", "'",        "`",   ";",     "$(x)", "${y}", "\\", "\\n",
                           "&&",   "|",  "<",        ">",   "*",     "?",    "#{z}", "%%", "{1}",
                           "!",    "~",  "-t",       "C-c", "Enter", "[7]",  "(",    ")",  "=",
                           "@",    "/",  "\xC3\x9F", ":q",  "^C",    "\\;",  "--",   "."};
  std::uniform_int_distribution<std::size_t> length{1, 40};
  std::uniform_int_distribution<std::size_t> part{0, parts.size() - 1};
  std::string line;
  for (auto left = length(random); left > 0; --left)
    line += parts[part(random)];
  return line;
}

} // namespace

TEST_CASE_METHOD(echo_panes, "directives: random texts reach a program once each and in order",
                 "[scenario][agents]") {
  if (!ready())
    return;
  constexpr std::size_t count = 1'000;
  constexpr std::size_t window = 64;
  std::mt19937 random{42};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i)
    texts.push_back(fmt::format("{} {}.", i, random_line(random)));
  auto thread = start_echo();
  std::vector<int64_t> asked;
  std::size_t answered = 0;
  auto answer_one = [&] {
    auto stored = result_of(first().answer_to(asked.at(answered++)));
    if (stored["result"] != "queued")
      FAIL(stored);
  };
  for (const auto& text : texts) {
    asked.push_back(first().request("thread.child.directive", params_of(thread, text)));
    if (asked.size() - answered >= window)
      answer_one();
  }
  while (answered < asked.size())
    answer_one();
  std::size_t before = 0;
  std::vector<std::string> lines;
  // As long as there is progress, it is worth waiting.
  while (lines.size() < count) {
    eventually(fmt::format("more than {} lines", before), [&] {
      lines = lines_of(read(heard));
      return lines.size() > before;
    });
    before = lines.size();
  }
  // What comes twice comes after what it is a copy of.
  ask("thread.child.directive", params_of(thread, "the end"));
  eventually("the end", [&] { return read(heard).ends_with("the end\n"); });
  texts.emplace_back("the end");
  lines = lines_of(read(heard));
  REQUIRE(lines.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i)
    if (lines[i] != texts[i]) {
      INFO(i);
      CHECK(lines[i] == texts[i]);
    }
}

TEST_CASE_METHOD(echo_panes, "directives: a program gets what looks like a command as it is",
                 "[scenario][agents]") {
  if (!ready())
    return;
  auto thread = start_echo();
  const words texts{"/usr/bin/true", "!important",        "@home", "#1",           "?", "-n",
                    "  indented",    "trailing spaces  ", "~",     "\ta tab first"};
  std::string all;
  for (const auto& text : texts) {
    ask("thread.child.directive", params_of(thread, text));
    all += text + '\n';
  }
  eventually("all lines", [&] { return lines_of(read(heard)).size() == texts.size(); });
  CHECK(read(heard) == all);
}

TEST_CASE_METHOD(panes, "directives: while ten panes are being started, others are answered",
                 "[scenario][agents]") {
  if (!ready())
    return;
  constexpr int count = 10;
  auto session = open()["session"]["id"];
  auto task = ask("task.create", {{"level", "case"}, {"title", "a case"}})["id"];
  auto& second = serve();
  second.ask("task.get", {{"task_id", task}});
  json wanted{{"session_id", session},
              {"provider", "command"},
              {"launch_command", "exec sleep 600"},
              {"max_concurrent_children", count}};
  std::vector<int64_t> spawns;
  for (int i = 0; i < count; ++i)
    spawns.push_back(first().request("thread.child.spawn", wanted));
  state_file state{root};
  auto started = [&] {
    return state.number("SELECT count(*) FROM threads WHERE tmux_pane_id IS NOT NULL");
  };
  eventually("a pane is there", [&] {
    CHECK(second.ask("task.get", {{"task_id", task}})["id"] == task);
    return started() > 0;
  });
  for (int i = 0; i < count; ++i)
    CHECK(second.ask("task.get", {{"task_id", task}})["id"] == task);
  CHECK(started() < count);
  std::set<std::string> used;
  for (auto id : spawns)
    used.insert(result_of(first().answer_to(id))["thread"]["tmux_pane_id"]);
  CHECK(used.size() == count);
}
