#include "actors/session_effects.hpp"

#include <catch2/catch.hpp>

using namespace orch;

TEST_CASE("work.current_ref stays under 4 KiB whatever was stored", "[sessions]") {
  work_point point;
  point.source = "current_refs";
  std::string long_text;
  for (int i = 0; i < 20'000; ++i)
    long_text += "\xc3\xa9\"\n";
  point.task.emplace();
  point.task->level = "case";
  point.task->title = long_text;
  point.task->next_action = long_text;
  point.task->input_contract = raw_json{"{\"a\":\"" + std::string(50'000, 'x') + "\"}"};
  point.task->fixtures = point.task->input_contract;
  point.checkpoint.emplace();
  point.checkpoint->step_title = long_text;
  point.checkpoint->snapshot = *point.task->input_contract;
  point.next_step = long_text;
  point.current_ref.emplace();
  point.current_ref->summary = long_text;
  point.current_ref->next_action = long_text;
  point.current_ref->required_files = std::vector<std::string>(5'000, long_text);
  point.git = git_state{"session/1", "0123456789012345678901234567890123456789", true};
  shorten(point, 4'000);
  auto text = to_json_text(point);
  CHECK(text.size() <= 4'096);
  CHECK(json::accept(text));
  CHECK(point.shortened == true);
  CHECK(point.git->branch == "session/1");
}

TEST_CASE("work.current_ref leaves what fits alone", "[sessions]") {
  work_point point;
  point.source = "current_refs";
  point.task.emplace();
  point.task->title = std::string(3'000, 'x');
  shorten(point, 4'000);
  CHECK_FALSE(point.shortened);
  CHECK(point.task->title.size() == 3'000);
}
