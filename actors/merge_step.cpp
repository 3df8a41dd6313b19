#include "actors/merge_step.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// A longer branch becomes one commit. GitHub's limit for merging by rebase, too.
constexpr std::size_t most_replayed = 100;

std::string message_for(effects& fx, const std::string& under, const main_merge_request& entry,
                        bool squashes) {
  auto from = fx.look(
    [&](tx& t) { return t.get<worktree>("worktrees", entry.from_worktree_id, "worktree"); });
  auto message = fmt::format("{} branch '{}' into {}\n\nRequest #{} of session #{}.\n",
                             squashes ? "Squash" : "Merge", from.branch, entry.target_branch,
                             entry.id, entry.session_id);
  if (squashes)
    message += fmt::format("Commits:\n{}", fx.repository().subjects(under, *entry.head_sha));
  return message;
}

/// The commits of a branch one after the other on top of `under`, without its merges and without
/// what `under` has already. Nothing where that is not possible or does not lead to `tree`, as in a
/// branch that has resolved conflicts in a merge.
std::optional<std::string> replay(git& repository, const std::string& under,
                                  const std::string& head, const std::string& tree) {
  auto commits = repository.plain_commits(under, head, most_replayed + 1);
  if (commits.size() > most_replayed)
    return {};
  auto tip = under;
  auto tip_tree = repository.tree_of(under);
  for (const auto& commit : commits) {
    auto parent = repository.commit_of(commit + "^");
    if (!parent)
      return {};
    // Its parent is the merge base of this and the commit, so that only what the commit has changed
    // comes in.
    auto ours = repository.commit(tip_tree, {*parent}, "");
    auto merged = repository.merge(ours, commit);
    if (!merged.conflicts.empty())
      return {};
    if (merged.tree == tip_tree)
      continue;
    tip = repository.copy_commit(commit, merged.tree, tip);
    tip_tree = merged.tree;
  }
  return tip_tree == tree ? std::optional{tip} : std::nullopt;
}

} // namespace

std::optional<merged_step> put_on_top(effects& fx, const std::string& under,
                                      const main_merge_request& entry) {
  auto& repository = fx.repository();
  const auto& style = fx.around.merging.style;
  const auto& head = entry.head_sha.value();
  if (repository.distance(under, head).ahead == 0)
    return merged_step{entry, under, repository.tree_of(under)};
  auto merged = repository.merge(under, head);
  if (!merged.conflicts.empty())
    return {};
  if (style == "rebase")
    if (auto tip = replay(repository, under, head, merged.tree))
      return merged_step{entry, *tip, merged.tree};
  auto squashes = style != "merge";
  auto parents = squashes ? std::vector{under} : std::vector{under, head};
  return merged_step{
    entry, repository.commit(merged.tree, parents, message_for(fx, under, entry, squashes)),
    merged.tree};
}

} // namespace orch
