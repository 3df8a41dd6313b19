#include "actors/merge_checks.hpp"

#include "actors/merge_candidates.hpp"
#include "storage/merge_runs.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// Nobody asks for them after that, and the trees that passed are forgotten then.
void remove_old_logs(const fs::path& directory) {
  std::error_code ignored;
  auto before = fs::file_time_type::clock::now() - kept_checks;
  for (const auto& entry : fs::directory_iterator{directory, ignored})
    if (entry.path().filename().string().starts_with("run-")
        && entry.last_write_time(ignored) < before && !ignored)
      fs::remove(entry.path(), ignored);
}

/// A filter may refuse a file, or its name may not be allowed here. Whether that is the request's
/// fault is asked as with any check; a full disk is not.
bool is_of_the_files(const request_error& why) {
  std::string_view words = why.what();
  auto all = why.data.is_object() ? why.data.value("stderr", std::string{}) : std::string{};
  return all.find("filter") != all.npos || words.find("invalid path") != words.npos;
}

} // namespace

merge_checks::merge_checks(effects& fx, int64_t run_id, std::function<void()> give_up_in_time,
                           std::function<bool()> unwanted)
  : fx_{fx}, config_{fx.around.merging}, run_id_{run_id},
    give_up_in_time_{std::move(give_up_in_time)}, unwanted_{std::move(unwanted)} {
}

check_outcome merge_checks::check(const std::string& commit, const std::string& tree) {
  check_outcome known;
  known.passed = true;
  log_.clear();
  if (config_.check_command.empty())
    return known;
  auto log = fx_.look([&](tx& t) { return log_of_passed(t, tree, config_.check_command); });
  if (!log)
    return check_now(commit, tree);
  log_ = *log;
  return known;
}

check_outcome merge_checks::check_now(const std::string& commit, const std::string& tree) {
  give_up_in_time_();
  check_command what;
  what.command = config_.check_command;
  what.directory = scratch_directory_of(fx_.around, run_id_);
  what.mark = mark_of_run(fx_.around, run_id_);
  what.timeout = std::chrono::seconds{config_.check_timeout_seconds};
  what.log = new_log();
  what.given_up = unwanted_;
  check_outcome ended;
  try {
    fx_.repository().make_scratch(what.directory, commit, unwanted_);
    log_ = what.log.string();
    ended = run_check(what);
  } catch (const request_error& e) {
    give_up_in_time_();
    if (!is_of_the_files(e))
      throw;
    log_.clear();
    ended.words = ended.tail = fmt::format("could not begin: {}", e.what());
  }
  if (ended.given_up)
    give_up_in_time_();
  if (ended.passed) {
    passed_now_.insert(tree);
    fx_.store([&](tx& t) { note_passed(t, tree, config_.check_command, log_); });
  }
  return ended;
}

/// A file that is not there yet.
fs::path merge_checks::new_log() {
  auto directory = fx_.around.state_dir / "checks";
  std::error_code failed;
  fs::create_directory(directory, failed);
  if (!fs::is_directory(fs::symlink_status(directory)))
    throw request_error{
      errc::unavailable,
      fmt::format("cannot make the directory {}: something else is there", directory.string()),
      {{"path", directory.string()}}};
  remove_old_logs(directory);
  return directory / fmt::format("run-{}-{}.log", run_id_, ++count_);
}

} // namespace orch
