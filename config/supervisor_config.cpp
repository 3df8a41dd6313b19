#include "config/supervisor_config.hpp"

#include "config/located_json.hpp"
#include "io/files.hpp"
#include "io/git_layout.hpp"
#include "io/json_text.hpp"
#include "messages/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

namespace orch {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_config = 1U << 20;
constexpr std::string_view name_letters =
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

/// A key that nobody knows is quoted where it could be taken for something else.
std::string below(const std::string& path, std::string_view key) {
  auto word = key.find_first_not_of(name_letters) == std::string_view::npos && !key.empty()
              && key.find('.') == std::string_view::npos;
  std::string last{beginning_of(key, 100)};
  if (!word) {
    std::string quoted;
    encode_text(quoted, last);
    return fmt::format("{}[{}]", path, quoted);
  }
  return path.empty() ? last : fmt::format("{}.{}", path, last);
}

/// A value that is neither object nor list, as `decode` takes it.
struct scalar {
  bool boolean = false;
  int64_t integer = 0;
  std::string text;
  timestamp time;
  raw_json any;

  void* of(kind what) {
    switch (what) {
    case kind::boolean:
      return &boolean;
    case kind::integer:
      return &integer;
    case kind::text:
      return &text;
    case kind::time:
      return &time;
    case kind::any:
      return &any;
    case kind::list:
    case kind::object:
      break;
    }
    throw std::logic_error{"not a scalar"};
  }
};

/// Throws `request_error`, whose text begins with the key.
scalar decoded(const json& value, field f, const value_type& type, const std::string& key) {
  auto present = type;
  present.optional = false;
  f.name = key;
  f.alias = {};
  f.type = &present;
  f.offset = 0;
  scalar made;
  auto in = json::object();
  in[key] = value;
  decode(in, record_shape{{f}, nullptr}, made.of(present.what));
  return made;
}

struct finding {
  std::size_t byte = 0;
  bool on_disk = false; ///< not the file's fault, and it may be gone tomorrow
  config_problem problem;
};

/// Where a repository was named, to compare the others with.
struct named_repository {
  std::string key;
  std::size_t line = 0;
  fs::path path;
  std::optional<repository_layout> layout;
};

class examination {
public:
  explicit examination(fs::path file) : file_{std::move(file)} {}

  /// In the order of the file. `read` has to be called first.
  const std::vector<finding>& findings() const { return findings_; }
  supervision result() const;

  void read();

private:
  void report(text_place at, std::string key, std::string message) {
    findings_.push_back({at.byte, false, {at.line, std::move(key), std::move(message)}});
  }

  void check_object(const located& at, const record_shape& shape, const std::string& key);
  void check_value(const located& at, const field& f, const value_type& type,
                   const std::string& key);
  void check_scalar(const located& at, const field& f, const value_type& type,
                    const std::string& key);
  void check_repositories();
  void check_name(const located& name, const std::string& key);
  void check_path(const located& path, const std::string& key);
  fs::path resolved(const std::string& written) const;

  fs::path file_;
  located root_;
  std::vector<finding> findings_;
  std::map<std::string, text_place> names_;
  std::vector<named_repository> repositories_;
};

std::string unknown_key(const std::string& key, const record_shape& shape) {
  auto known = shape.names();
  auto meant = nearest(key, known);
  return meant.empty() ? fmt::format("unknown key; known are {}", fmt::join(known, ", "))
                       : fmt::format("unknown key; did you mean {}?", meant);
}

void examination::check_object(const located& at, const record_shape& shape,
                               const std::string& key) {
  if (!at.value.is_object()) {
    report(at.at, key, fmt::format("must be an object, not {}", at.value.type_name()));
    return;
  }
  std::map<const field*, std::size_t> line_of;
  for (const auto& part : at.parts) {
    auto path = below(key, part.key);
    auto f = shape.find(part.key);
    if (!f) {
      report(part.key_at, path, unknown_key(part.key, shape));
      continue;
    }
    auto [first, is_first] = line_of.try_emplace(f, part.key_at.line);
    if (!is_first)
      report(part.key_at, path, fmt::format("is given twice, first in line {}", first->second));
    check_value(part, *f, *f->type, path);
  }
  for (const auto& f : shape.fields)
    if (f.required && !line_of.contains(&f))
      report(at.at, below(key, f.name), fmt::format("is missing: {}", f.doc));
}

void examination::check_value(const located& at, const field& f, const value_type& type,
                              const std::string& key) {
  if (type.what == kind::object)
    return check_object(at, type.shape(), key);
  if (type.what != kind::list)
    return check_scalar(at, f, type, key);
  if (!at.value.is_array())
    report(at.at, key, fmt::format("must be an array, not {}", at.value.type_name()));
  else
    for (std::size_t i = 0; i < at.parts.size(); ++i)
      check_value(at.parts[i], f, *type.element, fmt::format("{}[{}]", key, i));
}

void examination::check_scalar(const located& at, const field& f, const value_type& type,
                               const std::string& key) {
  // Elsewhere null counts as absent, in a merge patch it takes away: here it says nothing clear.
  if (at.value.is_null())
    return report(at.at, key, "must not be null; leave it out instead");
  try {
    decoded(at.value, f, type, key);
  } catch (const request_error& e) {
    std::string message = e.what();
    if (message.starts_with(key + " "))
      message.erase(0, key.size() + 1);
    if (!f.words.empty() && at.value.is_string()) {
      message += ", not ";
      encode_text(message, beginning_of(at.value.get_ref<const std::string&>(), 100));
    }
    report(at.at, key, std::move(message));
  }
}

/// Only texts that are fine so far; the others have been reported.
std::optional<std::string> text_of(const located& at, std::string_view name) {
  try {
    const auto& f = *shape_of<supervised_repository>().find(name);
    return decoded(at.value, f, *f.type, std::string{name}).text;
  } catch (const request_error&) {
    return {};
  }
}

void examination::check_repositories() {
  auto all = part_of(root_, "repositories");
  if (!all || !all->value.is_array())
    return;
  for (std::size_t i = 0; i < all->parts.size(); ++i) {
    auto key = fmt::format("repositories[{}].", i);
    if (auto name = part_of(all->parts[i], "name"))
      check_name(*name, key + "name");
    if (auto path = part_of(all->parts[i], "path"))
      check_path(*path, key + "path");
  }
}

void examination::check_name(const located& name, const std::string& key) {
  auto text = text_of(name, "name");
  if (!text)
    return;
  if (text->find_first_not_of(name_letters) != std::string::npos || *text == "." || *text == "..") {
    std::string quoted;
    encode_text(quoted, beginning_of(*text, 100));
    report(name.at, key,
           fmt::format("may have letters, digits, '.', '_' and '-' and be neither . nor .., not {}",
                       quoted));
  } else if (text->size() > longest_repository_name) {
    report(
      name.at, key,
      fmt::format("must have at most {} bytes, not {}", longest_repository_name, text->size()));
  }
  auto [first, is_first] = names_.try_emplace(*text, name.at);
  if (!is_first)
    report(name.at, key, fmt::format("is the name of another one, in line {}", first->second.line));
}

fs::path examination::resolved(const std::string& written) const {
  if (written.find('\0') != std::string::npos)
    throw std::runtime_error{"must not have a NUL character"};
  if (written != "~" && !written.starts_with("~/"))
    return settled(fs::absolute(file_).parent_path() / written);
  auto home = std::getenv("HOME");
  if (!home || *home != '/')
    throw std::runtime_error{"begins with ~, but HOME names no absolute path"};
  return settled(home + written.substr(1));
}

void examination::check_path(const located& path, const std::string& key) {
  auto text = text_of(path, "path");
  if (!text)
    return;
  named_repository found{key, path.at.line, {}, {}};
  try {
    found.path = resolved(*text);
  } catch (const std::exception& e) {
    return report(path.at, key, e.what());
  }
  try {
    found.layout = find_repository(found.path);
  } catch (const std::exception& e) {
    findings_.push_back({path.at.byte, true, {path.at.line, key, e.what()}});
  }
  auto same = [&](const named_repository& other) {
    return other.path == found.path
           || (other.layout && found.layout && other.layout->git_dir == found.layout->git_dir);
  };
  auto other = std::find_if(repositories_.begin(), repositories_.end(), same);
  if (other != repositories_.end())
    report(path.at, key,
           fmt::format("is the same {} as {} in line {}: {}",
                       other->path == found.path ? "directory" : "repository", other->key,
                       other->line,
                       (other->path == found.path ? found.path : found.layout->root).string()));
  repositories_.push_back(std::move(found));
}

void examination::read() {
  auto text = read_file(file_, longest_config);
  if (!text)
    throw std::runtime_error{fmt::format("{} does not exist", file_.string())};
  auto made = read_located(*text);
  if (!made.failure.empty())
    return report(made.failed_at, {}, made.failure);
  root_ = std::move(made.root);
  check_object(root_, shape_of<supervisor_config>(), {});
  check_repositories();
  std::stable_sort(findings_.begin(), findings_.end(),
                   [](const finding& a, const finding& b) { return a.byte < b.byte; });
}

/// The config of a file with no other findings than those on the disk.
supervision examination::result() const {
  auto whole = plain(root_);
  auto config = from_json<supervisor_config>(whole);
  supervision made{{}, config.reviewers_at_once};
  for (std::size_t i = 0; i < config.repositories.size(); ++i) {
    auto settings = whole.value("settings", json::object());
    settings.merge_patch(whole["repositories"][i].value("settings", json::object()));
    made.targets.push_back(
      {config.repositories[i].name, repositories_[i].path, std::move(settings)});
  }
  return made;
}

std::string in_one_line(const fs::path& file, const config_problem& problem) {
  auto text = file.string();
  if (problem.line > 0)
    text += fmt::format(":{}", problem.line);
  if (!problem.key.empty())
    text += ": " + problem.key;
  return text + ": " + problem.message;
}

} // namespace

std::vector<config_problem> check_supervisor_config(const fs::path& file) {
  examination examined{file};
  examined.read();
  std::vector<config_problem> problems;
  for (const auto& found : examined.findings())
    problems.push_back(found.problem);
  return problems;
}

supervision read_supervisor_config(const fs::path& file) {
  examination examined{file};
  examined.read();
  for (const auto& found : examined.findings())
    if (!found.on_disk)
      throw std::runtime_error{in_one_line(file, found.problem)};
  return examined.result();
}

int print_config_check(const fs::path& file) {
  try {
    examination examined{file};
    examined.read();
    for (const auto& found : examined.findings())
      std::cout << in_one_line(file, found.problem) << "\n";
    if (!examined.findings().empty())
      return 1;
    auto count = examined.result().targets.size();
    std::cout << fmt::format("{} is fine: {} {}\n", file.string(), count,
                             count == 1 ? "repository" : "repositories");
    return 0;
  } catch (const std::exception& e) {
    std::cout << e.what() << "\n";
    return 1;
  }
}

} // namespace orch
