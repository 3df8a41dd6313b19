#include "io/json_text.hpp"

#include "io/marked_block.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace orch {

namespace {

/// One member or element as it stands in the text; `key` is empty in arrays.
struct entry {
  std::string key;
  std::size_t begin = 0; ///< of the key, or of the value in arrays
  std::size_t value = 0;
  std::size_t end = 0;
};

/// Walks over a text that is known to be JSON.
class scanner {
public:
  scanner(const std::string& text, std::size_t at) : text_{text}, at_{at} {}

  std::size_t at() const { return at_; }

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  void skip_string() {
    for (++at_; text_[at_] != '"'; ++at_)
      if (text_[at_] == '\\')
        ++at_;
    ++at_;
  }

  void skip_value() {
    auto depth = 0;
    do {
      skip_space();
      auto c = text_[at_];
      if (c == '"')
        skip_string();
      else if (c == '{' || c == '[')
        ++depth, ++at_;
      else if (c == '}' || c == ']')
        --depth, ++at_;
      else if (c == ',' || c == ':')
        ++at_;
      else
        at_ = std::min(text_.find_first_of(" \t\r\n,:]}", at_), text_.size());
    } while (depth > 0);
  }

  /// The entries of the object or array that begins here; ends before its closing bracket.
  std::vector<entry> entries() {
    auto keyed = text_[at_] == '{';
    std::vector<entry> found;
    for (++at_, skip_space(); text_[at_] != '}' && text_[at_] != ']'; skip_space()) {
      if (text_[at_] == ',')
        ++at_, skip_space();
      found.push_back(next(keyed));
    }
    return found;
  }

private:
  entry next(bool keyed) {
    entry made;
    made.begin = at_;
    if (keyed) {
      skip_string();
      made.key = nlohmann::json::parse(text_.substr(made.begin, at_ - made.begin));
      skip_space();
      ++at_; // the colon
      skip_space();
    }
    made.value = at_;
    skip_value();
    made.end = at_;
    return made;
  }

  const std::string& text_;
  std::size_t at_;
};

std::size_t start_of(const std::string& text) {
  auto behind_mark = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  return text.find_first_not_of(" \t\r\n", static_cast<std::size_t>(behind_mark));
}

std::vector<entry> entries_at(const std::string& text, std::size_t container) {
  return scanner{text, container}.entries();
}

/// An element's number; nothing if that is none.
std::optional<std::size_t> number_of(const std::string& name) {
  std::size_t number = 0;
  auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failed != std::errc{} || end != name.data() + name.size())
    return {};
  return number;
}

const entry* find_entry(const std::vector<entry>& all, bool keyed, const std::string& name) {
  if (!keyed) {
    auto number = number_of(name);
    return number && *number < all.size() ? &all[*number] : nullptr;
  }
  // Of members with the same name the last one counts.
  auto found =
    std::find_if(all.rbegin(), all.rend(), [&](const entry& e) { return e.key == name; });
  return found == all.rend() ? nullptr : &*found;
}

bool is_container(char c) {
  return c == '{' || c == '[';
}

/// Where the value at `path` begins; nothing if it is not there.
std::optional<std::size_t> value_at(const std::string& text, const json_path& path) {
  auto here = start_of(text);
  for (const auto& name : path) {
    if (!is_container(text[here]))
      return {};
    auto all = entries_at(text, here);
    auto found = find_entry(all, text[here] == '{', name);
    if (!found)
      return {};
    here = found->value;
  }
  return here;
}

/// What the file indents by: the white space before its first member, or two spaces.
std::string indentation_of(const std::string& text) {
  auto first = text.find('\n');
  auto begin = first == std::string::npos ? first : text.find_first_not_of("\r\n", first);
  auto end = begin == std::string::npos ? begin : text.find_first_not_of(" \t", begin);
  if (end == std::string::npos || end == begin || text[end] == '}')
    return "  ";
  return text.substr(begin, end - begin);
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i)
    all += text;
  return all;
}

/// The value over several lines, as it looks `depth` levels inside.
std::string written(const ordered_json& value, const std::string& indentation, std::size_t depth) {
  auto one = indentation[0];
  auto text = value.dump(static_cast<int>(indentation.size()), one);
  return with_line_ends(text, "\n" + repeated(indentation, depth));
}

std::string dotted(const json_path& path) {
  std::string text;
  for (const auto& name : path)
    text += (text.empty() ? "" : ".") + name;
  return text;
}

std::size_t line_with(const std::string& text, std::size_t byte) {
  auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

/// What people call a value of this kind.
std::string_view kind_of(const ordered_json& value) {
  if (value.is_object())
    return "an object";
  if (value.is_array())
    return "a list";
  if (value.is_string())
    return "a text";
  if (value.is_number())
    return "a number";
  return value.is_null() ? "null" : "a truth value";
}

ordered_json parsed(const std::string& text) {
  json_nesting nesting;
  nesting.read(text);
  if (nesting.deepest() > deepest_json)
    throw bad_text{1, fmt::format("nested deeper than {} levels", deepest_json)};
  try {
    return ordered_json::parse(text);
  } catch (const ordered_json::parse_error& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 3: why"
    std::string_view why = e.what();
    auto colon = why.find(": ");
    throw bad_text{line_with(text, e.byte > 0 ? e.byte - 1 : 0),
                   fmt::format("not plain JSON: {}",
                               colon == std::string_view::npos ? why : why.substr(colon + 2))};
  }
}

json_path parent_of(const json_path& path) {
  return {path.begin(), path.end() - 1};
}

} // namespace

void json_nesting::read(std::string_view piece) {
  for (auto c : piece)
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      deepest_ = std::max(deepest_, ++depth_);
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
    }
}

json_text::json_text(std::string text) : text_{std::move(text)} {
  if (text_.find_first_not_of(" \t\r\n") == std::string::npos)
    text_ = "{}\n";
  value_ = parsed(text_);
  if (!value_.is_object())
    throw bad_text{1, "not a JSON object"};
}

ordered_json json_text::at(const json_path& path) const {
  const auto* here = &value_;
  for (const auto& name : path) {
    if (here->is_object() && here->contains(name))
      here = &(*here)[name];
    else if (auto number = number_of(name); here->is_array() && number && *number < here->size())
      here = &(*here)[*number];
    else
      return nullptr;
  }
  return *here;
}

std::size_t json_text::line_of(const json_path& path) const {
  return line_with(text_, value_at(text_, path).value_or(0));
}

void json_text::replace(std::size_t begin, std::size_t end, std::string_view by) {
  auto changed = text_;
  changed.replace(begin, end - begin, by);
  value_ = parsed(changed);
  text_ = std::move(changed);
}

/// With the line ends of this text.
std::string json_text::own(const std::string& lines) const {
  return with_line_ends(lines, line_end_of(text_));
}

/// Puts an entry behind the last one of a container, on a line of its own unless all of them share
/// one line.
void json_text::insert(const json_path& container, const std::string& entry) {
  auto begin = value_at(text_, container).value();
  scanner over{text_, begin};
  auto all = over.entries();
  auto close = over.at();
  auto shared = !all.empty() && text_.find('\n', begin) > close;
  auto indentation = indentation_of(text_);
  auto line = "\n" + repeated(indentation, container.size() + 1);
  if (all.empty())
    replace(begin + 1, close, own(line + entry + "\n" + repeated(indentation, container.size())));
  else
    replace(all.back().end, all.back().end, own(shared ? ", " + entry : "," + line + entry));
}

std::optional<std::string> json_text::empty_at(const json_path& path) const {
  auto begin = value_at(text_, path);
  auto value = at(path);
  if (!begin || !value.is_structured() || !value.empty())
    return {};
  scanner over{text_, *begin};
  over.skip_value();
  return text_.substr(*begin, over.at() - *begin);
}

void json_text::keep(const json_path& path, const std::string& written) {
  kept_[path] = written;
}

void json_text::refuse(const json_path& path, std::string_view wanted) const {
  throw bad_text{line_of(path),
                 fmt::format("{} is {} and has to be {}", dotted(path), kind_of(at(path)), wanted)};
}

void json_text::set(const json_path& path, const ordered_json& value) {
  if (auto found = value_at(text_, path)) {
    if (at(path) == value)
      return;
    scanner over{text_, *found};
    over.skip_value();
    replace(*found, over.at(), own(written(value, indentation_of(text_), path.size())));
    return;
  }
  auto parent = parent_of(path);
  if (!value_at(text_, parent)) {
    auto made = ordered_json::object();
    made[path.back()] = value;
    set(parent, made);
    return;
  }
  if (!at(parent).is_object())
    refuse(parent, "an object: {...}");
  insert(parent, fmt::format("{}: {}", ordered_json(path.back()).dump(),
                             written(value, indentation_of(text_), path.size())));
}

void json_text::append(const json_path& path, const ordered_json& value) {
  if (!value_at(text_, path)) {
    set(path, ordered_json::array({value}));
    return;
  }
  if (!at(path).is_array())
    refuse(path, "a list: [...]");
  insert(path, written(value, indentation_of(text_), path.size() + 1));
}

void json_text::erase(const json_path& path) {
  auto parent = parent_of(path);
  auto container = value_at(text_, parent);
  if (!container || !value_at(text_, path))
    return;
  scanner over{text_, *container};
  auto all = over.entries();
  auto found = find_entry(all, text_[*container] == '{', path.back());
  auto number = static_cast<std::size_t>(found - all.data());
  auto kept = kept_.find(parent);
  if (all.size() == 1 && kept != kept_.end())
    replace(*container, over.at() + 1, kept->second);
  else if (all.size() == 1 && !parent.empty())
    erase(parent);
  else if (all.size() == 1)
    replace(*container + 1, over.at(), "");
  else if (number + 1 < all.size())
    replace(found->begin, all[number + 1].begin, "");
  else
    replace(all[number - 1].end, found->end, "");
}

} // namespace orch
