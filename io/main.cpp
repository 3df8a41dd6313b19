#include "config/config_schema.hpp"
#include "config/supervisor_config.hpp"
#include "io/backup.hpp"
#include "io/check_guard.hpp"
#include "io/hook.hpp"
#include "io/install.hpp"
#include "io/log.hpp"
#include "io/server.hpp"
#include "io/status.hpp"
#include "io/stopping.hpp"
#include "io/supervisor.hpp"
#include "messages/catalog.hpp"
#include "messages/tools.hpp"
#include "messages/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <iostream>

namespace {

/// Bad usage, or a repository that cannot be served (contract, section 1).
constexpr int cannot_start = 2;

struct command_line {
  orch::serve_options serve;
  std::string mode;
  std::string method;
  std::string params = "{}";
  std::string help_method;
  std::string log_level = "warn";
  std::string log_file;
  bool as_json = false;
  bool as_table = false;
  orch::install_options install;
  orch::status_options status;
  std::string config;
  std::string copy;
  std::string schema;
  std::string client;
  bool for_user = false;
  bool repo_given = false;
};

void add_options(CLI::App& app, command_line& line) {
  std::vector<std::string> profiles;
  for (const auto& profile : orch::tool_profiles())
    profiles.emplace_back(profile.name);
  app.add_option("--repo", line.serve.repo, "a directory in the repository (default .)");
  app.add_option("--mode", line.mode, "serve or once, instead of the subcommand")
    ->check(CLI::IsMember({"serve", "once"}));
  app.add_option("--method", line.method, "once: the method to call");
  app.add_option("--params", line.params, "once: its parameters, a JSON object (default {})");
  app.add_option("--tools", line.serve.connection.profile, "the MCP tools to show")
    ->check(CLI::IsMember(profiles));
  app
    .add_option("--window", line.serve.connection.window,
                "requests read and not yet answered (default 256)")
    ->check(CLI::Range(1, 4096));
  app
    .add_option("--max-message-bytes", line.serve.connection.most_bytes,
                "longest message (default 16 MiB)")
    ->check(CLI::Range(1'024, 1 << 30));
  app.add_option("--log-level", line.log_level, "error, warn (default), info or debug")
    ->check(CLI::IsMember({"error", "warn", "info", "debug"}));
  app.add_option("--log-file", line.log_file, "write the log there too");
}

CLI::App* add_install(CLI::App& app, command_line& line) {
  auto install =
    app.add_subcommand("install", "install into Codex or Claude Code: MCP server, hooks, "
                                  "guides");
  install->add_option("--client", line.client, "codex or claude")
    ->required()
    ->check(CLI::IsMember({"codex", "claude"}));
  install->add_flag("--user", line.for_user,
                    "for the user (default; --repo DIR: for a repository)");
  install->add_flag("--dry-run", line.install.dry_run, "only show what would change");
  install->add_flag("--uninstall", line.install.uninstall, "take out what install has written");
  install->add_flag("--check", line.install.check, "prove that the installed hook fires");
  return install;
}

int install(command_line& line) {
  if (line.for_user && line.repo_given)
    throw std::runtime_error{"--user and --repo exclude each other"};
  if (line.install.uninstall && line.install.check)
    throw std::runtime_error{"--uninstall and --check exclude each other"};
  line.install.client =
    line.client == "codex" ? orch::agent_client::codex : orch::agent_client::claude;
  if (line.repo_given)
    line.install.repo = line.serve.repo;
  return orch::run_install(line.install);
}

orch::log_level level_of(const std::string& word) {
  using orch::log_level;
  if (word == "error")
    return log_level::error;
  if (word == "info")
    return log_level::info;
  return word == "debug" ? log_level::debug : log_level::warn;
}

int print_methods(const command_line& line) {
  if (line.as_json)
    std::cout << orch::describe_methods().dump(2) << "\n";
  else if (line.as_table)
    std::cout << orch::markdown_table();
  else
    for (const auto& m : orch::catalog())
      fmt::print("{:<28} {}\n", m.about->name, m.about->doc);
  return 0;
}

int print_help(const command_line& line, const std::string& usage) {
  if (line.help_method.empty()) {
    std::cout << usage;
    return 0;
  }
  if (auto m = orch::find_method(line.help_method)) {
    std::cout << orch::help_text(*m);
    return 0;
  }
  std::vector<std::string_view> names;
  for (const auto& m : orch::catalog())
    names.push_back(m.about->name);
  auto meant = orch::nearest(line.help_method, names);
  std::cerr << fmt::format("codex-orchestrator: unknown method {}{}\n", line.help_method,
                           meant.empty() ? std::string{"; codex-orchestrator methods lists them"}
                                         : fmt::format("; did you mean {}?", meant));
  return cannot_start;
}

CLI::App* add_supervise(CLI::App& app, command_line& line) {
  auto supervise = app.add_subcommand(
    "supervise", "look after the repositories of a config file, and answer requests that name one");
  supervise->add_option("--config", line.config, "see config/supervisor.example.json")->required();
  return supervise;
}

CLI::App* add_status(CLI::App& app, command_line& line) {
  auto status =
    app.add_subcommand("status", "show what runs, what is stuck and what needs a person");
  status->add_option("--config", line.config, "for all repositories of a supervisor's config");
  status->add_flag("--json", line.status.json, "as one JSON object");
  status->add_flag("--watch", line.status.watch, "again with each change, until q or Ctrl-C");
  return status;
}

int show_status(command_line& line) {
  if (!line.config.empty() && line.repo_given)
    throw std::runtime_error{"--repo and --config exclude each other"};
  if (line.config.empty())
    line.status.targets = {{"", line.serve.repo}};
  else
    for (const auto& target : orch::read_supervisor_config(line.config).targets)
      line.status.targets.push_back({target.name, target.path});
  return orch::run_status(line.status);
}

int supervise(const command_line& line) {
  orch::set_up_log(level_of(line.log_level), line.log_file);
  orch::take_over_process(true);
  return orch::supervise({line.config, line.serve.connection});
}

int run(const command_line& line, bool serves) {
  orch::set_up_log(level_of(line.log_level), line.log_file);
  orch::take_over_process(serves);
  return serves ? orch::serve(line.serve) : orch::once(line.serve, line.method, line.params);
}

} // namespace

int main(int argc, char** argv) {
  // Before anything else: an agent waits for it at each edit.
  auto asks = argc > 2 && std::string_view{argv[2]} == "--help";
  if (argc > 1 && std::string_view{argv[1]} == "hook" && !asks)
    return orch::run_hook({argv + 2, argv + argc});
  if (argc == 3 && std::string_view{argv[1]} == orch::check_guard_word)
    return orch::guard_check(argv[2]);
  CLI::App app{"Coordinates coding agents that work in one git repository at the same time.",
               "codex-orchestrator"};
  command_line line;
  auto commit = orch::program_commit();
  app.set_version_flag("--version", commit.empty()
                                      ? std::string{orch::program_version}
                                      : fmt::format("{} ({})", orch::program_version, commit));
  app.fallthrough();
  add_options(app, line);
  auto serve = app.add_subcommand("serve", "answer JSONL and MCP requests on stdin until it ends");
  serve->add_flag("--optional-repo", line.serve.repo_is_optional,
                  "start also where there is no repository, and say so to each request");
  auto once = app.add_subcommand("once", "answer one request: --method M --params JSON");
  auto methods = app.add_subcommand("methods", "list all methods");
  methods->add_flag("--json", line.as_json, "with parameters and results as JSON Schema");
  methods->add_flag("--markdown", line.as_table, "as a table with parameters");
  auto help = app.add_subcommand("help", "explain the program, or a method");
  help->add_option("method", line.help_method, "a method");
  auto supervises = add_supervise(app, line);
  auto status = add_status(app, line);
  auto config = app.add_subcommand("config", "check a supervisor's config, or print a JSON Schema");
  auto check = config->add_subcommand("check", "say all that is wrong in a file, by line and key");
  check->add_option("file", line.config, "a supervisor's config")->required();
  auto schema = config->add_subcommand("schema", "print the JSON Schema: supervisor or repository");
  schema->add_option("which", line.schema, "supervisor or repository")
    ->required()
    ->check(CLI::IsMember({"supervisor", "repository"}));
  config->require_subcommand(1);
  auto backs_up =
    app.add_subcommand("backup", "copy the repository's state, also while servers run");
  backs_up->add_option("file", line.copy, "a new file")->required();
  auto restores = app.add_subcommand("restore", "put such a copy in the place of the state");
  restores->add_option("file", line.copy, "made by backup")->required();
  auto installs = add_install(app, line);
  app.add_subcommand("hook",
                     "what install has the agents' hooks run: --client codex|claude [--wait "
                     "SECONDS] [EVENT]");
  app.require_subcommand(0, 1);
  // Once a subcommand is parsed the library only tells of that one.
  auto usage = app.help();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : cannot_start;
  }
  try {
    if (*methods)
      return print_methods(line);
    if (*help)
      return print_help(line, usage);
    line.repo_given = app.count("--repo") > 0;
    if (*installs)
      return install(line);
    if (*backs_up)
      return orch::back_up(line.serve.repo, line.copy);
    if (*restores)
      return orch::restore(line.serve.repo, line.copy);
    if (*status)
      return show_status(line);
    if (*supervises)
      return supervise(line);
    if (*check)
      return orch::print_config_check(line.config);
    if (*schema)
      return orch::print_config_schema(line.schema);
    auto serves = *serve || line.mode == "serve";
    if (!serves && !*once && line.mode != "once") {
      std::cerr << usage;
      return cannot_start;
    }
    if (!serves && line.method.empty()) {
      std::cerr << "codex-orchestrator: once needs --method\n";
      return cannot_start;
    }
    return run(line, serves);
  } catch (const std::exception& e) {
    std::cerr << "codex-orchestrator: " << e.what() << "\n";
    return cannot_start;
  }
}
