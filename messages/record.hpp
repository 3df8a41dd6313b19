#pragma once

// A struct that lists its fields. From that one list come decoding and validation of parameters,
// the JSON of answers, JSON Schemas, the documentation, and (in storage/) the SQL columns.

#include "messages/error.hpp"
#include "messages/timestamp.hpp"

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

using json = nlohmann::json;

/// One JSON value of any type, kept as its text. Always valid JSON, never empty once set.
struct raw_json {
  std::string text = "null";

  bool operator==(const raw_json&) const = default;
};

/// What a field holds, as far as JSON and SQL care.
enum class kind : uint8_t { boolean, integer, text, time, any, list, object };

struct record_shape;

/// How to reach into a C++ type without knowing it; one instance for each type (`type_of`).
/// A null function pointer means that the question does not arise for the kind.
struct value_type {
  kind what;
  bool optional = false;
  const void* (*peek)(const void*) = nullptr;            ///< optional: its content or null
  void* (*make)(void*) = nullptr;                        ///< optional: a fresh content
  const value_type* element = nullptr;                   ///< list: what it holds
  std::size_t (*size)(const void*) = nullptr;            ///< list
  const void* (*at)(const void*, std::size_t) = nullptr; ///< list
  void* (*push)(void*) = nullptr;                        ///< list: a fresh element at its end
  const record_shape& (*shape)() = nullptr;              ///< object
};

/// One member of a record. The builder functions may be chained in a field list.
struct field {
  std::string_view name;
  std::string_view doc;
  const value_type* type = nullptr;
  std::size_t offset = 0; ///< from the start of the record
  bool required = false;
  bool is_name = false;    ///< trimmed; must not be empty
  bool is_session = false; ///< names a session, so that the request counts as its sign of life
  bool is_column = true;   ///< stored in the record's table; false: worked out when read
  bool is_object = false;  ///< kind::any that must be a JSON object
  int64_t least = std::numeric_limits<int64_t>::min();
  int64_t most = std::numeric_limits<int64_t>::max();
  std::vector<std::string_view> words; ///< if any: the only accepted values
  std::string_view alias;              ///< an older name that is accepted too

  field range(int64_t from, int64_t to) &&;
  field at_least(int64_t from) &&;
  field one_of(std::vector<std::string_view> accepted) &&;
  field trimmed() &&;
  field session() &&;
  field computed() &&;
  field object() &&;
  field also_called(std::string_view older_name) &&;
};

using field_list = std::vector<field>;

template <class T>
concept record = requires(T& x) {
  { x.fields() } -> std::same_as<field_list>;
};

/// The fields of a record type, and a default-built one to take the defaults from.
struct record_shape {
  field_list fields;
  const void* defaults = nullptr;

  const field* find(std::string_view name) const;
  std::vector<std::string_view> names() const;
};

template <class T>
struct type_of;

template <kind Kind>
struct plain_type {
  static constexpr value_type value{.what = Kind};
};

template <>
struct type_of<bool> : plain_type<kind::boolean> {};
template <>
struct type_of<int64_t> : plain_type<kind::integer> {};
template <>
struct type_of<std::string> : plain_type<kind::text> {};
template <>
struct type_of<timestamp> : plain_type<kind::time> {};
template <>
struct type_of<raw_json> : plain_type<kind::any> {};

/// The shape of `T`, worked out once. `fields()` runs on a default-built instance that lives on
/// as the source of defaults; only the offsets are kept.
template <record T>
const record_shape& shape_of() {
  static const record_shape shape = [] {
    static T sample{};
    record_shape made{sample.fields(), &sample};
    for (auto& f : made.fields)
      f.offset -= reinterpret_cast<std::size_t>(&sample);
    return made;
  }();
  return shape;
}

template <record T>
struct type_of<T> {
  static constexpr value_type value{.what = kind::object, .shape = shape_of<T>};
};

template <class T>
struct type_of<std::optional<T>> {
  static const void* peek(const void* at) {
    const auto& x = *static_cast<const std::optional<T>*>(at);
    return x ? &*x : nullptr;
  }
  static void* make(void* at) { return &static_cast<std::optional<T>*>(at)->emplace(); }

  static constexpr value_type value = [] {
    auto inner = type_of<T>::value;
    inner.optional = true;
    inner.peek = peek;
    inner.make = make;
    return inner;
  }();
};

template <class T>
struct type_of<std::vector<T>> {
  static std::size_t size(const void* at) { return static_cast<const std::vector<T>*>(at)->size(); }
  static const void* element_at(const void* at, std::size_t i) {
    return &(*static_cast<const std::vector<T>*>(at))[i];
  }
  static void* push(void* at) { return &static_cast<std::vector<T>*>(at)->emplace_back(); }

  static constexpr value_type value{.what = kind::list,
                                    .element = &type_of<T>::value,
                                    .size = size,
                                    .at = element_at,
                                    .push = push};
};

/// A field that must be given. In a result: one that is always there.
template <class T>
field required(std::string_view name, T& member, std::string_view doc = {}) {
  field f;
  f.name = name;
  f.doc = doc;
  f.type = &type_of<T>::value;
  f.required = true;
  f.offset = reinterpret_cast<std::size_t>(&member);
  return f;
}

/// A field that may be left out: absent if the member is a std::optional, else its default.
template <class T>
field optional(std::string_view name, T& member, std::string_view doc = {}) {
  auto f = required(name, member, doc);
  f.required = false;
  return f;
}

/// A positive id, required or (for a std::optional member) not.
template <class T>
field id_of(std::string_view name, T& member, std::string_view doc = {}) {
  auto f = required(name, member, doc);
  f.required = !f.type->optional;
  f.least = 1;
  return f;
}

/// Fills `base`, which has shape `shape`, from a JSON object.
/// Throws `request_error` (invalid_params, `data.field`) for a missing, unknown, wrongly typed or
/// out-of-range member; null counts as absent.
void decode(const json& in, const record_shape& shape, void* base, const std::string& path = {});

/// Appends the record as a JSON object. Absent optional members are left out.
void encode(std::string& out, const record_shape& shape, const void* base);

/// Appends `text` as a JSON string; what is not UTF-8 in it becomes U+FFFD.
void encode_text(std::string& out, std::string_view text);

/// Where the schema is used: parameters forbid unknown members, results may grow.
enum class schema_use : uint8_t { parameters, result };

/// JSON Schema (2020-12) of a record.
json schema_of(const record_shape& shape, schema_use use);

template <record T>
std::string to_json_text(const T& x) {
  std::string out;
  encode(out, shape_of<T>(), &x);
  return out;
}

/// Parses `in` into a `T`; throws like `decode`.
template <record T>
T from_json(const json& in) {
  T x{};
  decode(in, shape_of<T>(), &x);
  return x;
}

/// `text` as a raw_json value: itself if it is JSON, else a JSON string of it.
raw_json json_or_text(std::string text);

inline const void* member(const void* base, const field& f) {
  return static_cast<const char*>(base) + f.offset;
}

inline void* member(void* base, const field& f) {
  return static_cast<char*>(base) + f.offset;
}

} // namespace orch
