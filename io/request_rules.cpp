#include "io/request_rules.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// More rows than this are a long answer.
constexpr int64_t short_page = 100;

} // namespace

bool wants_to_wait(const method_info& m, const json& params) {
  if (!m.about->may_wait)
    return false;
  for (std::string_view name : {"wait_seconds", "timeout_seconds"})
    if (auto f = m.params->find(name)) {
      auto given = params.find(name);
      if (given != params.end() && given->is_number())
        return given->get<double>() > 0;
      return *static_cast<const int64_t*>(member(m.params->defaults, *f)) > 0;
    }
  return false;
}

bool runs_alone(const method_info& m, const json& params) {
  if (m.about->touches == access::effect)
    return true;
  auto limit = m.params->find("limit");
  if (!limit)
    return false;
  auto given = params.find("limit");
  return given == params.end() || !given->is_number_integer() || given->get<int64_t>() > short_page;
}

std::optional<int64_t> session_in(const json& value) {
  if (value.is_number_integer() && value.get<int64_t>() > 0)
    return value.get<int64_t>();
  if (!value.is_string())
    return {};
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    return {};
  return std::stoll(text);
}

std::optional<int64_t> session_asking(const method_info& m, const json& params) {
  for (const auto& f : m.params->fields) {
    auto given = f.is_session ? params.find(f.name) : params.end();
    if (given != params.end())
      return session_in(*given);
  }
  return {};
}

std::optional<std::string> take_request_key(const method_info& m, json& params) {
  auto found = params.find("request_key");
  if (found == params.end() || !m.about->writes())
    return {};
  auto key = *found;
  params.erase("request_key");
  if (key.is_null())
    return {};
  if (!key.is_string() || key.get_ref<const std::string&>().empty())
    throw bad_param("request_key", "request_key must be a string that is not empty");
  if (key.get_ref<const std::string&>().size() > longest_request_key)
    throw bad_param("request_key",
                    fmt::format("request_key must have at most {} bytes", longest_request_key));
  return key.get<std::string>();
}

request_error unknown_method(const std::string& name) {
  std::vector<std::string_view> names;
  for (const auto& m : catalog())
    names.push_back(m.about->name);
  auto meant = nearest(name, names);
  return {errc::method_not_found,
          meant.empty()
            ? fmt::format("unknown method {}", name.substr(0, 200))
            : fmt::format("unknown method {}; did you mean {}?", name.substr(0, 200), meant)};
}

} // namespace orch
