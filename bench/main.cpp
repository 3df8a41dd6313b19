#include "groups.hpp"
#include "workspace.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>

namespace bench {

volatile std::sig_atomic_t interrupted = 0;

namespace {

void set_up_signals() {
  for (auto signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int) { interrupted = 1; });
  std::signal(SIGPIPE, SIG_IGN);
}

machine_limits limits_for(const settings& wanted) {
  workspace scratch{wanted.dir};
  return measure_limits(scratch.root(), wanted.quick ? 0.1 : 0.5);
}

bool run(const settings& wanted, const std::string& only) {
  auto chosen = [&](std::string_view group) { return only.empty() || only == group; };
  report to{wanted};
  machine_limits is;
  if (chosen("limits") || chosen("methods") || chosen("processes")) {
    is = limits_for(wanted);
    measure_machine(to, is);
  }
  if (chosen("methods"))
    measure_methods(to, is);
  if (chosen("processes"))
    measure_processes(to, is);
  if (chosen("bridges"))
    measure_bridges(to);
  if (chosen("startup"))
    measure_startup(to);
  if (chosen("growth"))
    measure_growth(to);
  if (chosen("previews"))
    measure_previews(to);
  return to.finish();
}

} // namespace

} // namespace bench

int main(int argc, char** argv) {
  CLI::App app{"Measures a codex-orchestrator server beside what the machine allows.",
               "orchestrator-bench"};
  bench::settings wanted;
  wanted.dir = std::filesystem::temp_directory_path();
  wanted.seconds = 0;
  std::string only;
  app.add_option("--server", wanted.server, "the program to measure")
    ->required()
    ->check(CLI::ExistingFile);
  app.add_option("--other", wanted.other, "another one, measured in turns with it")
    ->check(CLI::ExistingFile);
  app
    .add_option("--dir", wanted.dir,
                "where the databases are put (default: the temporary directory)")
    ->check(CLI::ExistingDirectory);
  app.add_option("--seconds", wanted.seconds, "of one measurement (default 1.5; 0.2 with --quick)")
    ->check(CLI::Range(0.05, 60.0));
  app.add_option("--only", only, "one group of measurements")
    ->check(CLI::IsMember(
      {"limits", "methods", "processes", "bridges", "startup", "growth", "previews"}));
  app.add_flag("--quick", wanted.quick, "everything in a few seconds, with less precision");
  app.add_flag("--json", wanted.as_json, "print the figures as JSON");
  CLI11_PARSE(app, argc, argv);
  if (wanted.seconds == 0)
    wanted.seconds = wanted.quick ? 0.2 : 1.5;
  bench::set_up_signals();
  try {
    return bench::run(wanted, only) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "orchestrator-bench: " << e.what() << "\n";
    return 2;
  }
}
