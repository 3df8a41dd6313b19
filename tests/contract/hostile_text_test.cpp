#include "client.hpp"

using namespace orch::test;

namespace {

/// Texts that have broken programs before; none may be more than data.
std::string hostile_text() {
  auto which = GENERATE(range(0, 14));
  const std::vector<std::string> texts{
    "'; DROP TABLE tasks; --",
    "\" OR 1=1 --",
    "$(touch pwned) `touch pwned` ; touch pwned | touch pwned && touch pwned",
    "quotes ' \" ` and \\ backslash",
    "several\nlines\r\nand\ttabs",
    std::string("before\0after", 12),
    std::string(100'000, 'x'),
    "%s%n%d {} {0} {{}}",
    "\xF0\x9F\x92\xA9 \xE2\x80\xAE right to left, \xEF\xBB\xBF mark, e\xCC\x81",
    "<script>alert(1)</script> [x](javascript:1) | # **bold**",
    "\x1B[2J\x1B[31m\x07 control",
    "null",
    "{\"json\": [1,2,{}]}",
    "../../../../etc/passwd",
  };
  return texts[static_cast<std::size_t>(which)];
}

} // namespace

TEST_CASE_METHOD(contract, "task.create keeps any title as plain data", "[hostile]") {
  auto text = hostile_text();
  auto id = make_task("epic", {{"title", text}});
  CHECK(ask("task.get", {{"task_id", id}})["title"] == text);
  CHECK(ask("task.list")["tasks"].size() == 1);
  CHECK_FALSE(std::filesystem::exists(root / "pwned"));
}

TEST_CASE_METHOD(contract, "step.check keeps any evidence as plain data", "[hostile]") {
  auto text = hostile_text();
  auto work = begin_work();
  auto step = ask("step.check", {{"case_id", work["case"]},
                                 {"step_title", text},
                                 {"result", text},
                                 {"artifacts", {{"log", text}}}});
  CHECK(step["title"] == text);
  CHECK(step["evidence"] == json({{"result", text}, {"artifacts", {{"log", text}}}}));
  auto newest = ask("checkpoint.list", {{"task_id", work["case"]}, {"limit", 1}})["checkpoints"][0];
  CHECK(newest["snapshot"]["result"] == text);
}

TEST_CASE_METHOD(contract, "graph.node.create keeps any summary as plain data", "[hostile]") {
  auto text = hostile_text();
  make_node({{"title", text}, {"summary", text}, {"affected_files", {text}}});
  auto node = ask("graph.node.list")["nodes"][0];
  CHECK(node["title"] == text);
  CHECK(node["summary"] == text);
  CHECK(node["affected_files"] == json::array({text}));
}

TEST_CASE_METHOD(contract, "session.open keeps owner and fingerprint as plain data", "[hostile]") {
  auto text = hostile_text();
  auto session = open({{"owner", text}, {"terminal_fingerprint", text}})["session"];
  CHECK(session["owner"] == text);
  CHECK(session["terminal_fingerprint"] == text);
}

TEST_CASE_METHOD(contract, "session.open makes safe names from any user request", "[hostile]") {
  auto text = hostile_text();
  auto tree = open({{"user_request", text}})["session_root_worktree"];
  auto branch = tree["branch"].get<std::string>();
  CHECK(branch.starts_with("session/"));
  UNSCOPED_INFO(branch);
  CHECK(branch.size() < 100);
  for (unsigned char c : branch)
    CHECK((std::isalnum(c) || c == '-' || c == '/' || c >= 0x80));
  CHECK(path{tree["path"].get<std::string>()}.parent_path() == root / ".codex-orch" / "worktrees");
  CHECK(std::filesystem::exists(tree["path"].get<std::string>()));
  CHECK_FALSE(std::filesystem::exists(root / "pwned"));
}

TEST_CASE_METHOD(contract, "merge.request keeps any notes as plain data", "[hostile]") {
  auto text = hostile_text();
  auto id = make_task("feature");
  CHECK(ask("merge.request", {{"feature_task_id", id}, {"notes", text}})["notes"] == text);
}

TEST_CASE_METHOD(contract, "a request_key may be any text", "[hostile]") {
  auto text = hostile_text().substr(0, 200);
  json params{{"level", "epic"}, {"title", "x"}, {"request_key", text}};
  CHECK(ask("task.create", params)["id"] == ask("task.create", params)["id"]);
  CHECK(ask("task.list")["tasks"].size() == 1);
}

TEST_CASE_METHOD(contract, "mirror.refresh writes hostile titles without breaking its Markdown",
                 "[hostile]") {
  auto text = hostile_text();
  make_task("epic", {{"title", text}});
  make_task("epic", {{"title", "the one after"}});
  make_node({{"title", text}});
  ask("mirror.refresh", {{"requester_role", "doc-mirror-manager"}});
  auto lines = read(root / ".codex-orch" / "mirror" / "status.md");
  CHECK_THAT(lines, Catch::Contains("the one after"));
  CHECK(lines.find('\0') == std::string::npos);
}
