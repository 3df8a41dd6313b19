#include "config/config_schema.hpp"

#include "config/supervisor_config.hpp"

#include <fmt/format.h>

#include <iostream>

namespace orch {

namespace {

/// Letters, digits, '.', '_' and '-', but neither . nor ..
constexpr auto name_pattern = R"(^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$)";

using ordered_json = nlohmann::ordered_json;

ordered_json in_order(const json& schema, const record_shape& shape);

/// What `schema_of` does not say of a field, or says too much: the members of an object tell their
/// defaults themselves, and an empty text is none.
ordered_json in_order(const json& schema, const field& f) {
  ordered_json made;
  for (auto key : {"description", "type", "enum", "minimum", "maximum", "default"})
    if (auto found = schema.find(key); found != schema.end())
      made[key] = *found;
  const ordered_json empty_text = "";
  if (f.type->what == kind::object || made.value("default", ordered_json()) == empty_text)
    made.erase("default");
  if (f.type->what == kind::text && (f.is_name || f.required))
    made["minLength"] = 1;
  if (f.type->what == kind::object)
    made.update(in_order(schema, f.type->shape()));
  if (f.type->what == kind::list)
    made["items"] = f.type->element->what == kind::object
                      ? in_order(schema["items"], f.type->element->shape())
                      : ordered_json(schema["items"]);
  return made;
}

/// The schema with the fields in the order of their list.
ordered_json in_order(const json& schema, const record_shape& shape) {
  ordered_json made{{"type", "object"}};
  for (const auto& f : shape.fields)
    made["properties"][std::string{f.name}] =
      in_order(schema["properties"][std::string{f.name}], f);
  for (auto key : {"required", "additionalProperties"})
    if (auto found = schema.find(key); found != schema.end())
      made[key] = *found;
  return made;
}

template <record Config>
ordered_json config_schema(std::string_view title, std::string_view description) {
  ordered_json made{
    {"$schema", "https://json-schema.org/draft/2020-12/schema"},
    {"title", title},
    {"description", description},
  };
  const auto& shape = shape_of<Config>();
  made.update(in_order(schema_of(shape, schema_use::parameters), shape));
  return made;
}

} // namespace

nlohmann::ordered_json supervisor_config_schema() {
  auto schema = config_schema<supervisor_config>(
    "codex-orchestrator supervise --config FILE",
    "The repositories that a supervisor looks after. JSON with comments.");
  auto& name = schema["properties"]["repositories"]["items"]["properties"]["name"];
  name["maxLength"] = longest_repository_name;
  name["pattern"] = name_pattern;
  return schema;
}

nlohmann::ordered_json repository_config_schema() {
  return config_schema<repository_config>(".codex-orch/config.json of a repository",
                                          "Settings of one repository. JSON with comments.");
}

int print_config_schema(std::string_view which) {
  if (which == "supervisor")
    std::cout << supervisor_config_schema().dump(2) << "\n";
  else if (which == "repository")
    std::cout << repository_config_schema().dump(2) << "\n";
  else {
    std::cerr << fmt::format("codex-orchestrator: unknown schema {}; known are supervisor and "
                             "repository\n",
                             which);
    return 1;
  }
  return 0;
}

} // namespace orch
