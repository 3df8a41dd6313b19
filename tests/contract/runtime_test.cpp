#include "agents_fixture.hpp"

using namespace orch::test;

namespace {

struct runtime : command_agents {
  /// A package manager, and a way to be root, of our own.
  server& start_with_apt_get(const std::string& text) {
    auto bin = bare_path();
    script("bin/sudo", "shift\nexec \"$@\"");
    script("bin/apt-get", text);
    return start_without_tmux();
  }
};

} // namespace

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure finds tmux and records it", "[runtime]") {
  if (tmux_is_missing())
    return;
  auto found = ask("runtime.tmux.ensure");
  CHECK(found["status"] == "ready");
  CHECK(found["tmux_path"] == program_in_path("tmux").string());
  CHECK_FALSE(found["tmux_version"].get<std::string>().empty());
  CHECK_FALSE(found.contains("attempts"));
  CHECK_FALSE(found.contains("manual_instructions"));
  const auto& event = found["event"];
  CHECK(event["requirement"] == "tmux");
  CHECK(event["status"] == "ready");
  CHECK(shape_of_time(event["created_at"]) == "time");
  CHECK_FALSE(event.contains("session_id"));
  CHECK(ask("runtime.tmux.ensure")["event"]["id"] > event["id"]);
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure starts no tmux server", "[runtime]") {
  if (tmux_is_missing())
    return;
  ask("runtime.tmux.ensure");
  CHECK(tmux_sessions().empty());
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure notes the session", "[runtime]") {
  json params{{"session_id", session}, {"auto_install", false}};
  CHECK(ask("runtime.tmux.ensure", params)["event"]["session_id"] == session);
  params["session_id"] = 999;
  CHECK(code_of("runtime.tmux.ensure", params) == "not_found");
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure says what to do where tmux is missing",
                 "[runtime]") {
  auto& bare = start_without_tmux();
  auto found = bare.ask("runtime.tmux.ensure", {{"auto_install", false}});
  CHECK(found["status"] == "manual_required");
  CHECK(found["manual_instructions"].get<std::string>().find("tmux") != std::string::npos);
  CHECK(found["event"]["status"] == "manual_required");
  CHECK_FALSE(found.contains("tmux_path"));
  CHECK_FALSE(found.contains("tmux_version"));
  CHECK_FALSE(found.contains("attempts"));
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure does not take a tmux that is too old", "[runtime]") {
  auto& bare = start_without_tmux();
  std::filesystem::rename(script("old-tmux", "echo tmux 1.5"), base / "bin" / "tmux");
  auto found = bare.ask("runtime.tmux.ensure", {{"auto_install", false}});
  CHECK(found["status"] == "manual_required");
  auto spawned = bare.ask("thread.child.spawn", of_child("exec cat -", {{"auto_install", false}}));
  CHECK(spawned["thread"]["status"] == "planned");
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure without a package manager asks a person",
                 "[runtime]") {
  auto found = start_without_tmux().ask("runtime.tmux.ensure");
  CHECK(found["status"] == "manual_required");
  CHECK_FALSE(found["manual_instructions"].get<std::string>().empty());
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure installs tmux", "[runtime]") {
  if (tmux_is_missing())
    return;
  auto link =
    fmt::format(R"([ "$1" = install ] && {} -s {} {}; exit 0)", program_in_path("ln").string(),
                program_in_path("tmux").string(), in_quotes((base / "bin" / "tmux").string()));
  auto& bare = start_with_apt_get(link);
  auto found = bare.ask("runtime.tmux.ensure");
  CHECK(found["status"] == "installed");
  CHECK(found["tmux_path"] == (base / "bin" / "tmux").string());
  CHECK(found.contains("tmux_version"));
  CHECK(found["attempts"].dump().find("install") != std::string::npos);
  CHECK(found["event"]["status"] == "installed");
  CHECK(bare.ask("runtime.tmux.ensure")["status"] == "ready");
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure never asks while it installs", "[runtime]") {
  auto& bare = start_with_apt_get("read answer && exit 0\nexit 7");
  auto found = bare.ask("runtime.tmux.ensure");
  CHECK(found["status"] == "manual_required");
  CHECK(found["attempts"].dump().find("exit status 7") != std::string::npos);
  CHECK(found["manual_instructions"].get<std::string>().find("apt-get") != std::string::npos);
}

TEST_CASE_METHOD(runtime, "runtime.tmux.ensure installs nothing unless it may", "[runtime]") {
  auto touched = base / "touched";
  auto& bare = start_with_apt_get("echo x > " + in_quotes(touched.string()));
  auto found = bare.ask("runtime.tmux.ensure", {{"auto_install", false}});
  CHECK(found["status"] == "manual_required");
  CHECK_FALSE(std::filesystem::exists(touched));
}

TEST_CASE_METHOD(runtime, "runtime.bundle.info tells what could be installed", "[runtime]") {
  auto info = ask("runtime.bundle.info");
  CHECK(std::filesystem::equivalent(info["program"].get<std::string>(), ORCH_PROGRAM));
  CHECK_FALSE(info["version"].get<std::string>().empty());
  CHECK(info["guides"].size() > 1);
  REQUIRE(info["parts"].size() > 3);
  for (const auto& part : info["parts"]) {
    INFO(part);
    CHECK((part["client"] == "codex" || part["client"] == "claude"));
    CHECK((part["scope"] == "user" || part["scope"] == "repository"));
    CHECK(path{part["path"].get<std::string>()}.is_absolute());
    CHECK(part["present"] == false);
  }
}

TEST_CASE_METHOD(runtime, "runtime.bundle.info knows what is installed", "[runtime]") {
  auto client = GENERATE(as<std::string>{}, "codex", "claude");
  auto ended = run({"install", "--client", client, "--user"});
  INFO(ended.err);
  REQUIRE(ended.code == 0);
  int present = 0;
  auto info = ask("runtime.bundle.info");
  for (const auto& part : info["parts"]) {
    INFO(part);
    CHECK(part["present"] == (part["client"] == client && part["scope"] == "user"));
    CHECK(part["stale"] == false);
    if (part["present"] == false)
      continue;
    ++present;
    CHECK(std::filesystem::exists(part["path"].get<std::string>()));
  }
  CHECK(present > 0);
}
