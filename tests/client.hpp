#pragma once

// Contract tests drive the built program the way its clients do: a private repository, a process,
// pipes. Nothing of the library is used here.

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::test {

using json = nlohmann::json;
using path = std::filesystem::path;
using words = std::vector<std::string>;

/// How long a test waits for what should come at once: generous, because machines are busy.
constexpr std::chrono::seconds patience{60};

/// Looks at `condition` again and again until it holds; fails the test when it never does.
void eventually(const std::string& what, const std::function<bool()>& condition);

/// How a program ended, and what it said.
struct ended {
  int code = 0; ///< exit code, or 128 and the number of the signal
  std::string out;
  std::string err;
};

/// A running program with pipes on stdin and stdout. It is killed, with its group, at the latest
/// with this object.
class program {
public:
  program(const words& arguments, const path& home, const path& directory);
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program();

  /// Writes all of `bytes`, reading what the program says meanwhile. False: it no longer reads.
  bool send(std::string_view bytes);
  bool send_line(std::string line) { return send(line += '\n'); }
  void close_input();
  void close_output();
  void kill(int signal);

  /// The next line without its newline; nothing once stdout has ended.
  std::optional<std::string> try_line();
  std::string next_line();
  /// The next `Content-Length:` framed message.
  std::string next_frame();

  /// Closes stdin, reads the rest and waits for the end.
  ended finish();
  /// Waits for the end without closing stdin.
  ended wait();
  pid_t pid() const { return pid_; }
  std::string errors() const;

private:
  bool read_some(std::chrono::milliseconds most);

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  std::string said_;
  path errors_;
};

/// A connection to a server.
class server : public program {
public:
  using program::program;

  /// Sends a bare request under a fresh id and returns that id.
  int64_t request(const std::string& method, const json& params = json::object());
  /// The whole answer to the request of that id; other answers are kept for later.
  json answer_to(const json& id);
  /// The next answer, whichever it is.
  json next();

  json call(const std::string& method, const json& params = json::object());
  /// The result of a request that has to succeed.
  json ask(const std::string& method, const json& params = json::object());
  /// The error of a request that has to fail.
  json error_of(const std::string& method, const json& params = json::object());
  /// "ok", or the code of the error.
  std::string code_of(const std::string& method, const json& params = json::object());
  int64_t db_version();

  /// Sends a JSON-RPC request under a fresh id and returns the whole answer.
  json rpc(const std::string& method, const json& params = json::object());
  /// Calls an MCP tool and returns the result of tools/call.
  json tool(const std::string& name, const json& arguments = json::object());

private:
  int64_t last_id_ = 0;
  std::list<json> kept_;
};

json result_of(const json& answer);
json error_of(const json& answer);

/// A private directory with a repository of one commit (`a.txt`, `b.txt`), gone with this object.
class sandbox {
public:
  sandbox();
  sandbox(const sandbox&) = delete;
  sandbox& operator=(const sandbox&) = delete;
  ~sandbox();

  /// Runs git in the repository, or in `directory`, and returns what it said.
  std::string git(const words& arguments) const { return git_in(root, arguments); }
  std::string git_in(const path& directory, const words& arguments) const;
  /// Writes and commits a file; returns the commit.
  std::string commit(const path& directory, const std::string& name, const std::string& text) const;

  /// A server for the repository; ends with the sandbox.
  server& start(const words& options = {});
  std::unique_ptr<server> start_in(const path& directory, const words& options = {}) const;
  /// Runs the program to its end, with `input` on stdin.
  ended run(const words& arguments, std::string_view input = {}) const;
  ended run_once(const std::string& method, const std::string& params = "{}") const;

  path base;
  path root;

private:
  std::list<std::unique_ptr<server>> servers_;
};

void write(const path& file, std::string_view text);
std::string read(const path& file);

/// A sandbox with one server, and shortcuts for what most tests need first.
struct contract : sandbox {
  json call(const std::string& method, const json& params = json::object()) {
    return first.call(method, params);
  }
  json ask(const std::string& method, const json& params = json::object()) {
    return first.ask(method, params);
  }
  json error_of(const std::string& method, const json& params = json::object()) {
    return first.error_of(method, params);
  }
  std::string code_of(const std::string& method, const json& params = json::object()) {
    return first.code_of(method, params);
  }

  /// Opens a session with a worktree of its own; the session_context.
  json open(const json& params = json::object()) { return open_on(first, params); }
  static json open_on(server& on, const json& params = json::object());
  int64_t open_session() { return open_session_on(first); }
  static int64_t open_session_on(server& on) { return open_on(on)["session"]["id"]; }
  int64_t make_task(const std::string& level, const json& more = json::object());
  int64_t make_case(const json& more = json::object()) { return make_task("case", more); }
  int64_t make_node(const json& more = json::object());
  /// A case in progress of a new session: {session, case}.
  json begin_work() { return begin_work_on(first); }
  static json begin_work_on(server& on);

  server& first = start();
};

/// "time" if the text is a UTC time with six digits of fraction, else the text.
std::string shape_of_time(const json& text);

/// Every method with its schemas, from `methods --json`.
const json& method_table();

} // namespace orch::test
