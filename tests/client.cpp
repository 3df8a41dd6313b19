#include "client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

namespace orch::test {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// While it lives, writing to a closed pipe is an error and no signal.
struct quiet_pipe {
  quiet_pipe() : before(std::signal(SIGPIPE, SIG_IGN)) {}
  ~quiet_pipe() { std::signal(SIGPIPE, before); }
  void (*before)(int);
};

/// The environment of a user who has a PATH and an empty home, and nothing of the machine's.
words environment(const path& home) {
  auto search = std::getenv("PATH");
  return {"HOME=" + home.string(),
          "TMUX_TMPDIR=" + home.string(),
          fmt::format("PATH={}", search ? search : "/usr/bin:/bin"),
          "LANG=C.UTF-8",
          "GIT_CONFIG_NOSYSTEM=1",
          "GIT_TERMINAL_PROMPT=0"};
}

std::vector<char*> pointers(words& texts) {
  std::vector<char*> list;
  for (auto& text : texts)
    list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

void close_once(int& descriptor) {
  if (descriptor >= 0)
    ::close(descriptor);
  descriptor = -1;
}

/// What a killed server left running works in the directory that is about to go.
void end_stragglers(const path& base) {
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", gone}) {
    auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos)
      continue;
    auto directory = std::filesystem::read_symlink(entry.path() / "cwd", gone).string();
    if (!gone && directory.starts_with(base.string()) && std::stoi(name) != ::getpid())
      ::kill(std::stoi(name), SIGKILL);
  }
}

} // namespace

void eventually(const std::string& what, const std::function<bool()>& condition) {
  auto end = steady::now() + patience;
  while (!condition()) {
    if (steady::now() > end)
      FAIL("never came true: " << what);
    ::poll(nullptr, 0, 10);
  }
}

program::program(const words& arguments, const path& home, const path& directory) {
  static std::atomic<int> count = 0;
  errors_ = home / fmt::format("stderr-{}", ++count);
  auto texts = arguments;
  auto variables = environment(home);
  auto argv = pointers(texts);
  auto envp = pointers(variables);
  int in[2];
  int out[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  auto err = ::open(errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  REQUIRE(err >= 0);
  auto parent = ::getpid();
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    std::signal(SIGPIPE, SIG_DFL);
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(err, 2);
    if (::getppid() != parent || ::chdir(directory.c_str()) != 0)
      ::_exit(126);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
  ::close(in[0]);
  ::close(out[1]);
  ::close(err);
  in_ = in[1];
  out_ = out[0];
  ::fcntl(in_, F_SETFL, O_NONBLOCK);
  ::fcntl(out_, F_SETFL, O_NONBLOCK);
}

program::~program() {
  close_once(in_);
  close_once(out_);
  if (pid_ < 0)
    return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool program::send(std::string_view bytes) {
  quiet_pipe quiet;
  auto end = steady::now() + patience;
  while (!bytes.empty()) {
    if (steady::now() > end)
      FAIL("the program does not read its input");
    auto sent = ::write(in_, bytes.data(), bytes.size());
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR)
      return false;
    pollfd both[]{{in_, POLLOUT, 0}, {out_, POLLIN, 0}};
    ::poll(both, 2, 1'000);
    if (both[1].revents != 0)
      read_some(milliseconds{0});
  }
  return true;
}

void program::close_input() {
  close_once(in_);
}

void program::close_output() {
  close_once(out_);
}

void program::kill(int signal) {
  ::kill(pid_, signal);
}

bool program::read_some(milliseconds most) {
  pollfd one{out_, POLLIN, 0};
  if (out_ < 0 || ::poll(&one, 1, static_cast<int>(most.count())) <= 0)
    return out_ >= 0;
  std::string part(1 << 16, '\0');
  auto got = ::read(out_, part.data(), part.size());
  if (got > 0)
    said_.append(part, 0, static_cast<std::size_t>(got));
  else if (got == 0)
    close_once(out_);
  return got > 0 || out_ >= 0;
}

std::optional<std::string> program::try_line() {
  auto end = steady::now() + patience;
  std::size_t searched = 0;
  for (;;) {
    if (auto at = said_.find('\n', searched); at != std::string::npos) {
      auto line = said_.substr(0, at);
      said_.erase(0, at + 1);
      return line;
    }
    searched = said_.size();
    if (out_ < 0)
      return {};
    if (steady::now() > end)
      FAIL("no answer in time; stderr: " << errors());
    read_some(milliseconds{1'000});
  }
}

std::string program::next_line() {
  auto line = try_line();
  if (!line)
    FAIL("stdout has ended; stderr: " << errors());
  return *line;
}

std::string program::next_frame() {
  std::size_t length = 0;
  for (auto header = next_line(); header != "\r"; header = next_line())
    if (header.starts_with("Content-Length: "))
      length = std::stoul(header.substr(16));
  REQUIRE(length > 0);
  auto end = steady::now() + patience;
  while (said_.size() < length) {
    if (out_ < 0 || steady::now() > end)
      FAIL("half a frame: " << said_);
    read_some(milliseconds{1'000});
  }
  auto body = said_.substr(0, length);
  said_.erase(0, length);
  return body;
}

ended program::finish() {
  close_input();
  return wait();
}

ended program::wait() {
  auto end = steady::now() + patience;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (steady::now() > end)
      FAIL("the program does not end; stderr: " << errors());
    if (out_ < 0)
      ::poll(nullptr, 0, 2);
    else
      read_some(milliseconds{20});
  }
  // Killed a moment later than its leader, so that nothing it started outlives it.
  ::kill(-pid_, SIGKILL);
  pid_ = -1;
  while (out_ >= 0 && steady::now() < end)
    read_some(milliseconds{20});
  auto code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, std::move(said_), errors()};
}

std::string program::errors() const {
  return read(errors_);
}

int64_t server::request(const std::string& method, const json& params) {
  json line{{"id", ++last_id_}, {"method", method}, {"params", params}};
  send_line(line.dump());
  return last_id_;
}

json server::next() {
  if (!kept_.empty()) {
    auto first = kept_.front();
    kept_.pop_front();
    return first;
  }
  auto line = next_line();
  auto answer = json::parse(line, nullptr, false);
  if (!answer.is_object())
    FAIL("not a JSON object: " << line);
  return answer;
}

json server::answer_to(const json& id) {
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept)
    if (kept->value("id", json{}) == id) {
      auto answer = *kept;
      kept_.erase(kept);
      return answer;
    }
  std::list<json> others;
  others.swap(kept_);
  for (;;) {
    auto answer = next();
    if (answer.value("id", json{}) == id) {
      kept_.splice(kept_.begin(), others);
      return answer;
    }
    others.push_back(std::move(answer));
  }
}

json server::call(const std::string& method, const json& params) {
  return answer_to(request(method, params));
}

json server::ask(const std::string& method, const json& params) {
  INFO(method << ' ' << params.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 500));
  return result_of(call(method, params));
}

json server::error_of(const std::string& method, const json& params) {
  INFO(method << ' ' << params.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 500));
  return test::error_of(call(method, params));
}

std::string server::code_of(const std::string& method, const json& params) {
  auto answer = call(method, params);
  return answer.contains("result") ? "ok" : answer.at("error").at("code").get<std::string>();
}

int64_t server::db_version() {
  return ask("mirror.status").at("db_version");
}

json server::rpc(const std::string& method, const json& params) {
  json line{{"jsonrpc", "2.0"}, {"id", ++last_id_}, {"method", method}, {"params", params}};
  send_line(line.dump());
  return answer_to(last_id_);
}

json server::tool(const std::string& name, const json& arguments) {
  return result_of(rpc("tools/call", {{"name", name}, {"arguments", arguments}}));
}

json result_of(const json& answer) {
  INFO(answer.dump().substr(0, 2'000));
  REQUIRE(answer.contains("result"));
  REQUIRE_FALSE(answer.contains("error"));
  return answer["result"];
}

json error_of(const json& answer) {
  INFO(answer.dump().substr(0, 2'000));
  REQUIRE(answer.contains("error"));
  REQUIRE_FALSE(answer.contains("result"));
  REQUIRE_FALSE(answer["error"].value("message", "").empty());
  return answer["error"];
}

sandbox::sandbox() {
  auto name = (std::filesystem::temp_directory_path() / "orch contract é XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  base = std::filesystem::canonical(name);
  root = base / "repo";
  std::filesystem::create_directories(base / "home");
  std::filesystem::create_directories(root);
  git({"init", "--quiet", "--initial-branch=main"});
  git({"config", "user.name", "Tester"});
  git({"config", "user.email", "tester@example.org"});
  write(root / "b.txt", "b\n");
  git({"add", "b.txt"});
  commit(root, "a.txt", "a\n");
}

sandbox::~sandbox() {
  servers_.clear();
  end_stragglers(base);
  std::error_code busy;
  auto end = steady::now() + patience;
  while (std::filesystem::exists(base, busy) && steady::now() < end)
    std::filesystem::remove_all(base, busy);
}

std::string sandbox::git_in(const path& directory, const words& arguments) const {
  words command{"git"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto result = program{command, base / "home", directory}.finish();
  INFO("git " << arguments.front() << ": " << result.err);
  REQUIRE(result.code == 0);
  if (result.out.ends_with('\n'))
    result.out.pop_back();
  return result.out;
}

std::string sandbox::commit(const path& directory, const std::string& name,
                            const std::string& text) const {
  write(directory / name, text);
  git_in(directory, {"add", "--", name});
  git_in(directory, {"commit", "--quiet", "--message", "change " + name});
  return git_in(directory, {"rev-parse", "HEAD"});
}

server& sandbox::start(const words& options) {
  return *servers_.emplace_back(start_in(root, options));
}

std::unique_ptr<server> sandbox::start_in(const path& directory, const words& options) const {
  words command{ORCH_PROGRAM, "serve", "--repo", directory.string()};
  command.insert(command.end(), options.begin(), options.end());
  return std::make_unique<server>(command, base / "home", base);
}

ended sandbox::run(const words& arguments, std::string_view input) const {
  words command{ORCH_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  program one{command, base / "home", base};
  one.send(input);
  return one.finish();
}

ended sandbox::run_once(const std::string& method, const std::string& params) const {
  return run({"once", "--repo", root.string(), "--method", method, "--params", params});
}

void write(const path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream{file, std::ios::binary} << text;
}

std::string read(const path& file) {
  std::ifstream stream{file, std::ios::binary};
  // A file of a process that ends meanwhile cannot be read to its end; that is no exception here.
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

json contract::open_on(server& on, const json& params) {
  return on.ask("session.open", params).at("session_context");
}

int64_t contract::make_task(const std::string& level, const json& more) {
  json params{{"level", level}, {"title", "a " + level}};
  params.update(more);
  return ask("task.create", params)["id"];
}

int64_t contract::make_node(const json& more) {
  json params{{"node_type", "slice"}, {"title", "a slice"}};
  params.update(more);
  return ask("graph.node.create", params)["id"];
}

json contract::begin_work_on(server& on) {
  auto session = open_session_on(on);
  auto task = on.ask("task.create", {{"level", "case"}, {"title", "a case"}})["id"];
  on.ask("case.begin", {{"case_id", task}, {"session_id", session}});
  return {{"session", session}, {"case", task}};
}

std::string shape_of_time(const json& text) {
  static const std::regex shape{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"};
  if (!text.is_string())
    return text.dump();
  return std::regex_match(text.get<std::string>(), shape) ? "time" : text.get<std::string>();
}

const json& method_table() {
  static const json table = [] {
    sandbox nowhere;
    return json::parse(nowhere.run({"methods", "--json"}).out);
  }();
  return table;
}

} // namespace orch::test
