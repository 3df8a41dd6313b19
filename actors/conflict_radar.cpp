#include "actors/conflict_radar.hpp"

#include "io/git_files.hpp"
#include "io/log.hpp"
#include "storage/locks.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// What has changed unseen (through mapped memory, by another machine) is seen after that.
constexpr std::chrono::seconds trusted_for{60};

/// Work trees are looked at by so many threads; git uses a whole processor.
constexpr std::size_t most_threads = 4;

/// Then all is forgotten: what is needed is soon known again.
constexpr std::size_t most_known = 50'000;
constexpr std::size_t most_snapshots = 5'000;

std::string stamp_of(const fs::path& file) {
  std::error_code none;
  auto time = fs::last_write_time(file, none).time_since_epoch().count();
  auto size = fs::file_size(file, none);
  return fmt::format("{} {};", time, none ? 0 : size);
}

bool is_below(const std::set<std::string>& paths, const std::string& directory) {
  auto first = paths.lower_bound(directory + "/");
  return first != paths.end() && first->starts_with(directory + "/");
}

std::vector<std::string> common(const std::set<std::string>& one,
                                const std::set<std::string>& other) {
  std::vector<std::string> both;
  std::set_intersection(one.begin(), one.end(), other.begin(), other.end(),
                        std::back_inserter(both));
  return both;
}

std::vector<std::string> as_text(std::vector<std::string> paths) {
  for (auto& path : paths)
    path = json::parse(json(path).dump(-1, ' ', false, json::error_handler_t::replace));
  return paths;
}

/// Live work trees, with the main one.
std::vector<worktree> live_worktrees(effects& fx) {
  auto rows = fx.look(
    [](tx& t) { return t.select<worktree>("FROM worktrees WHERE status = 'active' ORDER BY id"); });
  auto& layout = fx.repository().layout();
  std::erase_if(rows, [&](const worktree& row) {
    std::error_code unreadable;
    return (row.kind == "main" && layout.bare) || !fs::is_directory(row.path, unreadable);
  });
  return rows;
}

} // namespace

conflict_radar::conflict_radar(fs::path directory) : directory_{std::move(directory)} {
}

conflict_radar::~conflict_radar() {
  std::error_code harmless;
  fs::remove_all(directory_, harmless);
}

void conflict_radar::forget_all() {
  sights_.clear();
  bases_.clear();
  differences_.clear();
  conflicts_.clear();
  snapshots_ = 0;
  std::error_code harmless;
  fs::remove_all(directory_, harmless);
}

void conflict_radar::make_room(git& repository) {
  // How git merges and what it ignores may be set there.
  const auto& git_dir = repository.layout().git_dir;
  auto settings = stamp_of(git_dir / "config") + stamp_of(git_dir / "info" / "attributes");
  if (std::exchange(settings_, settings) != settings || snapshots_ > most_snapshots
      || bases_.size() + differences_.size() + conflicts_.size() > most_known)
    forget_all();
}

conflict_radar::sight conflict_radar::look_at(git& repository, const worktree& row) {
  sight seen;
  seen.at = clock::now();
  fs::path top{row.path};
  try {
    auto metadata = repository.metadata_of(top);
    seen.stamp = stamp_of(metadata / "index")
                 + stamp_of(repository.layout().git_dir / "info" / "exclude")
                 + repository.head(top).commit.value_or("");
    auto known = sights_.find(top); // nobody changes them now
    if (known != sights_.end() && known->second.stamp == seen.stamp && !known->second.unreadable
        && seen.at - known->second.at < trusted_for && !watch_.changed(top))
      return known->second;
    auto tracked = repository.tracked_directories(top);
    watch_.watch(top, [&](std::vector<std::string> directories) {
      std::vector<std::string> others;
      std::erase_if(directories, [&](const std::string& directory) {
        if (tracked.contains(directory))
          return false;
        others.push_back(directory);
        return true;
      });
      for (auto& one : repository.not_ignored(top, others))
        directories.push_back(std::move(one));
      return directories;
    });
    seen.snapshot = repository.snapshot(top, directory_);
    seen.uncommitted = {seen.snapshot.uncommitted.begin(), seen.snapshot.uncommitted.end()};
  } catch (const std::exception& e) {
    seen.unreadable = e.what();
  }
  return seen;
}

void conflict_radar::see(effects& fx, const std::vector<worktree>& rows) {
  std::vector<sight> found(rows.size());
  std::atomic<std::size_t> next = 0;
  auto work = [&](git& repository) {
    for (auto i = next++; i < rows.size(); i = next++)
      found[i] = look_at(repository, rows[i]);
  };
  auto count =
    std::min({most_threads, rows.size(),
              static_cast<std::size_t>(std::max(1U, std::thread::hardware_concurrency()))});
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < count; ++i)
    others.emplace_back([&, repository = fx.another_repository()] { work(*repository); });
  work(fx.repository());
  for (auto& one : others)
    one.join();
  std::map<fs::path, sight> sights;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto known = sights_.find(rows[i].path);
    if (known == sights_.end() || known->second.at != found[i].at)
      ++snapshots_;
    sights[rows[i].path] = std::move(found[i]);
  }
  for (const auto& [path, unused] : sights_)
    if (!sights.contains(path))
      watch_.forget(path);
  sights_ = std::move(sights);
}

const std::optional<std::string>& conflict_radar::base_of(git& repository, const std::string& one,
                                                          const std::string& other) {
  auto key = std::minmax(one, other);
  auto known = bases_.find(key);
  if (known == bases_.end())
    known = bases_.emplace(key, repository.merge_base(key.first, key.second)).first;
  return known->second;
}

void conflict_radar::learn_differences(git& repository, const std::vector<commit_pair>& wanted) {
  std::set<commit_pair> unknown;
  for (const auto& pair : wanted)
    if (!differences_.contains(pair))
      unknown.insert(pair);
  std::vector<commit_pair> asked{unknown.begin(), unknown.end()};
  auto answers = repository.changes_between(asked, directory_);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    difference made;
    made.added = {answers[i].added.begin(), answers[i].added.end()};
    made.deleted = {answers[i].deleted.begin(), answers[i].deleted.end()};
    made.paths = {answers[i].modified.begin(), answers[i].modified.end()};
    made.paths.insert(made.added.begin(), made.added.end());
    made.paths.insert(made.deleted.begin(), made.deleted.end());
    differences_.emplace(asked[i], std::move(made));
  }
}

void conflict_radar::learn_merges(git& repository, const std::vector<commit_pair>& wanted) {
  std::vector<commit_pair> asked;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(asked),
               [&](const commit_pair& pair) { return !conflicts_.contains(pair); });
  auto answers = repository.merge_all(asked, directory_);
  for (std::size_t i = 0; i < asked.size(); ++i)
    conflicts_.emplace(asked[i], std::move(answers[i].conflicts));
}

/// Git need not be asked about two that touch no file both, and where neither a file takes the
/// place of a directory nor a directory may have been renamed under the other's new files.
bool conflict_radar::may_conflict(const difference& one, const difference& other) {
  auto under_renamed = [](const difference& moves, const difference& adds) {
    return !moves.added.empty()
           && std::any_of(moves.deleted.begin(), moves.deleted.end(), [&](const std::string& path) {
                auto directory = fs::path{path}.parent_path().string();
                return directory.empty() ? !adds.added.empty() : is_below(adds.added, directory);
              });
  };
  auto in_place = [](const difference& files, const difference& others) {
    return std::any_of(files.added.begin(), files.added.end(),
                       [&](const std::string& path) { return is_below(others.paths, path); });
  };
  return !common(one.paths, other.paths).empty() || in_place(one, other) || in_place(other, one)
         || under_renamed(one, other) || under_renamed(other, one);
}

conflict_radar::outlook conflict_radar::look(effects& fx,
                                             const std::optional<std::string>& target) {
  auto& repository = fx.repository();
  outlook all;
  all.target_branch = target.value_or(fx.main_branch());
  auto tip = repository.commit_of("refs/heads/" + all.target_branch);
  if (!tip || !repository.branch_exists(all.target_branch))
    throw request_error{errc::failed_precondition,
                        fmt::format("target branch {} does not exist", all.target_branch),
                        {{"field", "target_branch"}}};
  all.target = *tip;
  make_room(repository);
  prepare_directory(fx.around);
  auto rows = live_worktrees(fx);
  see(fx, rows);
  std::vector<commit_pair> wanted;
  for (const auto& row : rows) {
    const auto& seen = sights_.at(row.path);
    if (seen.unreadable) {
      all.trees.push_back({row, &seen, nullptr});
      continue;
    }
    const auto& base = base_of(repository, all.target, seen.snapshot.head);
    if (!base || *base == seen.snapshot.commit)
      continue; // nothing in common, or nothing of its own
    wanted.emplace_back(*base, seen.snapshot.commit);
    wanted.emplace_back(*base, all.target);
    all.trees.push_back({row, &seen, nullptr});
  }
  learn_differences(repository, wanted);
  for (auto& one : all.trees)
    if (!one.seen->unreadable)
      one.changes = &differences_.at(
        {*base_of(repository, all.target, one.seen->snapshot.head), one.seen->snapshot.commit});
  return all;
}

void conflict_radar::prepare_directory(const surroundings& around) {
  auto all = directory_.parent_path();
  std::error_code none;
  fs::create_directory(all, none);
  fs::create_directory(directory_, none);
  for (const auto& one : {all, directory_})
    if (!fs::is_directory(fs::symlink_status(one, none)))
      throw request_error{
        errc::unavailable,
        fmt::format("cannot make the directory {}: something else is there", one.string()),
        {{"path", one.string()}}};
  if (std::exchange(remains_removed_, true))
    return;
  for (const auto& entry : fs::directory_iterator{all, none}) {
    auto name = entry.path().filename().string();
    auto is_ours = !name.empty() && name.size() <= 19
                   && name.find_first_not_of("0123456789") == std::string::npos;
    if (is_ours && entry.path() != directory_
        && !around.alive(std::strtoll(name.c_str(), nullptr, 10)))
      fs::remove_all(entry.path(), none);
  }
}

conflict_preview conflict_radar::preview(effects& fx, const merge_conflicts_preview& request) {
  std::lock_guard lock{mutex_};
  std::vector<std::string> paths;
  for (const auto& path : request.paths.value_or(std::vector<std::string>{}))
    paths.push_back(normalize_path(fx.around, "paths", path));
  auto all = look(fx, request.target_branch);
  auto& repository = fx.repository();
  auto is_asked_for = [&](const participant& one) {
    return (!request.worktree_id || one.row.id == *request.worktree_id)
           && (!request.session_id || one.row.owner_session_id == request.session_id);
  };
  struct question {
    std::vector<const participant*> trees;
    commit_pair commits;
    commit_pair one; ///< differences since they parted
    commit_pair other;
  };
  std::vector<question> questions;
  std::vector<commit_pair> differences;
  for (std::size_t i = 0; i < all.trees.size(); ++i) {
    const auto& one = all.trees[i];
    if (one.seen->unreadable)
      continue;
    const auto& tip = one.seen->snapshot.commit;
    if (is_asked_for(one)) {
      auto base = *base_of(repository, all.target, one.seen->snapshot.head);
      questions.push_back({{&one}, {all.target, tip}, {base, all.target}, {base, tip}});
    }
    for (std::size_t k = i + 1; k < all.trees.size(); ++k) {
      const auto& other = all.trees[k];
      if (other.seen->unreadable || (!is_asked_for(one) && !is_asked_for(other)))
        continue;
      const auto& base = base_of(repository, one.seen->snapshot.head, other.seen->snapshot.head);
      if (!base)
        continue;
      const auto& other_tip = other.seen->snapshot.commit;
      questions.push_back({{&one, &other}, {tip, other_tip}, {*base, tip}, {*base, other_tip}});
    }
  }
  for (const auto& x : questions) {
    differences.push_back(x.one);
    differences.push_back(x.other);
  }
  learn_differences(repository, differences);
  std::vector<commit_pair> merges;
  std::erase_if(questions, [&](const question& x) {
    return !may_conflict(differences_.at(x.one), differences_.at(x.other));
  });
  for (const auto& x : questions)
    merges.push_back(x.commits);
  learn_merges(repository, merges);
  conflict_preview result;
  result.target_branch = all.target_branch;
  result.target_commit = all.target;
  for (const auto& one : all.trees) {
    previewed_worktree shown;
    shown.worktree_id = one.row.id;
    shown.branch = one.row.branch;
    shown.session_id = one.row.owner_session_id;
    shown.head = one.seen->snapshot.head;
    shown.changed_files = one.changes ? std::ssize(one.changes->paths) : 0;
    shown.uncommitted_files = std::ssize(one.seen->uncommitted);
    if (!one.seen->snapshot.left_out.empty())
      shown.left_out = one.seen->snapshot.left_out;
    shown.unreadable = one.seen->unreadable;
    result.worktrees.push_back(std::move(shown));
  }
  for (const auto& x : questions) {
    auto files = conflicts_.at(x.commits);
    auto is_conflict = !files.empty();
    if (!is_conflict && x.trees.size() == 2)
      files = common(differences_.at(x.one).paths, differences_.at(x.other).paths);
    if (!paths.empty())
      std::erase_if(files, [&](const std::string& file) {
        return std::none_of(paths.begin(), paths.end(), [&](const std::string& path) {
          return path == "." || file == path || file.starts_with(path + "/");
        });
      });
    if (files.empty())
      continue;
    foreseen_conflict found;
    for (const auto* tree : x.trees) {
      found.worktree_ids.push_back(tree->row.id);
      found.uncommitted =
        found.uncommitted || std::any_of(files.begin(), files.end(), [&](const std::string& file) {
          return tree->seen->uncommitted.contains(file);
        });
    }
    found.paths = as_text(std::move(files));
    (!is_conflict          ? result.overlaps
     : x.trees.size() == 1 ? result.with_target
                           : result.between)
      .push_back(std::move(found));
  }
  return result;
}

std::vector<changed_worktree> conflict_radar::changed(effects& fx) {
  std::lock_guard lock{mutex_};
  std::vector<changed_worktree> result;
  for (const auto& one : look(fx, {}).trees)
    if (one.changes)
      result.push_back({one.row, one.changes->paths});
  return result;
}

conflict_preview preview_conflicts(effects& fx, const merge_conflicts_preview& request) {
  return fx.radar().preview(fx, request);
}

} // namespace orch
