#include "actors/thread_start.hpp"

#include "actors/runtime_effects.hpp"
#include "actors/thread_effects.hpp"
#include "actors/thread_end.hpp"
#include "io/tmux_install.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// tmux, if the caller wants it looked for; nothing if it is not to be looked for.
std::optional<tmux_readiness> readiness(effects& fx, bool ensure, bool may_install,
                                        int64_t session_id) {
  if (!ensure)
    return {};
  runtime_tmux_ensure wanted;
  wanted.session_id = session_id;
  wanted.auto_install = may_install;
  // What is there already is no event worth keeping.
  auto found = orch::ensure_tmux(fx.agents().terminal, false);
  return found.ready() ? found : ensure_tmux_runtime(fx, wanted);
}

bool is_running(effects& fx, const thread_row& row) {
  auto pane = find_pane(fx.agents(), row);
  return pane && !pane->dead;
}

launch_wishes wishes_for_root(effects& fx, const thread_row& root,
                              const thread_root_ensure& request) {
  launch_wishes wishes;
  wishes.session_name = request.tmux_session_name.value_or(
    root.thread.tmux_session_name.value_or(fmt::format("codex-root-{}", root.thread.id)));
  wishes.may_rename_session = !request.tmux_session_name;
  wishes.window_name = request.tmux_window_name;
  wishes.reused = root.pane;
  wishes.prompt = assignment_of(fx, root);
  wishes.typed_prompt = request.initial_prompt.value_or("");
  return wishes;
}

/// What the caller gave for this launch replaces what was kept of the last one.
void keep_wishes(tx& t, thread_row& root, const thread_root_ensure& request) {
  auto& x = root.thread;
  if (request.objective)
    x.objective = request.objective;
  if (request.title)
    x.title = request.title;
  if (request.agent_guide_path)
    x.agent_guide_path = request.agent_guide_path;
  if (request.provider)
    x.provider = *request.provider;
  t.update("threads", x);
  launch_spec spec{request.launch_command, request.codex_command, request.launch_codex,
                   request.initial_prompt};
  t.run("UPDATE threads SET launch_spec = ? WHERE id = ?", to_json_text(spec), x.id);
}

thread_row begin(effects& fx, tx& t, int64_t thread_id) {
  auto row = begin_launch(t, thread_id);
  fx.hold(name_of_launch(thread_id));
  return row;
}

thread_row launch_root(effects& fx, const thread_row& root, const thread_root_ensure& request) {
  check_guide(fx, request.agent_guide_path);
  pane_turn turn{fx, root.thread.id};
  auto row = fx.store([&](tx& t) { return get_thread(t, root.thread.id); });
  if (is_running(fx, row)) {
    if (!request.force_launch)
      return row;
    end_program(fx, row);
  }
  auto trial = row;
  trial.thread.provider = request.provider.value_or(row.thread.provider);
  trial.launch = {request.launch_command, request.codex_command, request.launch_codex, {}};
  command_of(fx.agents(), trial); // before anything is begun
  auto reused = row.pane;
  row = fx.store([&](tx& t) {
    auto fresh = get_thread(t, root.thread.id);
    keep_wishes(t, fresh, request);
    return begin(fx, t, root.thread.id);
  });
  auto wishes = wishes_for_root(fx, row, request);
  wishes.reused = reused;
  row = launch_thread(fx, row, wishes);
  fx.store([&](tx& t) {
    t.run("UPDATE sessions SET tmux_session_name = ? WHERE id = ?", row.thread.tmux_session_name,
          row.thread.session_id);
  });
  return row;
}

/// Before there is a row that says it runs, a program that is not there is found out.
void check_program(effects& fx, const thread_child_spawn& request, int64_t root_thread_id) {
  thread_row trial;
  trial.thread.provider = request.provider;
  trial.launch = {request.launch_command, request.codex_command, request.launch_codex, {}};
  try {
    command_of(fx.agents(), trial);
  } catch (const request_error& e) {
    if (e.code != errc::unavailable)
      throw;
    fx.store([&](tx& t) {
      auto failed = plan_child(t, request, root_thread_id, std::nullopt);
      note_launch_failed(t, failed.row.thread.id, 0, e.what(), false);
    });
    throw;
  }
}

/// Writes the child's row, `ready` to be launched or only planned because there is no tmux.
planned_child plan(effects& fx, const thread_child_spawn& request, int64_t root_thread_id,
                   const std::optional<tmux_readiness>& found,
                   const std::function<void(tx&, int64_t)>& also) {
  check_program(fx, request, root_thread_id);
  auto ready = !found || found->ready();
  auto limit = request.max_concurrent_children.value_or(fx.agents().config.max_children);
  auto write = [&](tx& t) {
    auto planned =
      plan_child(t, request, root_thread_id, ready ? std::optional{limit} : std::nullopt);
    auto id = planned.row.thread.id;
    also(t, id);
    if (ready)
      fx.hold(name_of_launch(id));
    else
      t.run("UPDATE threads SET error_message = ? WHERE id = ?", found->manual_instructions, id);
    return planned;
  };
  try {
    return fx.store(write);
  } catch (const request_error& e) {
    if (e.code != errc::conflict)
      throw;
    // Some may have ended since anybody looked.
    for (const auto& one : fx.store([&](tx& t) { return live_threads_of(t, request.session_id); }))
      look_at_thread(fx, one.thread.id, 0);
    return fx.store(write);
  }
}

/// Launches a child whose row is written, with what was wished for it.
thread_row launch_child(effects& fx, const planned_child& planned, const thread_row& root,
                        const thread_child_spawn& request) {
  const auto& row = planned.row;
  pane_turn turn{fx, row.thread.id};
  launch_wishes wishes;
  wishes.session_name = request.tmux_session_name.value_or(child_session_of(root));
  wishes.may_rename_session = !request.tmux_session_name;
  wishes.window_name = request.tmux_window_name;
  wishes.direction = request.split_direction == "horizontal" ? split_direction::horizontal
                                                             : split_direction::vertical;
  wishes.reused = planned.reused;
  wishes.check_early = !request.skip_ready_check;
  wishes.prompt = assignment_of(fx, row);
  wishes.typed_prompt = request.initial_prompt.value_or("");
  return launch_thread(fx, row, wishes);
}

/// The child that a former attempt has written down. If that attempt came no further, its launch
/// begins again here.
planned_child go_on_with(effects& fx, int64_t thread_id) {
  auto row = look_at_thread(fx, thread_id, 0).row;
  if (row.thread.status != "failed" && (was_launched(row) || row.thread.incarnation == 0))
    return {row, {}};
  return {fx.store([&](tx& t) { return begin(fx, t, thread_id); }), {}};
}

bool waits_for_launch(const thread_row& row) {
  return row.thread.status == "initializing" && !row.pane;
}

} // namespace

ensured_root_thread ensure_root(effects& fx, const thread_root_ensure& request) {
  auto row = fx.store([&](tx& t) { return ensure_root_thread(t, request); });
  ensured_root_thread ensured;
  ensured.tmux = readiness(fx, request.ensure_tmux, request.auto_install, request.session_id);
  if (!ensured.tmux || ensured.tmux->ready()) {
    row = launch_root(fx, row, request);
  }
  ensured.attach_info = attach_info_of(fx, row);
  ensured.child_tmux_session = child_session_of(row);
  ensured.child_attach_hint = fx.agents().terminal.attach_command(
    safe_name(ensured.child_tmux_session), attachment::read_only);
  ensured.root_thread = row.thread;
  fx.store([&](tx& t) {
    ensured.session = t.get<session>("sessions", request.session_id, "session");
    fx.conclude(t, ensured);
  });
  return ensured;
}

spawned_thread start_child(effects& fx, const thread_child_spawn& request,
                           const std::optional<int64_t>& begun_before,
                           const std::function<void(tx&, int64_t)>& also) {
  check_guide(fx, request.agent_guide_path);
  spawned_thread spawned;
  spawned.tmux = readiness(fx, request.ensure_tmux, request.auto_install, request.session_id);
  auto root = fx.store([&](tx& t) {
    thread_root_ensure wanted;
    wanted.session_id = request.session_id;
    return ensure_root_thread(t, wanted);
  });
  auto planned = begun_before ? go_on_with(fx, *begun_before)
                              : plan(fx, request, root.thread.id, spawned.tmux, also);
  auto row = planned.row;
  if (waits_for_launch(row))
    row = launch_child(fx, planned, root, request);
  spawned.attach_info = attach_info_of(fx, row);
  spawned.thread = row.thread;
  fx.store_if_possible([&](tx& t) {
    row = get_thread(t, row.thread.id);
    if (!request.tmux_session_name && row.thread.tmux_session_name)
      t.run("UPDATE threads SET child_session_name = ? WHERE id = ?", row.thread.tmux_session_name,
            root.thread.id);
    spawned.thread = row.thread;
  });
  return spawned;
}

spawned_thread spawn_child(effects& fx, const thread_child_spawn& request) {
  auto spawned = start_child(fx, request, fx.begun_before(),
                             [&](tx& t, int64_t thread_id) { fx.note_begun(t, thread_id); });
  fx.store_if_possible([&](tx& t) { fx.conclude(t, spawned); });
  return spawned;
}

thread_row relaunch(effects& fx, int64_t thread_id, const std::string& prompt) {
  auto before = fx.store([=](tx& t) { return get_thread(t, thread_id); });
  command_of(fx.agents(), before);
  auto assignment = assignment_of(fx, before);
  end_program(fx, before);
  auto row = fx.store([&](tx& t) { return begin(fx, t, thread_id); });
  launch_wishes wishes;
  wishes.session_name =
    before.thread.tmux_session_name.value_or(fmt::format("codex-child-{}", thread_id));
  wishes.window_name = before.thread.tmux_window_name.value_or("children");
  wishes.reused = before.pane;
  wishes.resumes = before.thread.agent_session_id;
  wishes.prompt = wishes.resumes ? prompt : assignment + "\n" + prompt;
  return launch_thread(fx, row, wishes);
}

} // namespace orch
