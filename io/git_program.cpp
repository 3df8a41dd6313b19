#include "io/git_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace orch {

namespace {

constexpr std::array first_arguments{
  "git",
  "-c",
  "core.hooksPath=/dev/null",
  "-c",
  "core.fsmonitor=false",
  "-c",
  "core.pager=cat",
  "-c",
  "core.quotePath=false",
  "-c",
  "gc.auto=0",
  "-c",
  "maintenance.auto=false",
  "-c",
  "commit.gpgSign=false",
  "-c",
  "i18n.commitEncoding=UTF-8",
  "-c",
  "advice.detachedHead=false",
  "-c",
  "log.showSignature=false",
  "--no-pager",
  "--literal-pathspecs",
};

/// What would point git somewhere else, change what it prints or what paths mean.
constexpr std::array unwanted_names{
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_QUARANTINE_PATH",
  "GIT_COMMON_DIR",
  "GIT_NAMESPACE",
  "GIT_PREFIX",
  "GIT_IMPLICIT_WORK_TREE",
  "GIT_SHALLOW_FILE",
  "GIT_GRAFT_FILE",
  "GIT_CONFIG",
  "GIT_CONFIG_PARAMETERS",
  "GIT_CONFIG_COUNT",
  "GIT_GLOB_PATHSPECS",
  "GIT_NOGLOB_PATHSPECS",
  "GIT_ICASE_PATHSPECS",
  "GIT_EXTERNAL_DIFF",
  "GIT_DIFF_OPTS",
  "GIT_REFLOG_ACTION",
  "GIT_TRACE",
  "GIT_TRACE2",
  "LANGUAGE",
  "COLUMNS",
};

std::vector<std::pair<std::string, std::string>> environment_of(
  const git_command& command, const std::filesystem::path& directory) {
  std::vector<std::pair<std::string, std::string>> result{
    {"GIT_TERMINAL_PROMPT", "0"},
    {"GIT_ASKPASS", "false"},
    {"SSH_ASKPASS", "false"},
    {"GIT_EDITOR", "true"},
    {"GIT_SEQUENCE_EDITOR", "true"},
    {"GIT_PAGER", "cat"},
    {"GIT_OPTIONAL_LOCKS", "0"},
    {"LC_ALL", "C.UTF-8"},
    // A work tree that lost its .git must not be taken for the repository around it.
    {"GIT_CEILING_DIRECTORIES", directory.parent_path().string()},
  };
  result.insert(result.end(), command.environment.begin(), command.environment.end());
  return result;
}

/// A work tree that lost its .git must not be taken for the repository around it. Git is told not
/// to look there, but in a list whose separator cannot be quoted.
void must_be_known(const repository_layout& layout, const git_command& command,
                   const std::filesystem::path& directory) {
  auto says_where = std::ranges::any_of(
    command.environment, [](const auto& variable) { return variable.first == "GIT_DIR"; });
  std::error_code ignored;
  if (says_where || directory == layout.root || directory.string().find(':') == std::string::npos
      || std::filesystem::exists(directory / ".git", ignored))
    return;
  throw request_error{errc::failed_precondition,
                      fmt::format("{} is not a work tree of git", directory.string()),
                      {{"path", directory.string()}}};
}

request_error no_git(const request_error& error) {
  auto data = error.data;
  data["instructions"] = "install git 2.38 or newer where PATH of this server finds it";
  return {errc::unavailable, error.what(), data};
}

/// The line that says what went wrong; warnings come before it.
std::string_view point_of(std::string_view words) {
  for (std::string_view start : {"fatal: ", "error: "}) {
    auto at = words.starts_with(start) ? 0 : words.find(fmt::format("\n{}", start));
    if (at != std::string_view::npos) {
      words.remove_prefix(at == 0 ? 0 : at + 1);
      break;
    }
  }
  return words.substr(0, words.find('\n'));
}

} // namespace

git_program::git_program(repository_layout layout, std::vector<int> inherit)
  : layout_{std::move(layout)}, inherit_{std::move(inherit)} {
}

program git_program::program_for(const git_command& command) const {
  auto directory = command.directory.empty() ? layout_.root : command.directory;
  must_be_known(layout_, command, directory);
  program git{{first_arguments.begin(), first_arguments.end()}, directory};
  for (const auto& setting : command.settings)
    git.argv.insert(git.argv.end(), {"-c", setting});
  git.argv.insert(git.argv.end(), command.arguments.begin(), command.arguments.end());
  git.environment = environment_of(command, directory);
  git.unset.assign(unwanted_names.begin(), unwanted_names.end());
  git.input = command.input;
  git.timeout = command.timeout;
  git.given_up = command.given_up;
  git.inherit = inherit_;
  return git;
}

outcome git_program::attempt(const git_command& command) const {
  try {
    auto result = run(program_for(command));
    if (result.timed_out)
      throw git_failed(command, result);
    return result;
  } catch (const request_error& error) {
    if (error.data.is_object() && error.data.value("errno", 0) == ENOENT)
      throw no_git(error);
    throw;
  }
}

dialogue git_program::talk(const git_command& command) const {
  return dialogue{program_for(command)};
}

std::string git_program::output_of(const git_command& command) const {
  auto result = attempt(command);
  if (!result.ok())
    throw git_failed(command, result);
  return std::move(result.out);
}

std::string git_program::line_of(const git_command& command) const {
  auto line = output_of(command);
  if (line.ends_with('\n'))
    line.pop_back();
  return line;
}

request_error git_failed(const git_command& command, const outcome& result) {
  auto words = readable(result.err);
  auto why = result.timed_out     ? std::string{"it did not end in time"}
             : result.signal != 0 ? fmt::format("killed by signal {}", result.signal)
             : words.empty()      ? fmt::format("exit code {}", result.exit_code)
                                  : std::string{point_of(words)};
  return {errc::unavailable,
          fmt::format("git {} failed: {}", command.arguments.at(0), why),
          {{"stderr", words}, {"exit_code", result.exit_code}}};
}

bool git_said(const outcome& result, std::initializer_list<std::string_view> phrases) {
  return std::ranges::any_of(
    phrases, [&](std::string_view phrase) { return result.err.find(phrase) != std::string::npos; });
}

std::vector<std::string> split_words(std::string_view text, char separator) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto end = std::min(text.find(separator), text.size());
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::vector<std::string> in_order(std::vector<std::string> paths) {
  std::ranges::sort(paths);
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

bool is_object_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64)
         && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string in_git_quotes(std::string_view text) {
  std::string result = "\"";
  for (auto c : text)
    result += c == '"' || c == '\\' ? fmt::format("\\{}", c)
              : c == '\n'           ? std::string{"\\n"}
                                    : std::string{c};
  return result + "\"";
}

std::string readable(std::string_view text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
}

} // namespace orch
