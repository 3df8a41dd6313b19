#pragma once

#include "io/git.hpp"
#include "io/process.hpp"
#include "messages/error.hpp"

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

/// One run of git; `arguments` start with its command.
struct git_command {
  std::vector<std::string> arguments;
  std::filesystem::path directory{}; ///< the main work tree if empty
  std::string input{};
  std::vector<std::string> settings{}; ///< configuration for this run: "key=value"
  std::vector<std::pair<std::string, std::string>> environment{};
  std::chrono::milliseconds timeout{120'000};
  std::function<bool()> given_up{}; ///< asked now and then: ends it as the time-out does
};

/// For what writes a whole work tree, filters included.
constexpr std::chrono::minutes checkout_patience{15};

/// Runs the git program in one repository. Whatever the caller's environment and the repository's
/// configuration say, it runs no hooks, pagers, editors or prompts, starts nothing in the
/// background and speaks English.
class git_program {
public:
  git_program(repository_layout layout, std::vector<int> inherit);

  const repository_layout& layout() const { return layout_; }

  /// Throws only if git cannot be run at all or does not end.
  outcome attempt(const git_command& command) const;

  /// A run of git that is asked line by line.
  dialogue talk(const git_command& command) const;

  /// What it prints; throws `git_failed` if it fails.
  std::string output_of(const git_command& command) const;

  /// The same without the last newline.
  std::string line_of(const git_command& command) const;

private:
  program program_for(const git_command& command) const;

  repository_layout layout_;
  std::vector<int> inherit_;
};

/// "git merge failed: fatal: ..." with all of git's words in data.stderr.
request_error git_failed(const git_command& command, const outcome& result);

bool git_said(const outcome& result, std::initializer_list<std::string_view> phrases);

/// The parts that `separator` ends or separates; an empty one at the end is left out.
std::vector<std::string> split_words(std::string_view text, char separator);

/// Sorted, each once.
std::vector<std::string> in_order(std::vector<std::string> paths);

/// A full object id as git prints it.
bool is_object_id(std::string_view text);

/// In double quotes as git's configuration and its lists of directories want it.
std::string in_git_quotes(std::string_view text);

/// The text with bytes that are no UTF-8 replaced: git's words quote paths, which may be anything.
std::string readable(std::string_view text);

} // namespace orch
