#include "actors/thread_effects.hpp"

#include "actors/thread_end.hpp"
#include "io/change_watch.hpp"

#include <fmt/format.h>

#include <thread>

namespace orch {

using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds between_looks{100};
/// However much happens, a look costs two runs of tmux.
constexpr std::chrono::milliseconds shortest_pause{20};

/// What is known of it if nothing can be seen: tmux may be gone.
thread as_seen_now(effects& fx, const thread& known) {
  try {
    return look_at_thread(fx, known.id, 0).row.thread;
  } catch (const request_error& e) {
    if (e.code != errc::unavailable && e.code != errc::timeout)
      throw;
    return known;
  }
}

} // namespace

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

thread_page list_child_threads(effects& fx, const thread_child_list& request) {
  // A status is what is seen now, not what was seen last.
  auto filter = request;
  filter.status.reset();
  auto page = fx.store([&](tx& t) { return list_children(t, filter); });
  for (auto& x : page.threads)
    if (is_live(x.status))
      x = as_seen_now(fx, x);
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
  change_watch changes;
  while (true) {
    // What happens from here on ends the pause below.
    changes.add(fx.around.state_dir / "events.wake");
    auto seen = look_at_thread(fx, request.thread_id);
    if (seen.row.thread.log_file_path)
      changes.add(*seen.row.thread.log_file_path);
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
    std::this_thread::sleep_for(shortest_pause);
    changes.wait(between_looks - shortest_pause);
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
  auto row = fx.look([=](tx& t) { return get_thread(t, thread_id); });
  auto has_pane = find_pane(fx.agents(), row).has_value();
  // Said before it happens, so that nobody who looks meanwhile takes it for a failure, and that
  // another server finishes it if this one dies.
  fx.hold(name_of_ending(thread_id));
  std::optional<request_error> unwritten;
  try {
    row = fx.store([&](tx& t) {
      auto ended = end_thread(t, thread_id, status, !has_pane);
      if (has_pane)
        note_ending(t, thread_id);
      ended.pane = row.pane;
      return ended;
    });
  } catch (const request_error& e) {
    // What fills the disk may be the very agent that is to end.
    if (e.code != errc::unavailable || !has_pane)
      throw;
    unwritten = e;
  }
  if (!has_pane)
    return row;
  end_program(fx, row);
  if (terminate_pane)
    fx.agents().terminal.kill_pane(row.pane->id);
  if (unwritten)
    throw request_error{
      unwritten->code,
      fmt::format("the agent of thread #{} has ended, but that could not be noted: {}", thread_id,
                  unwritten->what()),
      unwritten->data};
  return fx.store([&](tx& t) {
    auto ended = terminate_pane ? end_thread(t, thread_id, status, true) : get_thread(t, thread_id);
    note_ended(t, thread_id);
    return ended;
  });
}

stopped_thread stop_thread(effects& fx, const thread_child_stop& request) {
  pane_turn turn{fx, request.thread_id};
  stopped_thread done;
  done.thread = end_agent(fx, request.thread_id, "stopped", request.terminate_pane).thread;
  fx.store([&](tx& t) { fx.conclude(t, done); });
  return done;
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
