#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

namespace orch {

/// The JSON Schemas of both config files, made from the same field lists; they are kept in config/.
nlohmann::ordered_json supervisor_config_schema();
nlohmann::ordered_json repository_config_schema();

/// `config schema`: prints the schema of "supervisor" or "repository". Returns the exit status.
int print_config_schema(std::string_view which);

} // namespace orch
