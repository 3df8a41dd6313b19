#pragma once

#include <string_view>
#include <vector>

namespace orch {

/// SQL that brings the schema from each version to the next; the first makes version 1.
const std::vector<std::string_view>& schema_steps();

/// SQL that adds the single rows that some tables have; those that are there stay.
std::string_view rows_of_a_new_state();

} // namespace orch
