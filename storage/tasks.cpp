#include "storage/tasks.hpp"

#include "storage/current_refs.hpp"
#include "storage/paging.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace orch {

namespace {

/// 0 for an epic, 4 for a step: a parent's rank is lower than its child's.
std::size_t rank(std::string_view level) {
  return static_cast<std::size_t>(std::find(task_levels.begin(), task_levels.end(), level)
                                  - task_levels.begin());
}

std::vector<int64_t> urgency_key(const task& x) {
  return {x.priority, x.updated_at.us, x.id};
}

/// The index ranges that together hold what was asked for. The index on (level, status) answers a
/// filter by either through at most five ranges, which saves two more indexes on every insert.
std::vector<condition> ranges_of(const task_list& request) {
  condition range;
  if (request.parent_id) {
    range.add("parent_id = ?", *request.parent_id);
    if (request.level)
      range.add("level = ?", *request.level);
    if (request.status)
      range.add("status = ?", *request.status);
  }
  if (request.parent_id || (!request.level && !request.status))
    return {range};
  std::vector<condition> ranges;
  for (auto level : task_levels)
    for (auto status : task_statuses)
      if (level == request.level.value_or(std::string{level})
          && status == request.status.value_or(std::string{status})) {
        auto& part = ranges.emplace_back();
        part.add("level = ?", std::string{level});
        part.add("status = ?", std::string{status});
      }
  return ranges;
}

bool more_urgent(const task& a, const task& b) {
  return std::tuple{-a.priority, a.updated_at, a.id} < std::tuple{-b.priority, b.updated_at, b.id};
}

const std::map<std::string_view, std::vector<std::string_view>>& legal_changes() {
  static const std::map<std::string_view, std::vector<std::string_view>> changes{
    {"todo", {"in_progress", "blocked", "done", "cancelled"}},
    {"in_progress", {"todo", "blocked", "done", "cancelled"}},
    {"blocked", {"todo", "in_progress", "cancelled"}},
    {"done", {"todo"}},
    {"cancelled", {"todo"}},
  };
  return changes;
}

void check_status_change(const task& x, const std::string& to) {
  if (x.status == to)
    return;
  const auto& legal = legal_changes().at(x.status);
  json data{{"from", x.status}, {"to", to}};
  if (std::find(legal.begin(), legal.end(), to) == legal.end())
    throw request_error{errc::failed_precondition,
                        fmt::format("task #{} is {} and cannot become {}; it can become {}", x.id,
                                    x.status, to, fmt::join(legal, ", ")),
                        data};
  // Work on a case leaves checkpoints behind, which only these methods write.
  if (x.level == "case" && (to == "in_progress" || to == "done"))
    throw request_error{errc::failed_precondition,
                        fmt::format("case #{} becomes {} by {}", x.id, to,
                                    to == "done" ? "case.complete" : "case.begin"),
                        data};
}

task get_case(tx& t, int64_t id) {
  auto found = t.get<task>("tasks", id, "task");
  if (found.level != "case")
    throw request_error{errc::failed_precondition,
                        fmt::format("task #{} is of level {}, not a case", id, found.level)};
  return found;
}

checkpoint add_checkpoint(tx& t, int64_t task_id, const std::string& title, const json& snapshot) {
  checkpoint made;
  made.task_id = task_id;
  made.step_title = title;
  made.snapshot.text = snapshot.dump();
  made.recorded_at = t.now;
  t.insert("checkpoints", made);
  return made;
}

json value_of(const std::optional<raw_json>& x) {
  return x ? json::parse(x->text) : json();
}

int64_t next_order(tx& t, int64_t task_id) {
  return t.number("SELECT max(order_no) FROM steps WHERE task_id = ?", task_id).value_or(0) + 1;
}

void plan_steps(tx& t, int64_t case_id, const std::vector<std::string>& titles) {
  auto order = next_order(t, case_id);
  for (const auto& title : titles) {
    // Beginning a case again with the same plan must not plan its steps twice.
    if (t.number("SELECT 1 FROM steps WHERE task_id = ? AND title = ?", case_id, title))
      continue;
    step planned;
    planned.task_id = case_id;
    planned.title = title;
    planned.status = "planned";
    planned.order_no = order++;
    planned.recorded_at = t.now;
    t.insert("steps", planned);
  }
}

void check_may_begin(tx& t, const task& x, const std::optional<int64_t>& session_id) {
  if (x.status == "done" || x.status == "cancelled")
    throw request_error{
      errc::failed_precondition,
      fmt::format("case #{} is {}; set it to todo to work it again", x.id, x.status),
      {{"status", x.status}}};
  if (auto holder = live_holder_of_case(t, x.id, session_id); holder && x.status == "in_progress")
    throw request_error{errc::conflict,
                        fmt::format("case #{} is being worked on by session #{}", x.id, *holder),
                        {{"session_id", *holder}, {"case_id", x.id}}};
  if (!session_id)
    return;
  if (auto other = case_in_progress_of(t, *session_id); other && *other != x.id)
    throw request_error{
      errc::conflict,
      fmt::format("session #{} has case #{} in progress; complete it, or set it to todo or blocked",
                  *session_id, *other),
      {{"case_id", *other}, {"session_id", *session_id}}};
}

/// Ends the references of sessions that stopped while they were at the case. What they had leased
/// for it goes to who works it now; otherwise it would stay locked until the leases end.
void take_over_case(tx& t, int64_t case_id, const std::optional<int64_t>& session_id) {
  auto earlier =
    t.number("SELECT s.id FROM current_refs r JOIN sessions s ON s.id = r.session_id JOIN "
             "tasks c ON c.id = r.node_id WHERE r.node_type = 'case' AND r.node_id = ?1 "
             "AND r.status = 'active' AND c.status = 'in_progress' AND c.assignee_session = "
             "CAST(s.id AS TEXT) AND NOT "
               + live_session_sql("s", "?2"),
             case_id, t.now);
  if (earlier && session_id && *earlier != *session_id)
    t.run("UPDATE locks SET owner_session = ? WHERE owner_session = ? AND state = 'active'",
          std::to_string(*session_id), std::to_string(*earlier));
  end_refs_to_case(t, case_id, "superseded", session_id);
}

/// Nobody records steps of work that another session did: it would end unseen in that session's
/// worktree.
void must_have_begun(tx& t, const task& x, int64_t session_id) {
  auto begun_by = x.assignee_session.value_or("");
  if (begun_by.empty() || begun_by == std::to_string(session_id) || begun_by.size() > 18
      || begun_by.find_first_not_of("0123456789") != std::string::npos)
    return;
  if (t.exists("sessions", std::stoll(begun_by)))
    throw request_error{
      errc::failed_precondition,
      fmt::format(
        "case #{} was begun by session #{}; begin it first, or take that session over with "
        "resume.candidates.attach",
        x.id, begun_by),
      {{"session_id", std::stoll(begun_by)}, {"case_id", x.id}}};
}

/// The case if it is in progress and, when a session is named, not another live session's.
task get_case_in_progress(tx& t, int64_t case_id, const std::optional<int64_t>& session_id) {
  auto found = get_case(t, case_id);
  if (found.status != "in_progress")
    throw request_error{errc::failed_precondition,
                        fmt::format("case #{} is {}; {}", case_id, found.status,
                                    found.status == "done" || found.status == "cancelled"
                                      ? "set it to todo to work it again"
                                      : "begin it first"),
                        {{"status", found.status}}};
  if (session_id) {
    must_be_open(t, *session_id);
    suspend_sessions_of_dead_servers(t);
    if (auto holder = live_holder_of_case(t, case_id, session_id))
      throw request_error{
        errc::conflict,
        fmt::format("case #{} is being worked on by session #{}", case_id, *holder),
        {{"session_id", *holder}, {"case_id", case_id}}};
    must_have_begun(t, found, *session_id);
  }
  return found;
}

task_progress progress_of(tx& t, const task& root) {
  task_progress progress;
  if (root.level == "case" || root.level == "step")
    return progress;
  auto query = t.db.prepare(
    "WITH RECURSIVE below(id, level, status) AS (SELECT id, level, status FROM tasks WHERE "
    "parent_id = ?1 UNION ALL SELECT c.id, c.level, c.status FROM tasks c JOIN below b ON "
    "c.parent_id = b.id) SELECT count(*), coalesce(sum(status = 'done'), 0) FROM below WHERE level "
    "= 'case' AND status <> 'cancelled'");
  query->bind(1, root.id);
  query->executeStep();
  progress.total = query->getColumn(0).getInt64();
  progress.done = query->getColumn(1).getInt64();
  return progress;
}

} // namespace

task create_task(tx& t, const task_create& request) {
  if (request.parent_id) {
    auto parent = t.get<task>("tasks", *request.parent_id, "parent task");
    if (rank(parent.level) >= rank(request.level))
      throw bad_param("parent_id",
                      fmt::format("level {} cannot be below task #{}, which is of level {}",
                                  request.level, parent.id, parent.level));
  }
  task made;
  made.level = request.level;
  made.title = request.title;
  made.parent_id = request.parent_id;
  made.priority = request.priority;
  made.assignee_session = request.assignee_session;
  made.created_at = made.updated_at = t.now;
  t.insert("tasks", made);
  t.changed("task.created", {{"task_id", made.id}});
  return made;
}

task_page list_tasks(tx& t, const task_list& request) {
  std::optional<std::vector<int64_t>> after;
  if (request.cursor)
    after = read_cursor(*request.cursor, 3);
  task_page page;
  auto ranges = ranges_of(request);
  for (const auto& range : ranges) {
    auto rows = select_by_urgency<task>(t, "tasks", range, after, request.limit + 1);
    page.tasks.insert(page.tasks.end(), std::make_move_iterator(rows.begin()),
                      std::make_move_iterator(rows.end()));
  }
  if (ranges.size() > 1) {
    std::sort(page.tasks.begin(), page.tasks.end(), more_urgent);
    page.tasks.resize(std::min(page.tasks.size(), static_cast<std::size_t>(request.limit) + 1));
  }
  page.next_cursor = close_page(page.tasks, request.limit, urgency_key);
  return page;
}

task get_task(tx& t, const task_get& request) {
  auto found = t.get<task>("tasks", request.task_id, "task");
  found.progress = progress_of(t, found);
  return found;
}

task update_task(tx& t, const task_update& request) {
  auto changed = t.get<task>("tasks", request.task_id, "task");
  if (!request.title && !request.status && !request.priority && !request.assignee_session
      && !request.next_action)
    throw request_error{errc::invalid_params, "nothing to change: give title, status, priority, "
                                              "assignee_session or next_action"};
  if (request.status) {
    check_status_change(changed, *request.status);
    if (changed.level == "case" && changed.status == "in_progress"
        && *request.status != "in_progress")
      end_refs_to_case(t, changed.id, *request.status == "cancelled" ? "cancelled" : "suspended");
    changed.status = *request.status;
  }
  changed.title = request.title.value_or(changed.title);
  changed.priority = request.priority.value_or(changed.priority);
  if (request.assignee_session)
    changed.assignee_session = request.assignee_session;
  if (request.next_action)
    changed.next_action = request.next_action;
  changed.updated_at = t.now;
  t.update("tasks", changed);
  t.changed("task.updated", {{"task_id", changed.id}});
  return changed;
}

task begin_case(tx& t, const case_begin& request) {
  auto begun = get_case(t, request.case_id);
  if (request.session_id)
    must_be_open(t, *request.session_id);
  suspend_sessions_of_dead_servers(t);
  check_may_begin(t, begun, request.session_id);
  take_over_case(t, begun.id, request.session_id);
  begun.status = "in_progress";
  if (request.session_id)
    begun.assignee_session = std::to_string(*request.session_id);
  if (request.input_contract)
    begun.input_contract = request.input_contract;
  if (request.fixtures)
    begun.fixtures = request.fixtures;
  begun.updated_at = t.now;
  t.update("tasks", begun);
  plan_steps(t, begun.id, request.steps);
  auto made = add_checkpoint(t, begun.id, "case.begin",
                             {{"event", "case.begin"},
                              {"input_contract", value_of(begun.input_contract)},
                              {"fixtures", value_of(begun.fixtures)},
                              {"steps", request.steps}});
  if (request.session_id)
    point_session_at(t, *request.session_id,
                     {.case_id = begun.id,
                      .checkpoint_id = made.id,
                      .next_action = next_planned_step(t, begun.id),
                      .summary = fmt::format("began: {}", begun.title),
                      .required_files = request.required_files});
  t.changed("case.begun", {{"task_id", begun.id}});
  return begun;
}

step check_step(tx& t, const step_check& request) {
  auto worked = get_case_in_progress(t, request.case_id, request.session_id);
  auto artifacts = value_of(request.artifacts);
  auto result = json::parse(request.result_value.text);
  auto checked = t.first<step>("FROM steps WHERE task_id = ? AND title = ? AND status = 'planned' "
                               "ORDER BY order_no LIMIT 1",
                               worked.id, request.step_title)
                   .value_or(step{});
  checked.title = request.step_title;
  checked.status = request.status;
  checked.evidence = raw_json{json{{"result", result}, {"artifacts", artifacts}}.dump()};
  checked.recorded_at = t.now;
  if (checked.id == 0) {
    checked.task_id = worked.id;
    checked.order_no = next_order(t, worked.id);
    t.insert("steps", checked);
  } else {
    t.update("steps", checked);
  }
  auto made = add_checkpoint(t, worked.id, request.step_title,
                             {{"event", "step.check"},
                              {"step_title", request.step_title},
                              {"status", request.status},
                              {"result", result},
                              {"artifacts", artifacts}});
  t.run("UPDATE tasks SET updated_at = ? WHERE id = ?", t.now, worked.id);
  auto session_id = request.session_id ? request.session_id : session_at_case(t, worked.id);
  if (session_id)
    point_session_at(t, *session_id,
                     {.case_id = worked.id,
                      .checkpoint_id = made.id,
                      .next_action = next_planned_step(t, worked.id),
                      .summary = fmt::format("last step {}: {}", request.status, checked.title),
                      .required_files = request.required_files});
  t.changed("step.checked", {{"task_id", worked.id}, {"step_id", checked.id}});
  return checked;
}

task complete_case(tx& t, const case_complete& request) {
  auto completed = get_case_in_progress(t, request.case_id, request.session_id);
  completed.status = "done";
  if (request.next_action)
    completed.next_action = request.next_action;
  completed.updated_at = t.now;
  t.update("tasks", completed);
  json snapshot{{"event", "case.complete"}};
  if (request.summary)
    snapshot["summary"] = *request.summary;
  if (request.next_action)
    snapshot["next_action"] = *request.next_action;
  auto made = add_checkpoint(t, completed.id, "case.complete", snapshot);
  complete_refs_to_case(t, completed.id,
                        {.case_id = completed.id,
                         .checkpoint_id = made.id,
                         .next_action = request.next_action,
                         .summary = request.summary,
                         .required_files = request.required_files});
  t.changed("case.completed", {{"task_id", completed.id}});
  return completed;
}

checkpoint_page list_checkpoints(tx& t, const checkpoint_list& request) {
  t.must_exist("tasks", request.task_id, "task");
  auto before =
    request.cursor ? read_cursor(*request.cursor, 1)[0] : std::numeric_limits<int64_t>::max();
  checkpoint_page page;
  page.checkpoints =
    t.select<checkpoint>("FROM checkpoints WHERE task_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
                         request.task_id, before, request.limit + 1);
  page.next_cursor = close_page(page.checkpoints, request.limit,
                                [](const checkpoint& x) { return std::vector{x.id}; });
  return page;
}

std::optional<checkpoint> newest_checkpoint(tx& t, int64_t task_id) {
  return t.first<checkpoint>("FROM checkpoints WHERE task_id = ? ORDER BY id DESC LIMIT 1",
                             task_id);
}

std::vector<task> tasks_below(tx& t, int64_t root) {
  std::vector<task> below;
  std::vector<int64_t> parents{root};
  // Levels are five at most, so that this ends even if the rows are not what they should be.
  for (std::size_t depth = 0; depth < task_levels.size() && !parents.empty(); ++depth) {
    std::vector<int64_t> next;
    for (auto parent : parents)
      for (auto& child : t.select<task>(
             "FROM tasks WHERE parent_id = ? ORDER BY priority DESC, updated_at, id", parent)) {
        next.push_back(child.id);
        below.push_back(std::move(child));
      }
    parents = std::move(next);
  }
  return below;
}

} // namespace orch
