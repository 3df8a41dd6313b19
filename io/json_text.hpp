#pragma once

// Changes single members of a JSON text and leaves every other byte as it is: order, indentation,
// numbers and escapes of a file that belongs to somebody else.

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

using ordered_json = nlohmann::ordered_json;

/// Keys from the outside in; an element of an array is named by its number.
using json_path = std::vector<std::string>;

/// An editable JSON text whose outermost value is an object. An empty text is an empty object.
class json_text {
public:
  /// Throws `bad_text` (io/marked_block) with the line if the text is no JSON, has comments, or is
  /// no object.
  explicit json_text(std::string text);

  const std::string& text() const { return text_; }

  /// The value at `path`, or null (also for what is not there).
  ordered_json at(const json_path& path) const;

  /// The line (from 1) of the value at `path`; 1 if it is not there.
  std::size_t line_of(const json_path& path) const;

  /// Sets a member of an object. Missing objects on the way are made. Throws `std::runtime_error`
  /// that names the key if something on the way is no object.
  void set(const json_path& path, const ordered_json& value);

  /// Adds an element at the end of an array, which is made if it is missing.
  void append(const json_path& path, const ordered_json& value);

  /// Takes out a member or an element, and then the objects and arrays around it that are empty.
  void erase(const json_path& path);

private:
  void replace(std::size_t begin, std::size_t end, std::string_view by);
  void insert(const json_path& container, const std::string& entry);

  std::string text_;
  ordered_json value_;
};

} // namespace orch
