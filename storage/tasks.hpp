#pragma once

#include "messages/sessions.hpp"
#include "storage/tx.hpp"

namespace orch {

task create_task(tx& t, const task_create& request);
task_page list_tasks(tx& t, const task_list& request);
task get_task(tx& t, const task_get& request);
task update_task(tx& t, const task_update& request);
task begin_case(tx& t, const case_begin& request);
step check_step(tx& t, const step_check& request);
task complete_case(tx& t, const case_complete& request);
checkpoint_page list_checkpoints(tx& t, const checkpoint_list& request);

/// The newest checkpoint of a task, if it has one.
std::optional<checkpoint> newest_checkpoint(tx& t, int64_t task_id);

/// The tasks below `root`, all levels down, parents before children.
std::vector<task> tasks_below(tx& t, int64_t root);

} // namespace orch
