#include "actors/reviewer_effects.hpp"

#include "actors/thread_effects.hpp"
#include "storage/merge_queue.hpp"
#include "storage/reviewers.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// A reviewer reads more in the worktree itself.
constexpr std::size_t longest_diff = 400'000;

std::string words_for_reviewer(effects& fx, const review_job& job, const worktree& of) {
  auto context = fx.store([&](tx& t) { return get_review_context(t, {job.merge_request_id}); });
  auto& repository = fx.repository();
  auto target = fx.main_branch();
  if (auto queued = fx.store([&](tx& t) { return queued_for(t, job.merge_request_id); }))
    target = queued->target_branch;
  auto base = repository.commit_of("refs/heads/" + target);
  std::string diff;
  if (base)
    diff = repository.diff(*base, *job.head_sha);
  auto shown = diff.substr(0, longest_diff);
  return fmt::format(
    "Review merge request #{} (review job #{}): commit {} of branch {}, to be merged into {}. Its "
    "worktree is {}; change nothing in it.\n\nEnd with one call of merge_review_submit with "
    "review_job_id {}, verdict approve or block, your findings and head_sha {}.\n\nWhat it is "
    "about, as JSON:\n\n{}\n\nThe diff{}:\n\n```diff\n{}\n```\n",
    job.merge_request_id, job.id, *job.head_sha, of.branch, target, of.path, job.id, *job.head_sha,
    to_json_text(context),
    shown.size() < diff.size()
      ? fmt::format(" (its first {} of {} bytes; read the rest with git diff {}...{})",
                    shown.size(), diff.size(), target, *job.head_sha)
      : std::string{},
    shown);
}

thread_child_spawn reviewer_wanted(const merge_review_request_auto& request,
                                   const agents_config& config) {
  thread_child_spawn wanted;
  wanted.session_id = request.session_id;
  wanted.role = request.reviewer_role;
  wanted.agent_guide_path = request.agent_guide_path;
  wanted.agent_override = request.agent_override;
  wanted.ensure_tmux = request.ensure_tmux;
  wanted.auto_install = request.auto_install;
  wanted.provider = request.provider.value_or(config.provider);
  wanted.launch_command = request.launch_command;
  wanted.codex_command = request.codex_command;
  wanted.title = fmt::format("review of merge request #{}", request.merge_request_id);
  return wanted;
}

worktree worktree_under_review(effects& fx, int64_t session_id, int64_t merge_request_id) {
  return fx.store([=](tx& t) { return reviewed_worktree(t, session_id, merge_request_id); });
}

} // namespace

std::string reviewed_head(effects& fx, int64_t session_id, int64_t merge_request_id) {
  auto of = worktree_under_review(fx, session_id, merge_request_id);
  auto head = fx.repository().commit_of("refs/heads/" + of.branch);
  if (!head)
    throw request_error{errc::failed_precondition,
                        fmt::format("worktree #{}: branch {} has no commit", of.id, of.branch)};
  return *head;
}

requested_review start_review(effects& fx, const merge_review_request_auto& request) {
  auto of = worktree_under_review(fx, request.session_id, request.merge_request_id);
  wanted_review wanted;
  wanted.session_id = request.session_id;
  wanted.merge_request_id = request.merge_request_id;
  wanted.head_sha = reviewed_head(fx, request.session_id, request.merge_request_id);
  wanted.timeout_seconds =
    request.timeout_seconds.value_or(fx.agents().config.review_timeout_seconds);
  wanted.hold_main_lock = request.hold_main_lock;
  requested_review made;
  made.review_job = fx.store([&](tx& t) {
    auto job = begin_review(t, wanted);
    fx.hold(name_of_review(job.id));
    fx.note_begun(t, job.id);
    return job;
  });
  try {
    auto child = reviewer_wanted(request, fx.agents().config);
    child.initial_prompt = words_for_reviewer(fx, made.review_job, of);
    auto spawned = start_child(fx, child, {}, [&](tx& t, int64_t thread_id) {
      note_reviewer(t, made.review_job.id, thread_id);
    });
    if (spawned.thread.status == "planned")
      throw request_error{
        errc::unavailable,
        "no reviewer can be started: tmux is missing",
        {{"instructions", spawned.tmux ? spawned.tmux->manual_instructions.value_or("") : ""}}};
    made.thread = spawned.thread;
    made.tmux = spawned.tmux;
    made.attach_info = spawned.attach_info;
    fx.store([&](tx& t) {
      made.review_job = get_review(t, made.review_job.id);
      if (made.review_job.holds_main_lock)
        made.main_lock = get_main_lock(t);
    });
    return made;
  } catch (...) {
    auto why = current_error();
    fx.store_if_possible([&](tx& t) { fail_review(t, made.review_job.id, why.what()); });
    throw why;
  }
}

namespace {

/// The review that a former attempt has begun; nothing if it never got an agent.
std::optional<requested_review> review_begun_before(effects& fx) {
  if (!fx.begun_before())
    return {};
  requested_review made;
  made.review_job = fx.store([&](tx& t) { return get_review(t, *fx.begun_before()); });
  if (!made.review_job.reviewer_thread_id)
    return {};
  auto row = look_at_thread(fx, *made.review_job.reviewer_thread_id).row;
  if (!was_launched(row)) {
    fx.store([&](tx& t) {
      fail_review(t, made.review_job.id, "the server that was starting its reviewer died");
    });
    return {};
  }
  made.thread = row.thread;
  made.attach_info = attach_info_of(fx, row);
  if (made.review_job.holds_main_lock)
    made.main_lock = fx.store(get_main_lock);
  return made;
}

} // namespace

requested_review request_review(effects& fx, const merge_review_request_auto& request) {
  auto before = review_begun_before(fx);
  auto made = before ? *before : start_review(fx, request);
  fx.store([&](tx& t) { fx.conclude(t, made); });
  return made;
}

review_status tell_review_status(effects& fx, const merge_review_thread_status& request) {
  if (!request.review_job_id && !request.merge_request_id)
    throw bad_param("review_job_id", "give review_job_id or merge_request_id");
  review_status status;
  status.review_job = fx.store([&](tx& t) -> std::optional<review_job> {
    if (request.review_job_id)
      return get_review(t, *request.review_job_id);
    t.must_exist("merge_requests", *request.merge_request_id, "merge request");
    return newest_review(t, *request.merge_request_id);
  });
  if (!status.review_job || !status.review_job->reviewer_thread_id)
    return status;
  auto row = look_at_thread(fx, *status.review_job->reviewer_thread_id).row;
  status.thread = row.thread;
  status.attach_info = attach_info_of(fx, row);
  return status;
}

review_job submit_verdict(effects& fx, const merge_review_submit& request) {
  auto job = fx.store([&](tx& t) { return get_review(t, request.review_job_id); });
  if (request.head_sha && job.head_sha && *request.head_sha != *job.head_sha)
    throw request_error{errc::failed_precondition,
                        fmt::format("review job #{} is about commit {}, not {}", job.id,
                                    *job.head_sha, *request.head_sha),
                        {{"field", "head_sha"}, {"reviewed", *job.head_sha}}};
  auto head = reviewed_head(fx, job.session_id, job.merge_request_id);
  return fx.store([&](tx& t) {
    auto judged = submit_review(t, request, head, fx.from);
    fx.conclude(t, judged);
    return judged;
  });
}

} // namespace orch
