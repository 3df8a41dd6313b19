#pragma once

// Changes single members of a JSON text and leaves every other byte as it is: order, indentation,
// numbers and escapes of a file that belongs to somebody else.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

using ordered_json = nlohmann::ordered_json;

/// Keys from the outside in; an element of an array is named by its number.
using json_path = std::vector<std::string>;

/// JSON that is nested deeper than this is not read: parsing it takes no stack, but what works on
/// the parsed value does.
inline constexpr std::size_t deepest_json = 500;

/// Follows the brackets of a JSON text that comes in pieces.
class json_nesting {
public:
  void read(std::string_view piece);

  /// The most objects and arrays that were open at the same time.
  std::size_t deepest() const { return deepest_; }

  /// An object or array began, and the outermost one has ended.
  bool closed() const { return deepest_ > 0 && depth_ == 0; }

private:
  std::size_t depth_ = 0;
  std::size_t deepest_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

/// An editable JSON text whose outermost value is an object. An empty text is an empty object.
class json_text {
public:
  /// Throws `bad_text` (io/marked_block) with the line if the text is no JSON, has comments, is
  /// nested too deep, or is no object.
  explicit json_text(std::string text);

  const std::string& text() const { return text_; }

  /// The value at `path`, or null (also for what is not there).
  ordered_json at(const json_path& path) const;

  /// The line (from 1) of the value at `path`; 1 if it is not there.
  std::size_t line_of(const json_path& path) const;

  /// The empty object or array at `path`, as it is written; nothing if there is none.
  std::optional<std::string> empty_at(const json_path& path) const;

  /// From now on `erase` leaves the object or array at `path` when it is empty, written like this.
  void keep(const json_path& path, const std::string& written);

  /// Sets a member of an object. Missing objects on the way are made. Throws `bad_text` that names
  /// the key if something on the way is no object.
  void set(const json_path& path, const ordered_json& value);

  /// Adds an element at the end of an array, which is made if it is missing.
  void append(const json_path& path, const ordered_json& value);

  /// Takes out a member or an element, and then the objects and arrays around it that are empty and
  /// need not be kept.
  void erase(const json_path& path);

private:
  void replace(std::size_t begin, std::size_t end, std::string_view by);
  void insert(const json_path& container, const std::string& entry);
  std::string own(const std::string& lines) const;
  [[noreturn]] void refuse(const json_path& path, std::string_view wanted) const;

  std::string text_;
  ordered_json value_;
  std::map<json_path, std::string> kept_;
};

} // namespace orch
