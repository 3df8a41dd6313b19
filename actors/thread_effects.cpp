#include "actors/thread_effects.hpp"

#include "io/guides.hpp"
#include "io/install.hpp"
#include "io/tmux_install.hpp"
#include "messages/version.hpp"
#include "storage/runtime.hpp"
#include "storage/sessions.hpp"

#include <fmt/format.h>

#include <thread>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds between_looks{100};

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

} // namespace

tmux_readiness ensure_tmux_runtime(effects& fx, const runtime_tmux_ensure& request) {
  if (request.session_id)
    fx.store([&](tx& t) { t.must_exist("sessions", *request.session_id, "session"); });
  auto found = ensure_tmux(fx.agents().terminal, request.auto_install);
  auto detail = found.tmux_version.value_or(found.manual_instructions.value_or(""));
  fx.store([&](tx& t) {
    found.event = note_runtime_event(t, request.session_id, found.status, detail);
    fx.conclude(t, found);
  });
  return found;
}

bundle_info look_at_bundle(effects& fx, const runtime_bundle_info&) {
  bundle_info info;
  info.program = fx.agents().program.string();
  info.version = std::string{program_version};
  for (auto client : {agent_client::codex, agent_client::claude})
    for (auto for_user : {true, false}) {
      install_places places;
      try {
        places = places_of_user(for_user ? std::nullopt : std::optional{fx.around.repo_root});
      } catch (const std::exception&) {
        continue; // no home: nothing can be installed for the user
      }
      for (const auto& part : installed_state({client, places, fx.agents().program})) {
        bundle_part found;
        found.client = std::string{word_for(client)};
        found.scope = for_user ? "user" : "repository";
        found.what = part.what;
        found.path = part.paths.empty() ? std::string{} : part.paths.front();
        found.present = part.present;
        found.stale = part.stale;
        if (!part.reason.empty())
          found.reason = part.reason;
        info.parts.push_back(std::move(found));
      }
    }
  for (const auto& guide : guides())
    info.guides.emplace_back(guide.name);
  return info;
}

attach_info attach_info_of(effects& fx, const thread_row& row) {
  attach_info info;
  info.read_only = row.thread.parent_thread_id.has_value();
  info.tmux_session = row.thread.tmux_session_name;
  info.tmux_pane_id = row.thread.tmux_pane_id;
  if (!info.tmux_session)
    return info;
  const auto& terminal = fx.agents().terminal;
  try {
    info.available = terminal.has_session(*info.tmux_session);
    info.attach_command = terminal.attach_command(
      *info.tmux_session, info.read_only ? attachment::read_only : attachment::read_write);
    info.switch_command = terminal.switch_command(*info.tmux_session);
  } catch (const request_error&) {
    // No tmux: nothing to attach to.
  }
  return info;
}

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
                           const std::function<void(tx&, int64_t)>& also) {
  check_guide(fx, request.agent_guide_path);
  spawned_thread spawned;
  spawned.tmux = readiness(fx, request.ensure_tmux, request.auto_install, request.session_id);
  auto ready = !spawned.tmux || spawned.tmux->ready();
  auto limit = request.max_concurrent_children.value_or(fx.agents().config.max_children);
  planned_child planned;
  auto root = fx.store([&](tx& t) {
    thread_root_ensure wanted;
    wanted.session_id = request.session_id;
    return ensure_root_thread(t, wanted);
  });
  {
    // A program that is not there is found out before there is a row that says it runs.
    thread_row trial;
    trial.thread.provider = request.provider;
    trial.launch = {request.launch_command, request.codex_command, request.launch_codex, {}};
    try {
      command_of(fx.agents(), trial);
    } catch (const request_error& e) {
      if (e.code != errc::unavailable)
        throw;
      fx.store([&](tx& t) {
        auto failed = plan_child(t, request, root.thread.id, std::nullopt);
        note_launch_failed(t, failed.row.thread.id, 0, e.what(), false);
      });
      throw;
    }
  }
  auto plan = [&](tx& t) {
    planned = plan_child(t, request, root.thread.id, ready ? std::optional{limit} : std::nullopt);
    also(t, planned.row.thread.id);
    if (ready)
      fx.hold(name_of_launch(planned.row.thread.id));
    else if (spawned.tmux)
      t.run("UPDATE threads SET error_message = ? WHERE id = ?", spawned.tmux->manual_instructions,
            planned.row.thread.id);
  };
  try {
    fx.store(plan);
  } catch (const request_error& e) {
    if (e.code != errc::conflict)
      throw;
    // Some may have ended since anybody looked.
    for (const auto& one : fx.store([&](tx& t) { return live_threads_of(t, request.session_id); }))
      look_at_thread(fx, one.thread.id, 0);
    fx.store(plan);
  }
  auto row = planned.row;
  if (ready) {
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
    row = launch_thread(fx, row, wishes);
  }
  spawned.attach_info = attach_info_of(fx, row);
  fx.store([&](tx& t) {
    row = get_thread(t, row.thread.id);
    if (ready && !request.tmux_session_name && row.thread.tmux_session_name)
      t.run("UPDATE threads SET child_session_name = ? WHERE id = ?", row.thread.tmux_session_name,
            root.thread.id);
    spawned.thread = row.thread;
  });
  return spawned;
}

spawned_thread spawn_child(effects& fx, const thread_child_spawn& request) {
  auto spawned = start_child(fx, request, [](tx&, int64_t) {});
  fx.store([&](tx& t) { fx.conclude(t, spawned); });
  return spawned;
}

thread_page list_child_threads(effects& fx, const thread_child_list& request) {
  // A status is what is seen now, not what was seen last.
  auto filter = request;
  filter.status.reset();
  auto page = fx.store([&](tx& t) { return list_children(t, filter); });
  for (auto& x : page.threads)
    if (is_live(x.status))
      x = look_at_thread(fx, x.id, 0).row.thread;
  if (request.status)
    std::erase_if(page.threads, [&](const thread& x) { return x.status != *request.status; });
  return page;
}

thread_state tell_thread_state(effects& fx, const thread_child_status& request) {
  auto seen = look_at_thread(fx, request.thread_id,
                             static_cast<int>(std::max<int64_t>(50, request.capture_lines)));
  thread_state state;
  state.thread_id = request.thread_id;
  state.db_status = seen.row.thread.status;
  state.pane_exists = seen.evidence.pane.has_value();
  state.provider_status = seen.row.thread.status == "completed" && !state.pane_exists
                            ? "completed"
                            : seen.judgement.provider_status;
  state.evidence = seen.judgement.evidence;
  state.last_response = seen.judgement.last_response;
  state.exit_code = seen.judgement.exit_code;
  if (seen.row.thread.error_message
      && std::find(state.evidence.begin(), state.evidence.end(), *seen.row.thread.error_message)
           == state.evidence.end())
    state.evidence.push_back(*seen.row.thread.error_message);
  if (request.capture_lines > 0 && seen.evidence.pane)
    state.screen = seen.evidence.screen;
  return state;
}

thread_waited wait_for_thread(effects& fx, const thread_child_wait_status& request) {
  if (request.target_statuses.empty())
    throw bad_param("target_statuses", "target_statuses must name at least one status");
  auto begin = steady::now();
  auto end = begin + std::chrono::seconds{request.timeout_seconds};
  while (true) {
    auto seen = look_at_thread(fx, request.thread_id);
    auto status = seen.judgement.provider_status;
    if (seen.row.thread.status == "completed")
      status =
        std::find(request.target_statuses.begin(), request.target_statuses.end(), "completed")
            != request.target_statuses.end()
          ? "completed"
          : status;
    auto wanted = std::find(request.target_statuses.begin(), request.target_statuses.end(), status)
                  != request.target_statuses.end();
    if (wanted) {
      using namespace std::chrono;
      return {request.thread_id, status, seen.judgement.last_response,
              duration_cast<milliseconds>(steady::now() - begin).count()};
    }
    if (fx.given_up() || steady::now() >= end)
      throw request_error{errc::timeout,
                          fmt::format("thread #{} is {} after {} s", request.thread_id, status,
                                      request.timeout_seconds),
                          {{"provider_status", status}, {"evidence", seen.judgement.evidence}}};
    std::this_thread::sleep_for(between_looks);
  }
}

void press_interrupt(effects& fx, const thread_row& row) {
  const auto& terminal = fx.agents().terminal;
  const auto& by = find_provider(row.thread.provider);
  auto pane = find_pane(fx.agents(), row);
  if (!pane || pane->dead)
    throw request_error{errc::failed_precondition,
                        fmt::format("thread #{} has no running agent", row.thread.id),
                        {{"status", row.thread.status}}};
  auto rules = screen_rules::load(fx.around.state_dir, row.thread.provider);
  auto typing = [&] { return rules.is_typing(terminal.capture(pane->id, {50, true})); };
  auto somebody_types = typing().value_or(false);
  terminal.leave_copy_mode(pane->id);
  terminal.press(pane->id, by.interrupt_key());
  if (!by.escape_returns_prompt() || somebody_types)
    return;
  // It shows a moment later; what was there before is somebody's and stays.
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(between_looks);
    if (typing().value_or(false))
      terminal.press(pane->id, "C-u");
    else if (i >= 4)
      return;
  }
}

interrupted_thread interrupt_thread(effects& fx, const thread_child_interrupt& request) {
  pane_turn turn{fx, request.thread_id};
  auto seen = look_at_thread(fx, request.thread_id);
  press_interrupt(fx, seen.row);
  interrupted_thread done;
  fx.store([&](tx& t) {
    done.thread = get_thread(t, request.thread_id).thread;
    fx.conclude(t, done);
  });
  return done;
}

thread_row end_agent(effects& fx, int64_t thread_id, const std::string& status,
                     bool terminate_pane) {
  auto row = fx.store([=](tx& t) { return get_thread(t, thread_id); });
  auto has_pane = find_pane(fx.agents(), row).has_value();
  // Said before it happens, so that nobody who looks meanwhile takes it for a failure.
  auto ended = fx.store([=](tx& t) { return end_thread(t, thread_id, status, !has_pane); });
  if (!has_pane)
    return ended;
  end_program(fx, row);
  if (!terminate_pane)
    return ended;
  fx.agents().terminal.kill_pane(row.pane->id);
  return fx.store([=](tx& t) { return end_thread(t, thread_id, status, true); });
}

stopped_thread stop_thread(effects& fx, const thread_child_stop& request) {
  pane_turn turn{fx, request.thread_id};
  stopped_thread done;
  done.thread = end_agent(fx, request.thread_id, "stopped", request.terminate_pane).thread;
  fx.store([&](tx& t) { fx.conclude(t, done); });
  return done;
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

directed_thread wait_for_delivery(effects& fx, const thread_child_directive& request,
                                  int64_t directive_id) {
  auto end = steady::now() + std::chrono::seconds{request.wait_seconds};
  directed_thread told;
  told.mode = request.mode;
  told.directive_id = directive_id;
  while (true) {
    auto now = fx.store([&](tx& t) {
      told.thread = get_thread(t, request.thread_id).thread;
      return get_directive(t, directive_id);
    });
    told.delivery = now.state;
    told.delivered = now.state == "seen";
    auto unconfirmed = now.state == "submitted" && now.error_message;
    if (now.state == "failed")
      throw request_error{errc::unavailable,
                          fmt::format("the directive did not reach thread #{}: {}",
                                      request.thread_id, now.error_message.value_or("")),
                          {{"directive_id", directive_id}, {"attempts", now.attempts}}};
    if (told.delivered || unconfirmed || fx.given_up() || steady::now() >= end) {
      told.outcome = told.delivered ? "delivered" : "queued";
      if (unconfirmed)
        told.outcome = "submitted";
      return told;
    }
    std::this_thread::sleep_for(between_looks);
  }
}

attach_info tell_attach_info(effects& fx, const thread_attach_info& request) {
  auto row = fx.store([&](tx& t) {
    auto owner = t.get<session>("sessions", request.session_id, "session");
    auto id = request.thread_id ? request.thread_id : owner.root_thread_id;
    if (!id)
      throw request_error{
        errc::failed_precondition,
        fmt::format("session #{} has no root thread; call thread.root.ensure", owner.id)};
    auto found = get_thread(t, *id);
    if (found.thread.session_id != owner.id)
      throw request_error{errc::permission_denied,
                          fmt::format("thread #{} does not belong to session #{}", *id, owner.id),
                          {{"field", "thread_id"}}};
    return found;
  });
  return attach_info_of(fx, row);
}

} // namespace orch
