#pragma once

#include "load.hpp"

namespace bench {

// What clients do; each may be used for one load at a time.

workload create_tasks();

/// Reads one of the first so many tasks, spread over all of them.
workload get_tasks(int count);

workload list_tasks(int limit);

/// Takes a file of its own and gives it back.
workload take_locks();

workload check_steps(int64_t case_id);

workload resume_next();

/// Creates so many tasks, quickly.
void prepare_tasks(server& on, int count);

/// A case in progress.
int64_t prepare_case(server& on);

/// The id in the result of an answer.
int64_t result_id(std::string_view answer);

} // namespace bench
