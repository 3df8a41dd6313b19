#include "io/provider.hpp"

namespace orch {

namespace {

/// Any program. It may report what it does by appending lines to the file ORCH_EVENT_LOG; most
/// don't, and then only its process and its screen tell.
class command final : public provider {
public:
  std::string_view name() const override { return "command"; }
  std::string default_command() const override { return {}; }
  std::string instructions() const override {
    return "give launch_command, or codex_command, with the program to run";
  }
  bool reports() const override { return false; }
  std::string interrupt_key() const override { return "C-c"; }

  launch_plan plan(const agent_launch& launch) const override {
    return {{}, {launch.command, launch.directory, agent_environment(launch)}, true};
  }
};

} // namespace

const provider& command_provider() {
  static const command only;
  return only;
}

} // namespace orch
