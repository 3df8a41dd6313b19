#include "io/process.hpp"
#include "messages/error.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>

using namespace orch;
using namespace std::chrono_literals;

namespace {

outcome shell(const std::string& script) {
  return run({{"sh", "-c", script}, "/"});
}

errc error_of(const program& p) {
  try {
    run(p);
    return errc::none;
  } catch (const request_error& error) {
    return error.code;
  }
}

/// A pipe whose reading end tells when the last process with the writing end is gone.
struct life_line {
  life_line() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  ~life_line() {
    ::close(ends[0]);
    if (ends[1] >= 0)
      ::close(ends[1]);
  }

  bool ends_within(std::chrono::milliseconds patience) {
    ::close(std::exchange(ends[1], -1));
    pollfd watched{ends[0], POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(patience.count())) == 1
           && (watched.revents & POLLHUP) != 0;
  }

  std::string name() const {
    std::array<char, 64> text{};
    auto link = fmt::format("/proc/self/fd/{}", ends[1]);
    return {text.data(), static_cast<std::size_t>(::readlink(link.c_str(), text.data(), 64))};
  }

  std::array<int, 2> ends{};
};

} // namespace

TEST_CASE("run returns what the program wrote and its exit code", "[process]") {
  auto result = shell("echo out; echo err >&2; exit 3");
  CHECK(result.out == "out\n");
  CHECK(result.err == "err\n");
  CHECK(result.exit_code == 3);
  CHECK_FALSE(result.ok());
  CHECK_FALSE(result.timed_out);
}

TEST_CASE("run passes arguments as they are", "[process]") {
  auto result = run({{"printf", "%s|%s", "$HOME; `id` *", "é \"'\n"}, "/"});
  CHECK(result.out == "$HOME; `id` *|é \"'\n");
}

TEST_CASE("run starts the program in its directory", "[process]") {
  CHECK(run({{"pwd", "-P"}, "/usr"}).out == "/usr\n");
}

TEST_CASE("run gives an empty input where there is none", "[process]") {
  auto result = run({{"cat"}, "/"});
  CHECK(result.ok());
  CHECK(result.out.empty());
}

TEST_CASE("run carries much input and output at once", "[process]") {
  program cat{{"cat"}, "/"};
  for (auto i = 0; cat.input.size() < 5'000'000; ++i)
    cat.input += fmt::format("line {}\n", i);
  auto result = run(cat);
  CHECK(result.ok());
  CHECK(result.out == cat.input);
}

TEST_CASE("run does not mind a program that reads none of its input", "[process]") {
  program idle{{"true"}, "/"};
  idle.input.assign(1'000'000, 'x');
  CHECK(run(idle).ok());
}

TEST_CASE("run keeps no more output than asked for", "[process]") {
  program zeros{{"head", "-c", "1000000", "/dev/zero"}, "/"};
  zeros.most_output = 10;
  auto result = run(zeros);
  CHECK(result.ok());
  CHECK(result.out.size() == 10);
}

TEST_CASE("run says which signal ended the program", "[process]") {
  auto result = shell("kill -TERM $$");
  CHECK(result.exit_code == -1);
  CHECK(result.signal == SIGTERM);
}

TEST_CASE("run kills the whole group of a program that takes too long", "[process]") {
  life_line line;
  program slow{{"sh", "-c", "tail -f /dev/null & echo started; wait"}, "/"};
  slow.timeout = 200ms;
  slow.inherit = {line.ends[1]};
  auto result = run(slow);
  CHECK(result.timed_out);
  CHECK(result.signal == SIGKILL);
  CHECK(result.out == "started\n");
  CHECK(line.ends_within(5s));
}

TEST_CASE("run does not wait for those that the program leaves behind", "[process]") {
  auto start = std::chrono::steady_clock::now();
  auto result = shell("tail -f /dev/null & echo $!");
  CHECK(result.ok());
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  auto left_behind = std::atoi(result.out.c_str());
  REQUIRE(left_behind > 0);
  CHECK(::kill(left_behind, SIGKILL) == 0);
}

TEST_CASE("run sets and unsets environment variables", "[process]") {
  ::setenv("ORCH_TEST_KEPT", "kept", 1);
  ::setenv("ORCH_TEST_GONE", "gone", 1);
  program print{{"sh", "-c", "echo $ORCH_TEST_KEPT,$ORCH_TEST_GONE,$ORCH_TEST_SET"}, "/"};
  print.environment = {{"ORCH_TEST_SET", "a b"}};
  print.unset = {"ORCH_TEST_GONE"};
  CHECK(run(print).out == "kept,,a b\n");
  print.environment.emplace_back("ORCH_TEST_KEPT", "changed");
  CHECK(run(print).out == "changed,,a b\n");
}

TEST_CASE("run starts programs with no signal blocked or ignored", "[process]") {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto handler = std::signal(SIGPIPE, SIG_IGN);
  auto result = run({{"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}, "/"});
  std::signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // 32 and 33 are glibc's own.
  CHECK_THAT(result.out, Catch::Matches("SigBlk:\t0{16}\nSigIgn:\t0{7}[01][08]0{7}\n"));
}

TEST_CASE("run gives the program a session of its own", "[process]") {
  // pid (name) state parent group session
  auto result = shell("read pid name state parent group session rest < /proc/$$/stat;"
                      "test $pid = $group && test $pid = $session");
  CHECK(result.ok());
}

TEST_CASE("run passes on only the descriptors it is told to", "[process]") {
  life_line line;
  program list{{"sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done"}, "/"};
  CHECK(run(list).out.find(line.name()) == std::string::npos);
  list.inherit = {line.ends[0], line.ends[1]};
  CHECK(run(list).out.find(line.name()) != std::string::npos);
}

TEST_CASE("run refuses what cannot be started", "[process]") {
  CHECK(error_of({{"no-such-program-anywhere"}, "/"}) == errc::unavailable);
  CHECK(error_of({{"/etc/passwd"}, "/"}) == errc::unavailable);
  CHECK_THROWS_WITH(run({{"true"}, "/no/such/place"}), Catch::Contains("/no/such/place"));
  program bad{{"true"}, "/"};
  bad.inherit = {987};
  CHECK(error_of(bad) == errc::unavailable);
}

TEST_CASE("run can be called again and again without using up descriptors", "[process]") {
  auto first_free = ::dup(0);
  ::close(first_free);
  for (auto i = 0; i < 50; ++i)
    shell("echo x");
  auto still_free = ::dup(0);
  ::close(still_free);
  CHECK(first_free == still_free);
}
