#include "actors/session_effects.hpp"

#include "actors/slug.hpp"
#include "actors/thread_effects.hpp"
#include "messages/text.hpp"
#include "storage/sessions.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>

namespace orch {

namespace fs = std::filesystem;

namespace {

/// The answer of work.current_ref stays under this (contract, section 3).
constexpr std::size_t most_work_point_bytes = 4'000;

struct session_names {
  int64_t id = 0;
  std::string branch;
  fs::path path;
  std::optional<std::string> slug;
};

/// The slug as it is, or with the first free of -2, -3, ... among the worktrees there are.
std::string free_slug(tx& t, const std::string& slug) {
  auto taken = [&](const std::string& name) {
    return t.number("SELECT 1 FROM worktrees WHERE slug = ? AND status <> 'removed'", name)
      .has_value();
  };
  auto name = slug;
  for (int n = 2; taken(name); ++n)
    name = fmt::format("{}-{}", slug, n);
  return name;
}

session_names reserve_names(effects& fx, const std::string& slug) {
  auto names = fx.store([&](tx& t) {
    session_names made;
    made.id = reserve_session_id(t);
    if (!slug.empty())
      made.slug = free_slug(t, slug);
    return made;
  });
  auto own = names.slug ? fmt::format("{}-{}", names.id, *names.slug) : std::to_string(names.id);
  names.branch = "session/" + own;
  // A branch of that name can be left from a state that was deleted.
  for (int n = 2; fx.repository().branch_exists(names.branch)
                  || fs::exists(worktrees_dir(fx.around) / directory_name(names.branch));
       ++n)
    names.branch = fmt::format("session/{}-{}", own, n);
  names.path = worktrees_dir(fx.around) / directory_name(names.branch);
  return names;
}

session new_session(effects& fx, const session_open& request, int64_t id, timestamp now) {
  session made;
  made.id = id;
  made.agent_role = request.agent_role;
  made.owner = request.owner;
  made.repo_path = fx.around.repo_root.string();
  made.terminal_fingerprint = request.terminal_fingerprint;
  made.started_at = made.last_seen_at = now;
  return made;
}

/// The branch that the main work tree has checked out; empty while its HEAD is detached.
std::string branch_of_main_work_tree(effects& fx) {
  const auto& layout = fx.repository().layout();
  return layout.bare ? fx.main_branch() : fx.repository().head(layout.root).branch;
}

opened_session open_for_resume(effects& fx, const session_open& request) {
  auto branch = branch_of_main_work_tree(fx);
  return fx.store([&](tx& t) {
    opened_session opened;
    auto made = new_session(fx, request, reserve_session_id(t), t.now);
    made.intent = "resume_work";
    made.status = "awaiting_resume";
    opened.main_worktree = ensure_main_worktree(t, branch);
    made.main_worktree_id = opened.main_worktree->id;
    insert_session(t, made, request.heartbeat_timeout_seconds, fx.from);
    t.changed("session.opened", {{"session_id", made.id}});
    suspend_sessions_of_dead_servers(t);
    opened.session = made;
    opened.action_required = "select_resume_candidate";
    opened.resume_candidates = candidates_for(t, made.id, {});
    if (opened.resume_candidates->empty())
      opened.note = "No session has stopped with unfinished work. Call session.open with intent "
                    "new_work to start some.";
    fx.conclude(t, opened);
    return opened;
  });
}

opened_session open_for_new_work(effects& fx, const session_open& request) {
  auto branch = branch_of_main_work_tree(fx);
  auto start = fx.main_branch();
  auto base = fx.repository().commit_of(start.empty() ? "HEAD" : "refs/heads/" + start);
  if (!base && !fx.around.main_branch.empty())
    throw request_error{errc::failed_precondition,
                        fmt::format("the main_branch {} of .codex-orch/config.json does not exist",
                                    fx.around.main_branch)};
  if (!base)
    throw request_error{
      errc::failed_precondition,
      "the repository has no commit yet; make a first commit, then open a session"};
  auto slug = make_slug(request.worktree_name.value_or(request.user_request.value_or("")));
  auto names = reserve_names(fx, slug);
  worktree root;
  root.kind = "session_root";
  root.owner_session_id = names.id;
  opened_session opened;
  opened.worktree_slug = names.slug;
  opened.viewer_tmux_session = fmt::format("codex-session-{}", names.id);
  opened.note =
    fmt::format("Work in {} on branch {}. Lease paths before editing them, record steps "
                "with step.check, and call work.current_ref after a compaction.",
                names.path.string(), names.branch);
  auto also = [&](tx& t, const worktree& made_root) {
    auto main = ensure_main_worktree(t, branch);
    if (!made_root.parent_worktree_id)
      t.run("UPDATE worktrees SET parent_worktree_id = ? WHERE id = ?", main.id, made_root.id);
    auto made = new_session(fx, request, names.id, t.now);
    made.status = "active_new";
    made.main_worktree_id = main.id;
    made.session_root_worktree_id = made_root.id;
    insert_session(t, made, request.heartbeat_timeout_seconds, fx.from);
    opened.session_context = context_of(t, made);
    fx.conclude(t, opened);
  };
  make_worktree(fx, {root, names.branch, names.path, *base, names.slug}, also);
  return opened;
}

/// Ends the session's agents and the tmux sessions that it had for them.
void end_threads(effects& fx, int64_t session_id, cleaned_session& cleaned) {
  auto [threads, names] = fx.store([=](tx& t) {
    t.must_exist("sessions", session_id, "session");
    std::pair<std::vector<thread_row>, std::vector<std::string>> found;
    found.first = live_threads_of(t, session_id);
    auto query = t.db.prepare("SELECT DISTINCT tmux_session_name FROM threads WHERE session_id = ? "
                              "AND tmux_session_name IS NOT NULL");
    bind_all(*query, session_id);
    while (query->executeStep())
      found.second.push_back(query->getColumn(0).getString());
    return found;
  });
  for (const auto& row : threads) {
    pane_turn turn{fx, row.thread.id};
    try {
      end_agent(fx, row.thread.id, "stopped", true);
    } catch (const request_error& e) {
      if (e.code != errc::unavailable)
        throw;
      // Without tmux there is nothing that could be ended.
      fx.store([&](tx& t) { end_thread(t, row.thread.id, "stopped", true); });
    }
    ++cleaned.threads_stopped;
  }
  try {
    for (const auto& name : names)
      if (is_our_session(fx, name) && fx.agents().terminal.kill_session(name))
        cleaned.session_killed = true;
  } catch (const request_error& e) {
    if (e.code != errc::unavailable)
      throw;
  }
}

void cut(std::string& text, std::size_t most) {
  if (text.size() > most)
    text = std::string{beginning_of(text, most)} + "…";
}

void cut(std::optional<std::string>& text, std::size_t most) {
  if (text)
    cut(*text, most);
}

} // namespace

opened_session open_session(effects& fx, const session_open& request) {
  return request.intent == "resume_work" ? open_for_resume(fx, request)
                                         : open_for_new_work(fx, request);
}

session_page list_sessions_live(effects& fx, const session_list& request) {
  auto page = fx.store([&](tx& t) { return list_sessions(t, request); });
  auto has_tmux = [](const auto& entry) { return entry.session.tmux_session_name.has_value(); };
  if (std::none_of(page.sessions.begin(), page.sessions.end(), has_tmux))
    return page;
  std::vector<std::string> running;
  try {
    running = fx.agents().terminal.list_sessions();
  } catch (const request_error&) {
    return page; // without tmux none is alive
  }
  for (auto& entry : page.sessions)
    entry.tmux_alive =
      has_tmux(entry)
      && std::find(running.begin(), running.end(), *entry.session.tmux_session_name)
           != running.end();
  return page;
}

cleaned_session clean_up_session(effects& fx, const session_cleanup& request) {
  cleaned_session cleaned;
  auto rows = fx.store([&](tx& t) {
    auto closing = t.get<session>("sessions", request.session_id, "session");
    if (closing.status == "handoff_attached")
      throw request_error{
        errc::failed_precondition,
        fmt::format("session #{} was taken over; its worktrees are another's", closing.id),
        {{"status", closing.status}}};
    if (closing.status != "closed") {
      session_close close;
      close.session_id = closing.id;
      close_session(t, close);
    }
    // Children before their parents.
    return t.select<worktree>("FROM worktrees WHERE owner_session_id = ? AND kind <> 'main' AND "
                              "status <> 'removed' ORDER BY id DESC",
                              closing.id);
  });
  // Nobody starts an agent in a session that is closed.
  end_threads(fx, request.session_id, cleaned);
  cleaned.outcome = "cleaned_up";
  for (const auto& row : rows) {
    if (!request.remove_worktrees) {
      cleaned.kept.push_back({row.path, "remove_worktrees was not asked for"});
      continue;
    }
    try {
      remove_from_disk(fx, row, request.force);
      ++cleaned.worktrees_removed;
    } catch (const request_error& e) {
      cleaned.kept.push_back({row.path, e.what()});
    }
  }
  return cleaned;
}

work_point current_work_point(effects& fx, const work_current_ref& request) {
  struct found {
    work_point point;
    std::optional<worktree> root;
  };
  auto [point, root] = fx.store([&](tx& t) {
    found all{get_work_point(t, request), {}};
    auto asking = t.get<session>("sessions", request.session_id, "session");
    all.root = context_of(t, asking).session_root_worktree;
    return all;
  });
  if (root && fs::is_directory(root->path)) {
    auto head = fx.repository().head(root->path);
    point.git = git_state{head.branch, head.commit, !fx.repository().changes(root->path).none()};
  }
  shorten(point, most_work_point_bytes);
  return point;
}

void shorten(work_point& point, std::size_t most_bytes) {
  auto fits = [&] { return to_json_text(point).size() <= most_bytes; };
  if (fits())
    return;
  point.shortened = true;
  // What can be looked up elsewhere goes first, what says how to go on goes last.
  if (point.checkpoint && point.checkpoint->snapshot.text.size() > 600)
    point.checkpoint->snapshot.text = R"({"shortened":true})";
  if (fits())
    return;
  if (point.task) {
    point.task->fixtures.reset();
    if (!fits())
      point.task->input_contract.reset();
  }
  for (std::size_t most : {800U, 200U, 60U}) {
    if (fits())
      return;
    if (point.task) {
      cut(point.task->title, most);
      cut(point.task->next_action, most);
      cut(point.task->assignee_session, most);
    }
    if (point.checkpoint)
      cut(point.checkpoint->step_title, most);
    cut(point.next_step, most);
    if (point.current_ref) {
      cut(point.current_ref->summary, most);
      cut(point.current_ref->next_action, most);
      auto& files = point.current_ref->required_files;
      if (files && files->size() > most / 20)
        files->resize(most / 20);
      if (files)
        for (auto& file : *files)
          cut(file, most);
    }
  }
}

} // namespace orch
