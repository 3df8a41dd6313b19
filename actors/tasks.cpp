#include "actors/tasks.hpp"

#include "actors/owner.hpp"
#include "storage/tasks.hpp"

namespace orch {

task_actor::behavior_type tasks(task_actor::pointer self, tree parts) {
  return {
    stored<task_create>(self, parts, create_task),
    stored<task_list>(self, parts, list_tasks),
    stored<task_get>(self, parts, get_task),
    stored<task_update>(self, parts, update_task),
    stored<case_begin>(self, parts, begin_case),
    stored<step_check>(self, parts, check_step),
    stored<case_complete>(self, parts, complete_case),
    stored<checkpoint_list>(self, parts, list_checkpoints),
  };
}

route_map routes(const task_actor& owner) {
  return routes_to(owner, task_methods::list{});
}

} // namespace orch
