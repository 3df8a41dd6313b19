#include "io/install.hpp"

#include "io/files.hpp"
#include "io/git.hpp"
#include "io/install_parts.hpp"
#include "io/install_record.hpp"
#include "io/marked_block.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

namespace orch {

namespace fs = std::filesystem;

namespace {

std::vector<install_part> parts_of(const install_request& request) {
  return request.client == agent_client::codex ? codex_parts(request) : claude_parts(request);
}

/// A path from the environment; the other one if it is not set.
fs::path path_from(const char* name, const fs::path& otherwise) {
  auto value = std::getenv(name);
  return value && *value ? fs::absolute(value) : otherwise;
}

std::string stale_because(const install_part& part, const std::string& text,
                          const fs::path& program) {
  auto starts = part.program_in ? part.program_in(text) : std::nullopt;
  std::error_code unreadable;
  if (!starts || *starts == program)
    return "differs from what this version writes";
  if (!fs::exists(*starts, unreadable))
    return fmt::format("starts {}, which is gone", starts->string());
  return fmt::format("starts {}, another program than this one, {}", starts->string(),
                     program.string());
}

installed_part state_of(const install_part& part, const fs::path& program) {
  installed_part found{{part.path.string()}, part.what};
  try {
    auto without = change_of(part, install_action::remove, nullptr);
    found.present = without.changes() && !part.foreign;
    found.stale = found.present && change_of(part, install_action::add, nullptr).changes();
    if (found.stale)
      found.reason = stale_because(part, without.before.value_or(""), program);
  } catch (const std::exception& e) {
    found.reason = e.what();
  }
  return found;
}

void show(const install_plan& plan, const install_options& options) {
  for (const auto& file : plan.files)
    std::cout << diff_of(file);
  if (!plan.changes())
    std::cout << (options.uninstall ? "Nothing of codex-orchestrator is installed there.\n"
                                    : "Everything is installed already.\n");
}

void list(const file_change& file) {
  if (file.changes())
    fmt::print("{} {} ({})\n",
               !file.after   ? "removed"
               : file.before ? "changed"
                             : "made   ",
               file.path.string(), file.reason);
}

} // namespace

std::string_view word_for(agent_client client) {
  return client == agent_client::codex ? "codex" : "claude";
}

install_places places_of_user(const std::optional<fs::path>& repo) {
  auto home = std::getenv("HOME");
  if (!home || !*home)
    throw std::runtime_error{"HOME is not set, so there is no user to install for"};
  install_places places{fs::absolute(home), {}, {}, {}};
  places.codex_home = path_from("CODEX_HOME", places.home / ".codex");
  places.claude_home = path_from("CLAUDE_CONFIG_DIR", places.home / ".claude");
  places.claude_state = path_from("CLAUDE_CONFIG_DIR", places.home) / ".claude.json";
  places.state_home = path_from("XDG_STATE_HOME", {});
  if (repo) {
    auto layout = find_repository(*repo);
    if (layout.bare)
      throw std::runtime_error{
        fmt::format("{} is a bare repository without files", layout.root.string())};
    places.repo = layout.root;
  }
  return places;
}

fs::path own_program() {
  return fs::read_symlink("/proc/self/exe");
}

bool install_plan::changes() const {
  return std::ranges::any_of(files, &file_change::changes);
}

bool says_nothing(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);
  std::string rest{text};
  std::erase_if(rest,
                [](char c) { return std::string_view{" \t\r\n"}.find(c) != std::string::npos; });
  return rest.empty() || rest == "{}";
}

json_text settings_in(const std::string& text, const found_before* was) {
  json_text settings{text};
  if (was)
    for (const auto& [path, written] : was->containers)
      settings.keep(path, written);
  return settings;
}

file_change change_of(const install_part& part, install_action action, const found_before* was) {
  auto before = read_file(part.path);
  try {
    auto text = part.edit(before.value_or(""), action, was);
    file_change change{part.path, before, text, part.what, part.mode, was ? was->keep : part.keep};
    if (!says_nothing(text))
      return change;
    // A file that was found empty is not ours to remove.
    if (before && says_nothing(*before))
      change.after = before;
    else if (!before || !was || !was->existed)
      change.after.reset();
    else if (was->text)
      change.after = was->text;
    if (!before && !was)
      change.keep.clear(); // then its directories are not ours either
    return change;
  } catch (const bad_text& e) {
    throw std::runtime_error{
      fmt::format("{}:{}: {}; nothing was written", part.path.string(), e.line, e.what())};
  } catch (const std::exception& e) {
    throw std::runtime_error{
      fmt::format("{}: {}; nothing was written", part.path.string(), e.what())};
  }
}

install_plan plan_install(const install_request& request, install_action action) {
  install_plan plan;
  install_record record{record_file(request.places)};
  for (const auto& part : parts_of(request)) {
    if (action == install_action::remove && part.stays)
      continue;
    auto change = change_of(part, action, record.find(part));
    if (action == install_action::remove) {
      record.forget(part);
    } else {
      change.keep = directory_above(part.path);
      if (!change_of(part, install_action::remove, nullptr).changes())
        record.remember(part, change.before);
    }
    plan.files.push_back(std::move(change));
  }
  plan.record = record.change();
  plan.notes = request.client == agent_client::codex ? codex_notes(request, action)
                                                     : claude_notes(request, action);
  if (!record.problem().empty())
    plan.notes.push_back(record.problem());
  return plan;
}

void carry_out(const install_plan& plan, install_action action) {
  // The record is there before and behind everything that it tells of, even if we are killed.
  if (action == install_action::remove) {
    apply_changes(plan.files);
    apply_changes({plan.record});
    return;
  }
  apply_changes({plan.record});
  try {
    apply_changes(plan.files);
  } catch (...) {
    auto back = plan.record;
    std::swap(back.before, back.after);
    apply_changes({back});
    throw;
  }
}

std::vector<installed_part> installed_state(const install_request& request) {
  std::vector<installed_part> all;
  for (const auto& part : parts_of(request))
    all.push_back(state_of(part, request.program));
  return all;
}

int run_install(const install_options& options) {
  install_request request{options.client, places_of_user(options.repo), own_program()};
  if (options.check)
    return check_install(request);
  auto action = options.uninstall ? install_action::remove : install_action::add;
  auto plan = plan_install(request, action);
  show(plan, options);
  if (options.dry_run) {
    std::cout << "Dry run: nothing was written.\n";
    return 0;
  }
  carry_out(plan, action);
  for (const auto& file : plan.files)
    list(file);
  list(plan.record);
  for (const auto& note : plan.notes)
    std::cout << "Note: " << note << "\n";
  return 0;
}

} // namespace orch
