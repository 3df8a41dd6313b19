#include "messages/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch {

namespace {

constexpr std::string_view white_space = " \t\r\n\f\v";

std::string trim(const std::string& text) {
  auto from = text.find_first_not_of(white_space);
  if (from == std::string::npos)
    return {};
  return text.substr(from, text.find_last_not_of(white_space) - from + 1);
}

std::string_view kind_name(const field& f) {
  if (f.is_object)
    return "an object";
  constexpr std::array<std::string_view, 7> names{"a boolean",        "an integer",     "a string",
                                                  "an RFC 3339 time", "any JSON value", "an array",
                                                  "an object"};
  return names.at(static_cast<std::size_t>(f.type->what));
}

[[noreturn]] void wrong_type(const std::string& path, std::string_view wanted, const json& got) {
  throw bad_param(path, fmt::format("{} must be {}, not {}", path, wanted, got.type_name()));
}

std::string join(const std::vector<std::string_view>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

/// Takes 5 and 5.0, as JSON does not tell them apart, but not 5.5 and nothing beyond 64 bits.
int64_t to_integer(const json& in, const std::string& path) {
  constexpr double exact = 9007199254740992.0;
  if (in.is_number_unsigned()) {
    auto value = in.get<uint64_t>();
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(value);
    throw bad_param(path, fmt::format("{} must fit in 63 bits", path));
  }
  if (in.is_number_integer())
    return in.get<int64_t>();
  if (in.is_number_float()) {
    auto value = in.get<double>();
    if (value >= -exact && value <= exact
        && value == static_cast<double>(static_cast<int64_t>(value)))
      return static_cast<int64_t>(value);
  }
  wrong_type(path, "an integer", in);
}

void check_range(int64_t value, const field& f, const std::string& path) {
  if (value >= f.least && value <= f.most)
    return;
  if (f.most == std::numeric_limits<int64_t>::max())
    throw bad_param(path, fmt::format("{} must be at least {}, not {}", path, f.least, value));
  throw bad_param(path, fmt::format("{} must be {} to {}, not {}", path, f.least, f.most, value));
}

std::string to_checked_text(const json& in, const field& f, const std::string& path) {
  if (!in.is_string())
    wrong_type(path, "a string", in);
  auto text = f.is_name ? trim(in.get_ref<const std::string&>()) : in.get<std::string>();
  if ((f.required || f.is_name) && text.find_first_not_of(white_space) == std::string::npos)
    throw bad_param(path, fmt::format("{} must not be empty", path));
  if (!f.words.empty() && std::find(f.words.begin(), f.words.end(), text) == f.words.end())
    throw bad_param(path, fmt::format("{} must be one of {}", path, join(f.words)));
  return text;
}

void decode_value(const json& in, const value_type& type, const field& f, void* at,
                  const std::string& path);

void decode_list(const json& in, const value_type& type, const field& f, void* at,
                 const std::string& path) {
  if (!in.is_array())
    wrong_type(path, "an array", in);
  std::size_t i = 0;
  for (const auto& element : in)
    decode_value(element, *type.element, f, type.push(at), fmt::format("{}[{}]", path, i++));
}

void decode_value(const json& in, const value_type& type, const field& f, void* at,
                  const std::string& path) {
  if (type.optional)
    at = type.make(at);
  switch (type.what) {
  case kind::boolean:
    if (!in.is_boolean())
      wrong_type(path, "a boolean", in);
    *static_cast<bool*>(at) = in.get<bool>();
    return;
  case kind::integer:
    *static_cast<int64_t*>(at) = to_integer(in, path);
    check_range(*static_cast<int64_t*>(at), f, path);
    return;
  case kind::text:
    *static_cast<std::string*>(at) = to_checked_text(in, f, path);
    return;
  case kind::time: {
    auto time = in.is_string() ? parse_timestamp(in.get_ref<const std::string&>()) : std::nullopt;
    if (!time)
      wrong_type(path, kind_name(f), in);
    *static_cast<timestamp*>(at) = *time;
    return;
  }
  case kind::any:
    if (f.is_object && !in.is_object())
      wrong_type(path, "an object", in);
    static_cast<raw_json*>(at)->text = in.dump();
    return;
  case kind::list:
    decode_list(in, type, f, at, path);
    return;
  case kind::object:
    if (!in.is_object())
      wrong_type(path, "an object", in);
    decode(in, type.shape(), at, path);
    return;
  }
}

std::string below(const std::string& path, std::string_view name) {
  return path.empty() ? std::string{name} : fmt::format("{}.{}", path, name);
}

void refuse_unknown(const json& in, const record_shape& shape, const std::string& path) {
  for (const auto& [name, value] : in.items()) {
    if (shape.find(name))
      continue;
    auto known = shape.names();
    auto meant = nearest(name, known);
    auto hint = !meant.empty()  ? fmt::format("; did you mean {}?", meant)
                : known.empty() ? std::string{"; there are none"}
                                : fmt::format("; known are {}", join(known));
    throw bad_param(below(path, name.substr(0, 100)),
                    fmt::format("unknown parameter {}{}", below(path, name.substr(0, 100)), hint));
  }
}

void encode_value(std::string& out, const value_type& type, const void* at) {
  switch (type.what) {
  case kind::boolean:
    out += *static_cast<const bool*>(at) ? "true" : "false";
    return;
  case kind::integer:
    fmt::format_to(std::back_inserter(out), FMT_STRING("{}"), *static_cast<const int64_t*>(at));
    return;
  case kind::text:
    encode_text(out, *static_cast<const std::string*>(at));
    return;
  case kind::time:
    out += '"';
    out += to_text(*static_cast<const timestamp*>(at));
    out += '"';
    return;
  case kind::any:
    out += static_cast<const raw_json*>(at)->text;
    return;
  case kind::list: {
    out += '[';
    auto count = type.size(at);
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0)
        out += ',';
      encode_value(out, *type.element, type.at(at, i));
    }
    out += ']';
    return;
  }
  case kind::object:
    encode(out, type.shape(), at);
    return;
  }
}

json base_schema(const value_type& type, const field& f, schema_use use) {
  switch (type.what) {
  case kind::boolean:
    return {{"type", "boolean"}};
  case kind::integer:
    return {{"type", "integer"}};
  case kind::text:
  case kind::time:
    return {{"type", "string"}};
  case kind::any:
    return f.is_object ? json{{"type", "object"}} : json::object();
  case kind::list:
    return {{"type", "array"}, {"items", base_schema(*type.element, f, use)}};
  case kind::object:
    return schema_of(type.shape(), use);
  }
  return {};
}

/// The default as JSON, if it says something: an absent value and an empty list go without saying.
std::optional<json> default_of(const field& f, const record_shape& shape) {
  if (f.required || f.type->optional || !shape.defaults || f.type->what == kind::list)
    return {};
  std::string text;
  encode_value(text, *f.type, member(shape.defaults, f));
  return json::parse(text);
}

json field_schema(const field& f, const record_shape& shape, schema_use use) {
  auto out = base_schema(*f.type, f, use);
  if (!f.doc.empty())
    out["description"] = f.doc;
  if (!f.words.empty())
    (f.type->what == kind::list ? out["items"] : out)["enum"] = f.words;
  if (use == schema_use::result)
    return out;
  if (f.type->what == kind::integer && f.least != std::numeric_limits<int64_t>::min())
    out["minimum"] = f.least;
  if (f.type->what == kind::integer && f.most != std::numeric_limits<int64_t>::max())
    out["maximum"] = f.most;
  if (auto value = default_of(f, shape))
    out["default"] = *value;
  return out;
}

} // namespace

field field::range(int64_t from, int64_t to) && {
  least = from;
  most = to;
  return std::move(*this);
}

field field::at_least(int64_t from) && {
  least = from;
  return std::move(*this);
}

field field::one_of(std::vector<std::string_view> accepted) && {
  words = std::move(accepted);
  return std::move(*this);
}

field field::trimmed() && {
  is_name = true;
  return std::move(*this);
}

field field::session() && {
  is_session = true;
  return std::move(*this);
}

field field::computed() && {
  is_column = false;
  return std::move(*this);
}

field field::object() && {
  is_object = true;
  return std::move(*this);
}

field field::also_called(std::string_view older_name) && {
  alias = older_name;
  return std::move(*this);
}

const field* record_shape::find(std::string_view name) const {
  for (const auto& f : fields)
    if (f.name == name || (!f.alias.empty() && f.alias == name))
      return &f;
  return nullptr;
}

std::vector<std::string_view> record_shape::names() const {
  std::vector<std::string_view> out;
  for (const auto& f : fields)
    out.push_back(f.name);
  return out;
}

void decode(const json& in, const record_shape& shape, void* base, const std::string& path) {
  std::size_t used = 0;
  for (const auto& f : shape.fields) {
    auto found = in.find(f.name);
    if (found != in.end())
      ++used;
    if (!f.alias.empty()) {
      auto older = in.find(f.alias);
      if (older != in.end()) {
        if (found != in.end())
          throw bad_param(
            below(path, f.alias),
            fmt::format("give {} or {}, not both", below(path, f.name), below(path, f.alias)));
        ++used;
        found = older;
      }
    }
    if (found == in.end() || found->is_null()) {
      if (f.required)
        throw bad_param(below(path, f.name),
                        fmt::format("{} is required: {}", below(path, f.name), kind_name(f)));
      continue;
    }
    decode_value(*found, *f.type, f, member(base, f), below(path, f.name));
  }
  if (used != in.size())
    refuse_unknown(in, shape, path);
}

void encode(std::string& out, const record_shape& shape, const void* base) {
  char before = '{';
  for (const auto& f : shape.fields) {
    auto at = member(base, f);
    if (f.type->optional && !(at = f.type->peek(at)))
      continue;
    out += before;
    before = ',';
    out += '"';
    out += f.name;
    out += "\":";
    encode_value(out, *f.type, at);
  }
  if (before == '{')
    out += before;
  out += '}';
}

void encode_text(std::string& out, std::string_view text) {
  auto plain = std::all_of(text.begin(), text.end(),
                           [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    out += '"';
    out += text;
    out += '"';
  } else {
    out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

json schema_of(const record_shape& shape, schema_use use) {
  auto properties = json::object();
  auto needed = json::array();
  for (const auto& f : shape.fields) {
    properties[std::string{f.name}] = field_schema(f, shape, use);
    if (f.required)
      needed.push_back(f.name);
  }
  json out{{"type", "object"}};
  if (!properties.empty())
    out["properties"] = std::move(properties);
  if (!needed.empty())
    out["required"] = std::move(needed);
  if (use == schema_use::parameters)
    out["additionalProperties"] = false;
  return out;
}

raw_json json_or_text(std::string text) {
  if (json::accept(text))
    return {std::move(text)};
  std::string quoted;
  encode_text(quoted, text);
  return {quoted};
}

} // namespace orch
