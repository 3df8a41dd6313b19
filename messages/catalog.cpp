#include "messages/catalog.hpp"

#include "messages/events.hpp"
#include "messages/inbox.hpp"
#include "messages/locks.hpp"
#include "messages/merge_queue.hpp"
#include "messages/mirror.hpp"
#include "messages/plans.hpp"
#include "messages/reviewers.hpp"
#include "messages/sessions.hpp"
#include "messages/tasks.hpp"
#include "messages/threads.hpp"
#include "messages/workspace.hpp"
#include "messages/worktrees.hpp"

#include <fmt/format.h>

#include <unordered_map>

namespace orch {

namespace {

template <request... Ms>
void append(std::vector<method_info>& to, std::string_view owner, method_list<Ms...>) {
  (to.push_back({&Ms::about, &shape_of<Ms>(), &shape_of<typename Ms::result>(), owner}), ...);
}

template <class... Owners>
std::vector<method_info> methods_of() {
  std::vector<method_info> all;
  (append(all, Owners::owner, typename Owners::list{}), ...);
  return all;
}

constexpr std::string_view request_key_doc =
  "the same key within 24 h returns the first answer instead of doing it twice";

/// The names of a record's fields, those that may be absent with a question mark.
std::vector<std::string> member_names(const record_shape& shape) {
  std::vector<std::string> names;
  for (const auto& f : shape.fields)
    names.push_back(fmt::format("{}{}", f.name, f.required ? "" : "?"));
  return names;
}

std::string type_word(const value_type& type) {
  constexpr std::string_view words[]{"boolean", "integer", "text",  "time",
                                     "JSON",    "list",    "object"};
  if (type.what == kind::list)
    return fmt::format("list of {}", type_word(*type.element));
  if (type.what == kind::object)
    return fmt::format("{{{}}}", fmt::join(member_names(type.shape()), ", "));
  return std::string{words[static_cast<std::size_t>(type.what)]};
}

std::string range_words(const field& f) {
  if (!f.words.empty())
    return fmt::format("one of {}", fmt::join(f.words, ", "));
  if (f.type->what != kind::integer || f.least == std::numeric_limits<int64_t>::min())
    return {};
  if (f.most == std::numeric_limits<int64_t>::max())
    return f.least == 1 ? std::string{} : fmt::format("at least {}", f.least);
  return fmt::format("{} to {}", f.least, f.most);
}

std::string field_line(const field& f, const json& schema) {
  auto range = range_words(f);
  auto given = schema.find("default");
  return fmt::format("  {:<28} {}{}{}{}\n", fmt::format("{}{}", f.name, f.required ? "" : "?"),
                     f.is_object ? "object" : type_word(*f.type),
                     range.empty() ? "" : fmt::format(" ({})", range),
                     given == schema.end() ? "" : fmt::format(", default {}", given->dump()),
                     f.doc.empty() ? "" : fmt::format(": {}", f.doc));
}

std::string field_lines(const record_shape& shape, const json& schema) {
  std::string out;
  for (const auto& f : shape.fields)
    out += field_line(f, schema["properties"][std::string{f.name}]);
  return out;
}

} // namespace

const std::vector<method_info>& catalog() {
  static const auto all =
    methods_of<workspace_methods, session_methods, task_methods, plan_methods, worktree_methods,
               lock_methods, merge_methods, review_methods, runtime_methods, thread_methods,
               inbox_methods, mirror_methods, event_methods>();
  return all;
}

const method_info* find_method(std::string_view name) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const method_info*> by_name;
    for (const auto& m : catalog())
      by_name.emplace(m.about->name, &m);
    return by_name;
  }();
  auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

json parameter_schema(const method_info& m) {
  auto schema = schema_of(*m.params, schema_use::parameters);
  if (m.about->writes())
    schema["properties"]["request_key"] = {{"type", "string"},
                                           {"minLength", 1},
                                           {"maxLength", longest_request_key},
                                           {"description", request_key_doc}};
  return schema;
}

json describe_methods() {
  auto all = json::array();
  for (const auto& m : catalog())
    all.push_back({{"name", m.about->name},
                   {"description", m.about->doc},
                   {"owner", m.owner},
                   {"read_only", !m.about->writes()},
                   {"params", parameter_schema(m)},
                   {"result", schema_of(*m.result, schema_use::result)}});
  return all;
}

std::string help_text(const method_info& m) {
  auto out = fmt::format("{}\n\n{}\n\nParameters:\n", m.about->name, m.about->doc);
  out += field_lines(*m.params, parameter_schema(m));
  if (m.about->writes())
    out += fmt::format("  {:<28} text: {}\n", "request_key?", request_key_doc);
  if (m.params->fields.empty() && !m.about->writes())
    out += "  none\n";
  out += "\nResult:\n";
  out += field_lines(*m.result, schema_of(*m.result, schema_use::result));
  out += fmt::format("\nAnswered by the {} actor.\n", m.owner);
  return out;
}

std::string signature(const method_info& m) {
  return fmt::format("{}({})", m.about->name, fmt::join(member_names(*m.params), ", "));
}

std::string markdown_table() {
  std::string out = "| method | parameters | what it does |\n|---|---|---|\n";
  for (const auto& m : catalog()) {
    std::string params;
    for (const auto& f : m.params->fields)
      params += fmt::format("{}`{}{}`", params.empty() ? "" : " ", f.name, f.required ? "" : "?");
    out += fmt::format("| `{}` | {} | {} |\n", m.about->name, params, m.about->doc);
  }
  return out;
}

} // namespace orch
