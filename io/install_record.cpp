#include "io/install_record.hpp"

#include "io/files.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

found_before look_at(const install_part& part, const std::optional<std::string>& text) {
  found_before found{text.has_value(), {}, directory_above(part.path), {}};
  if (text && says_nothing(*text))
    found.text = text;
  if (!text || found.text || part.containers.empty())
    return found;
  json_text settings{*text};
  for (const auto& path : part.containers)
    if (auto value = settings.at(path); value.is_structured())
      found.containers[path] = settings.empty_at(path).value_or(value.is_array() ? "[]" : "{}");
  return found;
}

json written(const found_before& found) {
  auto containers = json::array();
  for (const auto& [path, text] : found.containers)
    containers.push_back({{"path", path}, {"text", text}});
  return {{"existed", found.existed},
          {"text", found.text ? json(*found.text) : json()},
          {"keep", found.keep.string()},
          {"containers", containers}};
}

found_before read(const json& entry) {
  found_before found{entry.at("existed").get<bool>(), {}, entry.at("keep").get<std::string>(), {}};
  if (const auto& text = entry.at("text"); !text.is_null())
    found.text = text.get<std::string>();
  for (const auto& container : entry.at("containers"))
    found.containers[container.at("path").get<json_path>()] = container.at("text");
  return found;
}

} // namespace

fs::path record_file(const install_places& places) {
  auto state = places.state_home.empty() ? places.home / ".local" / "state" : places.state_home;
  return state / "codex-orchestrator" / "before-install.json";
}

install_record::install_record(fs::path file) : file_{std::move(file)} {
  try {
    before_ = read_file(file_);
    if (!before_)
      return;
    auto record = json::parse(*before_);
    keep_ = record.at("keep").get<std::string>();
    for (const auto& [path, entry] : record.at("files").items())
      files_[path] = read(entry);
  } catch (const std::exception& e) {
    files_.clear();
    problem_ = fmt::format("{} does not say what was there before the installation: {}",
                           file_.string(), e.what());
  }
}

const found_before* install_record::find(const install_part& part) const {
  auto found = files_.find(part.path.string());
  return found == files_.end() ? nullptr : &found->second;
}

void install_record::remember(const install_part& part, const std::optional<std::string>& text) {
  auto known = find(part);
  // Somebody may have been killed before the file was made, but behind its directories.
  if (!known || known->existed || text)
    files_[part.path.string()] = look_at(part, text);
}

file_change install_record::change() const {
  file_change change{file_, before_, {}, "record of what was there before", 0600, keep()};
  if (!files_.empty())
    change.after = text();
  return change;
}

/// The directory of the record itself is ours in any case.
std::string install_record::keep() const {
  return keep_.empty() ? directory_above(file_.parent_path()).string() : keep_;
}

std::string install_record::text() const {
  auto files = json::object();
  for (const auto& [path, found] : files_)
    files[path] = written(found);
  json record{{"keep", keep()}, {"files", files}};
  return record.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace orch
