#include "actors/thread_launch.hpp"

#include "io/files.hpp"
#include "io/guides.hpp"
#include "io/shell_words.hpp"
#include "io/turnstile.hpp"
#include "messages/text.hpp"
#include "storage/directives.hpp"
#include "storage/worktrees.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace orch {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds early_end{250};
/// tmux on a busy machine takes that long to show what a program has said last.
constexpr std::chrono::milliseconds time_to_draw{500};
constexpr std::chrono::milliseconds between_looks{20};

/// An argument that tmux surely takes; longer prompts go through a file.
constexpr std::size_t longest_argument = 8'000;

constexpr int most_names = 1'000;
constexpr std::chrono::seconds time_to_place{20};

/// A directory that only we can look into, and those above it.
void make_private_directory(const fs::path& path) {
  fs::create_directories(path.parent_path());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw request_error{errc::unavailable,
                        fmt::format("cannot make {}: {}", path.string(), std::strerror(errno))};
}

std::string read_guide_file(const fs::path& file) {
  std::optional<std::string> text;
  try {
    text = read_file(file);
  } catch (const std::runtime_error&) {
    // Said below.
  }
  if (!text)
    throw bad_param("agent_guide_path", fmt::format("the guide {} cannot be read", file.string()));
  return *text;
}

std::string guide_for(effects& fx, const thread& of) {
  if (of.agent_guide_path)
    return read_guide_file(fx.around.repo_root / *of.agent_guide_path);
  auto wanted = profile_for_role(of.role);
  for (const auto& guide : guides())
    if (guide.name == wanted || (wanted == "mirror" && guide.name == "mirror-manager"))
      return std::string{guide.text};
  return {};
}

void add_section(std::string& to, std::string_view title, const std::string& text) {
  if (!text.empty())
    to += fmt::format("\n## {}\n\n{}\n", title, text);
}

struct placed_pane {
  std::string id;
  std::string session;
};

std::optional<placed_pane> into_reused_pane(effects& fx, const launch_wishes& wishes,
                                            const pane_command& command) {
  if (!wishes.reused)
    return {};
  const auto& terminal = fx.agents().terminal;
  auto pane = terminal.pane(wishes.reused->id);
  if (!pane || !pane->dead || pane->server != wishes.reused->tmux_server_pid
      || pane->pid != wishes.reused->pid)
    return {};
  terminal.respawn(pane->id, command);
  return placed_pane{pane->id, pane->session};
}

/// Nothing if the session has gone meanwhile.
std::optional<placed_pane> into_session(effects& fx, const std::string& name,
                                        const launch_wishes& wishes, const pane_command& command) {
  const auto& terminal = fx.agents().terminal;
  auto panes = terminal.list_panes(name);
  if (panes.empty())
    return {};
  auto target = panes.front();
  for (const auto& pane : panes)
    if (pane.window == safe_name(wishes.window_name))
      target = pane;
  split_request split{target.id, wishes.direction, command, {}};
  std::string made;
  try {
    made = terminal.split(split);
  } catch (const request_error& e) {
    if (e.code == errc::not_found)
      return {};
    if (e.code != errc::conflict)
      throw;
    terminal.tile(target.id);
    made = terminal.split(split);
  }
  try {
    if (panes.size() > 1)
      terminal.tile(made);
  } catch (const request_error&) {
    // Only looks worse.
  }
  return placed_pane{made, name};
}

/// Makes the pane: a dead one that is to be taken, one beside others in our session, or the first
/// of a new session.
placed_pane place(effects& fx, const launch_wishes& wishes, const pane_command& command) {
  if (auto reused = into_reused_pane(fx, wishes, command))
    return *reused;
  const auto& terminal = fx.agents().terminal;
  auto wanted = safe_name(wishes.session_name);
  // Names that come and go are tried again, but not for ever.
  auto end = steady::now() + time_to_place;
  for (int n = 1; n <= most_names && steady::now() < end; ++n) {
    auto name = n == 1 ? wanted : fmt::format("{}-{}", wanted, n);
    if (terminal.has_session(name)) {
      if (is_our_session(fx, name)) {
        if (auto placed = into_session(fx, name, wishes, command))
          return *placed;
        --n;
        continue;
      }
      if (!terminal.has_session(name)) {
        --n; // it went away while we asked whose it is
        continue;
      }
      if (!wishes.may_rename_session)
        throw request_error{errc::conflict,
                            fmt::format("a tmux session {} is there already and not ours", name),
                            {{"field", "tmux_session_name"}}};
      continue;
    }
    try {
      return {terminal.new_session({name, wishes.window_name, command}), name};
    } catch (const request_error& e) {
      if (e.code != errc::conflict)
        throw;
      --n; // somebody made it a moment ago: is it ours now?
    }
  }
  throw request_error{errc::conflict, fmt::format("no free name for tmux session {}", wanted)};
}

/// What a dead pane shows. tmux may draw the last of it a moment later.
std::string last_words_on(const tmux& terminal, const std::string& pane_id) {
  std::string screen;
  auto end = steady::now() + time_to_draw;
  do {
    screen = condensed(terminal.capture(pane_id, {60}));
    if (!screen.empty() && !screen.starts_with("Pane is dead"))
      break;
    std::this_thread::sleep_for(between_looks);
  } while (steady::now() < end);
  return screen;
}

/// Did the program end at once? Then the reason, as far as its screen tells it.
std::optional<std::string> early_failure(const tmux& terminal, const std::string& pane_id) {
  auto end = steady::now() + early_end;
  do {
    auto pane = terminal.pane(pane_id);
    if (!pane)
      return "its pane was closed at once";
    if (pane->dead && (pane->dead_status.value_or(0) != 0 || !pane->dead_signal.empty())) {
      auto screen = last_words_on(terminal, pane_id);
      return fmt::format("it ended at once, {}: {}",
                         pane->dead_status ? fmt::format("with status {}", *pane->dead_status)
                                           : fmt::format("by signal {}", pane->dead_signal),
                         screen);
    }
    std::this_thread::sleep_for(between_looks);
  } while (steady::now() < end);
  return {};
}

bool has_tmux(const tmux& terminal) {
  try {
    return terminal.is_usable();
  } catch (const request_error&) {
    return true; // it is there, whatever is wrong with it
  }
}

std::string told_by_file(const fs::path& file) {
  return fmt::format(
    "Your assignment is in the file {}. Read all of it first, then do what it says.",
    file.string());
}

agent_launch launch_of(effects& fx, const thread_row& row) {
  agent_launch launch;
  launch.thread_id = row.thread.id;
  launch.session_id = row.thread.session_id;
  launch.incarnation = row.thread.incarnation;
  launch.role = row.thread.role;
  launch.repo_root = fx.around.repo_root;
  launch.directory = row.worktree_path;
  launch.files = fs::path{row.thread.log_file_path.value_or("")}.parent_path();
  launch.program = fx.agents().program;
  launch.command = command_of(fx.agents(), row);
  return launch;
}

/// Settings and prompt make it long; what comes first says what was launched.
std::string launch_note(const std::vector<std::string>& argv) {
  constexpr std::size_t most = 300;
  auto line = shell_line(argv);
  return line.size() <= most ? line : std::string{beginning_of(line, most)} + " …";
}

bool runs_the_agent(const thread_row& row) {
  return row.launch.launch_codex && !row.launch.launch_command;
}

} // namespace

bool is_our_session(effects& fx, const std::string& name) {
  auto panes = fx.agents().terminal.list_panes(name);
  return fx.store([&](tx& t) {
    for (const auto& pane : panes)
      if (t.number(
            "SELECT 1 FROM threads WHERE tmux_session_name = ? AND tmux_server_pid = ? LIMIT 1",
            name, pane.server))
        return true;
    return false;
  });
}

std::vector<std::string> command_of(const agent_host& host, const thread_row& of) {
  if (!of.launch.launch_codex) {
    auto shell = std::getenv("SHELL");
    return {shell && *shell ? shell : "/bin/sh"};
  }
  if (of.launch.launch_command)
    return {"/bin/sh", "-c", *of.launch.launch_command};
  const auto& by = find_provider(of.thread.provider);
  auto configured = of.thread.provider == "codex"         ? host.config.codex_command
                    : of.thread.provider == "claude_code" ? host.config.claude_command
                                                          : std::string{};
  auto words = shell_words("codex_command", of.launch.codex_command.value_or(configured));
  if (words.empty())
    throw bad_param("launch_command", fmt::format("provider {}: {}", by.name(), by.instructions()));
  if (!find_program(words.front()))
    throw request_error{errc::unavailable,
                        fmt::format("{} is not there or cannot be run", words.front()),
                        {{"instructions", by.instructions()}}};
  return words;
}

void check_guide(effects& fx, const std::optional<std::string>& guide_path) {
  if (guide_path)
    read_guide_file(fx.around.repo_root / *guide_path);
}

std::string assignment_of(effects& fx, const thread_row& row) {
  const auto& x = row.thread;
  auto task = row.launch.initial_prompt.value_or("");
  auto has_task = !task.empty() || x.objective || x.task_spec || x.scope_task_ids
                  || x.scope_case_ids || x.scope_node_ids;
  if (!has_task && !x.parent_thread_id)
    return {};
  auto text =
    fmt::format("# Assignment\n\nYou are thread #{} ({}) of session #{} in the repository "
                "{}. You work in {}.\n",
                x.id, x.role, x.session_id, fx.around.repo_root.string(), row.worktree_path);
  add_section(text, "Objective", x.objective.value_or(""));
  add_section(text, "Rules of this assignment", x.agent_override.value_or(""));
  std::string scope;
  auto add_ids = [&](std::string_view what, const std::optional<raw_json>& ids) {
    if (ids)
      scope += fmt::format("- {} {}\n", what, ids->text);
  };
  add_ids("tasks", x.scope_task_ids);
  add_ids("cases", x.scope_case_ids);
  add_ids("plan nodes", x.scope_node_ids);
  add_section(text, "Scope", scope);
  add_section(text, "Task", x.task_spec ? x.task_spec->text : "");
  add_section(text, "What to do first", task);
  add_section(text, "How to work", guide_for(fx, x));
  return text;
}

thread_row launch_thread(effects& fx, const thread_row& row, const launch_wishes& wishes) {
  const auto& terminal = fx.agents().terminal;
  const auto& by = find_provider(row.thread.provider);
  std::optional<std::string> pane_id;
  try {
    auto launch = launch_of(fx, row);
    make_private_directory(launch.files);
    launch.resumes = wishes.resumes;
    launch.prompt = typeable(wishes.prompt);
    auto is_agent = runs_the_agent(row) && by.reports();
    if (launch.prompt.size() > longest_argument || (!is_agent && !launch.prompt.empty())) {
      launch.assignment = launch.files / "assignment.md";
      replace_file(launch.assignment, launch.prompt, 0600);
      launch.prompt = told_by_file(launch.assignment);
    }
    if (!fs::is_directory(launch.directory))
      throw request_error{errc::failed_precondition,
                          fmt::format("its worktree {} is not on disk", row.worktree_path)};
    auto plan =
      runs_the_agent(row)
        ? by.plan(launch)
        : launch_plan{{}, {launch.command, launch.directory, agent_environment(launch)}, true};
    for (const auto& [path, text] : plan.files)
      replace_file(path, text, 0600);
    placed_pane placed;
    {
      // Panes of one repository are laid out one after the other.
      turnstile one_at_a_time{fx.around.state_dir / "panes.lock"};
      one_at_a_time.enter();
      placed = place(fx, wishes, plan.command);
      pane_id = placed.id;
      auto pane = terminal.pane(placed.id);
      if (!pane)
        throw request_error{errc::unavailable, "its pane was closed at once"};
      fx.store([&](tx& t) {
        note_launched(t, row.thread.id, row.thread.incarnation, {pane->id, pane->pid, pane->server},
                      placed.session, pane->window);
        if (plan.prompt_is_typed && !wishes.typed_prompt.empty())
          add_directive(t, row.thread.id, "queue", wishes.typed_prompt);
        t.run("UPDATE threads SET launch_command = ?, has_first_prompt = ? WHERE id = ?",
              launch_note(plan.command.argv),
              int64_t{!launch.prompt.empty() && !plan.prompt_is_typed}, row.thread.id);
      });
    }
    if (wishes.check_early)
      if (auto why = early_failure(terminal, placed.id))
        throw request_error{
          errc::unavailable,
          fmt::format("{} could not be started: {}", plan.command.argv.front(), *why),
          {{"instructions", by.instructions()}}};
    return fx.look([&](tx& t) { return get_thread(t, row.thread.id); });
  } catch (...) {
    auto why = current_error();
    try {
      if (pane_id)
        terminal.kill_pane(*pane_id);
    } catch (const request_error&) {
      // tmux is gone, and the pane with it.
    }
    fx.store_if_possible([&](tx& t) {
      note_launch_failed(t, row.thread.id, row.thread.incarnation, why.what(), !has_tmux(terminal));
    });
    throw why;
  }
}

pane_turn::pane_turn(effects& fx, int64_t thread_id) {
  auto directory = fx.around.state_dir / "threads" / std::to_string(thread_id);
  make_private_directory(directory);
  auto turn = std::make_shared<turnstile>(directory / "pane.lock");
  turn->enter();
  turn_ = turn;
}

} // namespace orch
