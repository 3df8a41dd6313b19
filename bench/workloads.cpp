#include "workloads.hpp"

#include <fmt/format.h>

#include <charconv>

namespace bench {

namespace {

workload always(std::string request) {
  return {
    .request = [request = std::move(request)](std::string& out, const turn&) { out += request; }};
}

} // namespace

workload create_tasks() {
  return always(
    R"("method":"task.create","params":{"level":"case","title":"a task like any other"})");
}

workload get_tasks(int count) {
  return {.request = [count = static_cast<uint64_t>(count)](std::string& out, const turn& t) {
    fmt::format_to(std::back_inserter(out),
                   FMT_STRING(R"("method":"task.get","params":{{"task_id":{}}})"),
                   t.id * 7'919 % count + 1);
  }};
}

workload list_tasks(int limit) {
  return always(fmt::format(R"("method":"task.list","params":{{"limit":{}}})", limit));
}

workload take_locks() {
  auto request = [](std::string& out, const turn& t) {
    if (t.part == 0)
      fmt::format_to(
        std::back_inserter(out),
        FMT_STRING(R"("method":"lock.acquire","params":{{"scope_type":"file",)"
                   R"("scope_path":"src/part{}/file{}.cpp","owner_session":"bench"}})"),
        t.id % 97, t.id);
    else
      fmt::format_to(std::back_inserter(out),
                     FMT_STRING(R"("method":"lock.release","params":{{"lock_id":{}}})"),
                     result_id(t.answer));
  };
  return {.parts = 2, .request = request};
}

workload check_steps(int64_t case_id) {
  return always(fmt::format(R"("method":"step.check","params":{{"case_id":{},"step_title":)"
                            R"("compile and test","result":"all 17 tests passed"}})",
                            case_id));
}

workload resume_next() {
  return always(R"("method":"resume.next","params":{})");
}

void prepare_tasks(server& on, int count) {
  auto made = put_under_load(
    {&on}, create_tasks(),
    {.in_flight = 64, .seconds = 60, .warm_up = 0, .most = static_cast<uint64_t>(count)});
  if (made.operations < static_cast<uint64_t>(count) || made.errors > 0)
    throw std::runtime_error{"could not create the tasks: " + made.first_error};
}

int64_t prepare_case(server& on) {
  auto id =
    result_id(on.ask("task.create", R"({"level":"case","title":"the case that is worked"})"));
  on.ask("case.begin", fmt::format(R"({{"case_id":{}}})", id));
  return id;
}

int64_t result_id(std::string_view answer) {
  constexpr std::string_view mark = "\"id\":";
  auto at = answer.find(mark, answer.find("\"result\""));
  int64_t id = 0;
  if (at != std::string_view::npos)
    std::from_chars(answer.data() + at + mark.size(), answer.data() + answer.size(), id);
  return id;
}

} // namespace bench
