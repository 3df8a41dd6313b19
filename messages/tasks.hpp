#pragma once

#include "messages/method.hpp"
#include "messages/page.hpp"

namespace orch {

inline const std::vector<std::string_view> task_levels{"epic", "feature", "test_group", "case",
                                                       "step"};
inline const std::vector<std::string_view> task_statuses{"todo", "in_progress", "blocked", "done",
                                                         "cancelled"};

/// How many of the cases below a task are done.
struct task_progress {
  int64_t done = 0;
  int64_t total = 0;

  field_list fields() { return {required("done", done), required("total", total)}; }
};

/// A piece of work: epic > feature > test_group > case > step.
struct task {
  int64_t id = 0;
  std::string level;
  std::optional<int64_t> parent_id;
  std::string title;
  std::string status = "todo";
  int64_t priority = 0;
  std::optional<std::string> assignee_session;
  std::optional<raw_json> input_contract;
  std::optional<raw_json> fixtures;
  std::optional<std::string> next_action;
  timestamp created_at;
  timestamp updated_at;
  std::optional<task_progress> progress;

  field_list fields() {
    return {
      required("id", id),
      required("level", level).one_of(task_levels),
      optional("parent_id", parent_id),
      required("title", title),
      required("status", status).one_of(task_statuses),
      required("priority", priority, "higher is more urgent"),
      optional("assignee_session", assignee_session),
      optional("input_contract", input_contract),
      optional("fixtures", fixtures),
      optional("next_action", next_action),
      required("created_at", created_at),
      required("updated_at", updated_at),
      optional("progress", progress, "of the cases below; task.get only").computed(),
    };
  }
};

/// One thing checked while working a case.
struct step {
  int64_t id = 0;
  int64_t task_id = 0;
  std::string title;
  std::string status;
  std::optional<raw_json> evidence;
  int64_t order_no = 0;
  timestamp recorded_at;

  field_list fields() {
    return {
      required("id", id),
      required("task_id", task_id, "the case"),
      required("title", title),
      required("status", status, "planned, passed, failed or skipped"),
      optional("evidence", evidence, "{result, artifacts}"),
      required("order_no", order_no),
      required("recorded_at", recorded_at),
    };
  }
};

/// What was known at one moment of a case; enough to go on from there.
struct checkpoint {
  int64_t id = 0;
  int64_t task_id = 0;
  std::string step_title;
  raw_json snapshot;
  timestamp recorded_at;

  field_list fields() {
    return {
      required("id", id),
      required("task_id", task_id),
      required("step_title", step_title, "the step, or the event: case.begin, case.complete"),
      required("snapshot", snapshot),
      required("recorded_at", recorded_at),
    };
  }
};

struct task_create {
  static constexpr method about{
    "task.create",
    "Create a task: an epic, feature, test_group, case or step, below a parent of a "
    "higher level or on its own.",
    access::write};
  using result = task;

  std::string level;
  std::string title;
  std::optional<int64_t> parent_id;
  int64_t priority = 0;
  std::optional<std::string> assignee_session;

  field_list fields() {
    return {
      required("level", level).one_of(task_levels),
      required("title", title).trimmed(),
      id_of("parent_id", parent_id, "a task of a higher level"),
      optional("priority", priority, "higher is more urgent"),
      optional("assignee_session", assignee_session).trimmed(),
    };
  }
};

struct task_page {
  std::vector<task> tasks;
  std::optional<std::string> next_cursor;

  field_list fields() { return {required("tasks", tasks), next_cursor_field(next_cursor)}; }
};

struct task_list {
  static constexpr method about{
    "task.list",
    "List tasks, most urgent first, then least recently updated; filter by level, "
    "status or parent.",
    access::read};
  using result = task_page;

  std::optional<std::string> level;
  std::optional<std::string> status;
  std::optional<int64_t> parent_id;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {
      optional("level", level).one_of(task_levels),
      optional("status", status).one_of(task_statuses),
      id_of("parent_id", parent_id),
      limit_field(limit),
      cursor_field(cursor),
    };
  }
};

struct task_get {
  static constexpr method about{"task.get", "Get one task with the progress of the cases below it.",
                                access::read};
  using result = task;

  int64_t task_id = 0;

  field_list fields() { return {id_of("task_id", task_id)}; }
};

struct task_update {
  static constexpr method about{
    "task.update",
    "Change title, status, priority, assignee or next action of a task; only legal "
    "status changes.",
    access::write};
  using result = task;

  int64_t task_id = 0;
  std::optional<std::string> title;
  std::optional<std::string> status;
  std::optional<int64_t> priority;
  std::optional<std::string> assignee_session;
  std::optional<std::string> next_action;

  field_list fields() {
    return {
      id_of("task_id", task_id),
      optional("title", title).trimmed(),
      optional("status", status).one_of(task_statuses),
      optional("priority", priority),
      optional("assignee_session", assignee_session).trimmed(),
      optional("next_action", next_action),
    };
  }
};

struct case_begin {
  static constexpr method about{
    "case.begin",
    "Start or resume work on a case: sets it in_progress, records a checkpoint and "
    "makes it the session's current reference.",
    access::write};
  using result = task;

  int64_t case_id = 0;
  std::optional<int64_t> session_id;
  std::optional<raw_json> input_contract;
  std::optional<raw_json> fixtures;
  std::optional<std::vector<std::string>> required_files;
  std::vector<std::string> steps;

  field_list fields() {
    return {
      id_of("case_id", case_id),
      id_of("session_id", session_id).session(),
      optional("input_contract", input_contract, "what the case promises and expects").object(),
      optional("fixtures", fixtures, "test data: any JSON"),
      optional("required_files", required_files, "files to read before going on"),
      optional("steps", steps, "titles of planned steps, in order").trimmed(),
    };
  }
};

struct step_check {
  static constexpr method about{
    "step.check",
    "Record a step of the case in progress with its evidence, as a checkpoint to "
    "resume from.",
    access::write};
  using result = step;

  int64_t case_id = 0;
  std::string step_title;
  raw_json result_value;
  std::string status = "passed";
  std::optional<int64_t> session_id;
  std::optional<raw_json> artifacts;
  std::optional<std::vector<std::string>> required_files;

  field_list fields() {
    return {
      id_of("case_id", case_id),
      required("step_title", step_title, "a planned step of that title is filled in").trimmed(),
      required("result", result_value, "what was seen: text or any JSON"),
      optional("status", status, "the verdict; result does not set it")
        .one_of({"passed", "failed", "skipped"}),
      id_of("session_id", session_id).session(),
      optional("artifacts", artifacts, "names of logs and files, or any JSON"),
      optional("required_files", required_files, "files to read before going on"),
    };
  }
};

struct case_complete {
  static constexpr method about{
    "case.complete",
    "Finish a case: done, with a last checkpoint; the session's current reference "
    "is completed.",
    access::write};
  using result = task;

  int64_t case_id = 0;
  std::optional<std::string> summary;
  std::optional<std::string> next_action;
  std::optional<int64_t> session_id;
  std::optional<std::vector<std::string>> required_files;

  field_list fields() {
    return {
      id_of("case_id", case_id),
      optional("summary", summary),
      optional("next_action", next_action),
      id_of("session_id", session_id).session(),
      optional("required_files", required_files),
    };
  }
};

struct checkpoint_page {
  std::vector<checkpoint> checkpoints;
  std::optional<std::string> next_cursor;

  field_list fields() {
    return {required("checkpoints", checkpoints), next_cursor_field(next_cursor)};
  }
};

struct checkpoint_list {
  static constexpr method about{"checkpoint.list", "List the checkpoints of a task, newest first.",
                                access::read};
  using result = checkpoint_page;

  int64_t task_id = 0;
  int64_t limit = default_page;
  std::optional<std::string> cursor;

  field_list fields() {
    return {id_of("task_id", task_id), limit_field(limit), cursor_field(cursor)};
  }
};

struct task_methods {
  static constexpr std::string_view owner = "tasks";
  using list = method_list<task_create, task_list, task_get, task_update, case_begin, step_check,
                           case_complete, checkpoint_list>;
};

} // namespace orch
