#include "agents_fixture.hpp"

using namespace orch::test;

namespace {

struct inbox : command_agents {
  /// A root thread that is not launched yet, and one child that keeps what is typed.
  json child = spawn_if_possible();
  json root_id = child.value("parent_thread_id", json{});

  json send(const json& from, const json& to, const std::string& message) {
    return ask("inbox.send", sent(from, to, message))["message"];
  }
  static json sent(const json& from, const json& to, const std::string& message) {
    return {{"sender_thread_id", from}, {"receiver_thread_id", to}, {"message", message}};
  }
  json pending(const json& receiver) {
    return ask("inbox.pending", {{"receiver_thread_id", receiver}})["messages"];
  }
  json deliver(const json& message) {
    return ask("inbox.deliver", {{"message_id", message["id"]}})["message"];
  }
  static std::string shown(const json& message, const json& from, const std::string& role) {
    return fmt::format("[message #{} from thread #{}, {}]\n{}\n", message["id"].get<int64_t>(),
                       from.get<int64_t>(), role, message["message"].get<std::string>());
  }

private:
  json spawn_if_possible() {
    if (program_in_path("tmux").empty())
      return {};
    return spawn(keeper("typed.txt"));
  }
};

} // namespace

TEST_CASE_METHOD(inbox, "inbox.send stores a message for a thread", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto made = send(child["id"], root_id, nasty_text);
  CHECK(made["sender_thread_id"] == child["id"]);
  CHECK(made["receiver_thread_id"] == root_id);
  CHECK(made["message"] == nasty_text);
  CHECK(made["status"] == "pending");
  CHECK(shape_of_time(made["created_at"]) == "time");
  CHECK_FALSE(made.contains("delivered_at"));
  CHECK(pending(root_id) == json({made}));
}

TEST_CASE_METHOD(inbox, "inbox.send refuses a message that is none or too long", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto message = GENERATE(std::string{}, std::string(100'001, 'x'));
  auto error = error_of("inbox.send", sent(child["id"], root_id, message));
  CHECK(error["code"] == "invalid_params");
  CHECK(error["data"]["field"] == "message");
  CHECK(pending(root_id).empty());
}

TEST_CASE_METHOD(inbox, "inbox.send takes the longest message", "[inbox]") {
  if (tmux_is_missing())
    return;
  CHECK(send(child["id"], root_id, std::string(100'000, 'x'))["status"] == "pending");
}

TEST_CASE_METHOD(inbox, "inbox.send needs both threads", "[inbox]") {
  CHECK(code_of("inbox.send", sent(998, 999, "x")) == "not_found");
  if (tmux_is_missing())
    return;
  CHECK(code_of("inbox.send", sent(child["id"], 999, "x")) == "not_found");
  CHECK(code_of("inbox.send", sent(999, child["id"], "x")) == "not_found");
}

TEST_CASE_METHOD(inbox, "inbox.pending, inbox.list and inbox.deliver need what they name",
                 "[inbox]") {
  CHECK(code_of("inbox.pending", {{"receiver_thread_id", 999}}) == "not_found");
  CHECK(code_of("inbox.list", {{"thread_id", 999}}) == "not_found");
  CHECK(code_of("inbox.deliver", {{"message_id", 999}}) == "not_found");
}

TEST_CASE_METHOD(inbox, "inbox.pending lists what was not received, oldest first", "[inbox]") {
  if (tmux_is_missing())
    return;
  json all = json::array();
  for (const char* text : {"a", "b", "c"})
    all.push_back(send(child["id"], root_id, text));
  CHECK(pending(root_id) == all);
  CHECK(pending(child["id"]).empty());
  json params{{"receiver_thread_id", root_id}, {"limit", 2}};
  auto page = ask("inbox.pending", params);
  CHECK(page["count"] == 2);
  CHECK(page["messages"] == json({all[0], all[1]}));
  params["cursor"] = page["next_cursor"];
  page = ask("inbox.pending", params);
  CHECK(page["messages"] == json({all[2]}));
  CHECK_FALSE(page.contains("next_cursor"));
  deliver(all[0]);
  CHECK(pending(root_id) == json({all[1], all[2]}));
}

TEST_CASE_METHOD(inbox, "inbox.list lists what was sent and received", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto other = spawn("exec cat -");
  auto a = send(child["id"], root_id, "a");
  auto b = send(root_id, root_id, "b");
  auto c = send(other["id"], root_id, "c");
  auto ids = [&](const json& of) {
    json found = json::array();
    auto page = ask("inbox.list", {{"thread_id", of}});
    for (const auto& x : page["messages"])
      found.push_back(x["id"]);
    CHECK(page["count"] == found.size());
    return found;
  };
  deliver(a);
  CHECK(ids(root_id) == json({a["id"], b["id"], c["id"]}));
  CHECK(ids(child["id"]) == json({a["id"]}));
  CHECK(ids(other["id"]) == json({c["id"]}));
  auto page = ask("inbox.list", {{"thread_id", root_id}, {"limit", 1}});
  CHECK(page["messages"][0]["status"] == "delivered");
  page = ask("inbox.list", {{"thread_id", root_id}, {"cursor", page["next_cursor"]}});
  CHECK(page["messages"].size() == 2);
}

TEST_CASE_METHOD(inbox, "inbox.deliver takes a message once", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto message = send(child["id"], root_id, "a");
  auto taken = deliver(message);
  CHECK(taken["id"] == message["id"]);
  CHECK(taken["status"] == "delivered");
  CHECK(shape_of_time(taken["delivered_at"]) == "time");
  auto version = first.db_version();
  CHECK(deliver(message) == taken);
  CHECK(first.db_version() == version);
  CHECK(pending(root_id).empty());
}

TEST_CASE_METHOD(inbox, "inbox.send types the message into the receiver's pane once", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto a = send(root_id, child["id"], "first; $(touch HACKED)\nof two lines");
  auto b = send(root_id, child["id"], "second");
  arrives("typed.txt", shown(a, root_id, "session-root") + shown(b, root_id, "session-root"));
  eventually("they are delivered", [&] { return pending(child["id"]).empty(); });
  // What comes later comes after it, and nothing of it comes again.
  tell(child, "last");
  arrives("typed.txt",
          shown(a, root_id, "session-root") + shown(b, root_id, "session-root") + "last\n");
  CHECK_FALSE(std::filesystem::exists(tree / "HACKED"));
}

TEST_CASE_METHOD(inbox, "inbox.send reaches a thread when it is launched", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto a = send(child["id"], root_id, "fetched before");
  auto b = send(child["id"], root_id, "waits");
  deliver(a);
  ensure_root(keeper("root.txt"));
  arrives("root.txt", shown(b, child["id"], "worker"));
}

TEST_CASE_METHOD(inbox, "inbox.send reaches a receiver that another server looks after",
                 "[inbox]") {
  if (tmux_is_missing())
    return;
  auto& other = start_another();
  auto a = other.ask("inbox.send", sent(root_id, child["id"], "from afar"))["message"];
  arrives("typed.txt", shown(a, root_id, "session-root"));
  kill_first(SIGKILL);
  auto b = other.ask("inbox.send", sent(root_id, child["id"], "and again"))["message"];
  arrives("typed.txt", shown(a, root_id, "session-root") + shown(b, root_id, "session-root"));
}

TEST_CASE_METHOD(inbox, "inbox.send keeps the order of what many send", "[inbox]") {
  if (tmux_is_missing())
    return;
  std::string expected;
  for (int i = 0; i < 8; ++i)
    expected +=
      shown(send(root_id, child["id"], fmt::format("message {}", i)), root_id, "session-root");
  arrives("typed.txt", expected);
}

TEST_CASE_METHOD(inbox, "inbox.send reaches a program that reports", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto receiver = spawn(reporter("told.txt"));
  wait_for(receiver, "idle");
  send(root_id, receiver["id"], "one");
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (read(base / "told.txt").find("one\n") == std::string::npos
         && std::chrono::steady_clock::now() < deadline)
    ::poll(nullptr, 0, 10);
  CHECK(read(base / "told.txt").find("one\n") != std::string::npos);
}

TEST_CASE_METHOD(inbox, "inbox.send done twice under one request_key is done once", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto params = sent(child["id"], root_id, "x");
  params["request_key"] = "k";
  auto made = ask("inbox.send", params);
  CHECK(ask("inbox.send", params) == made);
  CHECK(pending(root_id).size() == 1);
}

TEST_CASE_METHOD(inbox, "inbox.send to a thread that has ended stays", "[inbox]") {
  if (tmux_is_missing())
    return;
  auto gone = ended_child();
  auto message = send(root_id, gone["id"], "too late");
  CHECK(pending(gone["id"]) == json({message}));
}

TEST_CASE_METHOD(inbox, "inbox.send reaches a thread that was stopped before it was told",
                 "[inbox]") {
  if (tmux_is_missing())
    return;
  auto root = ensure_root("exec cat -")["root_thread"];
  tmux({"select-pane", "-d", "-t", root["tmux_pane_id"]});
  auto message = send(child["id"], root_id, "still of interest");
  CHECK(code_of("thread.child.wait_status",
                of_thread(root, {{"target_statuses", {"idle"}}, {"timeout_seconds", 1}}))
        == "timeout");
  ask("thread.child.stop", of_thread(root));
  CHECK(pending(root_id) == json({message}));
  tmux({"select-pane", "-e", "-t", root["tmux_pane_id"]});
  ensure_root(keeper("root.txt"));
  arrives("root.txt", shown(message, child["id"], "worker"));
}
