#include "workspace.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace bench {

void run_program(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const auto& word : command)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  auto failed = ::posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (failed != 0)
    throw std::system_error{failed, std::generic_category(), command.front()};
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0)
    throw std::runtime_error{command.front() + " failed"};
}

workspace::workspace(const std::filesystem::path& parent) {
  auto name = (parent / "orchestrator-bench-XXXXXX").string();
  if (!::mkdtemp(name.data()))
    throw std::system_error{errno, std::generic_category(), name};
  root_ = name;
  try {
    run_program({"git", "init", "-q", root_.string()});
  } catch (...) {
    std::filesystem::remove_all(root_);
    throw;
  }
}

workspace::~workspace() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

} // namespace bench
