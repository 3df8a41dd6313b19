#include "io/shell_words.hpp"
#include "io/tmux.hpp"
#include "io/tmux_call.hpp"
#include "tmux_sandbox.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <future>

using namespace orch;

namespace {

/// Shell programs whose $0 is a file that appears when it is whole.
constexpr auto write_arguments = R"(printf '%s\0' "$@" > "$0.new"; mv "$0.new" "$0"; exec cat)";
constexpr auto write_environment = R"(env -0 > "$0.new"; mv "$0.new" "$0"; exec cat)";
constexpr auto write_directory = R"(pwd -P > "$0.new"; mv "$0.new" "$0"; exec cat)";

std::vector<std::string> written(const std::filesystem::path& file) {
  REQUIRE(eventually([&] { return std::filesystem::exists(file); }));
  std::vector<std::string> result;
  std::istringstream in{text_of(file)};
  for (std::string word; std::getline(in, word, '\0');)
    result.push_back(word);
  return result;
}

const std::vector<std::string> odd_arguments{
  "two words",  "",     "'",          "\"",     "a\nb",  ";",  "a;",         "a\\;", "\\",
  "$(touch x)", "`id`", "#{pane_id}", "#(id)",  "##",    "{",  "}",          "~",    "$HOME",
  "*",          "-t",   "--",         "é→漢字", "\ttab", "%1", "trailing\n",
};

std::vector<std::string> with_odd_arguments(const char* script, const std::filesystem::path& file) {
  std::vector<std::string> argv{"sh", "-c", script, file.string()};
  argv.insert(argv.end(), odd_arguments.begin(), odd_arguments.end());
  return argv;
}

} // namespace

TEST_CASE("tmux: versions are understood", "[tmux]") {
  auto text = GENERATE(table<std::string, int, int, std::string>({
    {"tmux 3.3a\n", 3, 3, "a"},
    {"tmux next-3.5", 3, 5, ""},
    {"tmux 1.8", 1, 8, ""},
    {"tmux 3.10-rc2", 3, 10, "-rc2"},
    {"openbsd-7.4", 3, 3, ""},
    {"tmux openbsd-7.4", 3, 3, ""},
  }));
  auto version = parse_tmux_version(std::get<0>(text));
  REQUIRE(version);
  CHECK(version->major == std::get<1>(text));
  CHECK(version->minor == std::get<2>(text));
  CHECK(version->letter == std::get<3>(text));
  CHECK(parse_tmux_version("tmux master")->at_least(99, 9));
  CHECK_FALSE(parse_tmux_version("screen 4.9"));
  CHECK_FALSE(parse_tmux_version("tmux 3"));
}

TEST_CASE("tmux: features follow the version", "[tmux]") {
  auto of = [](const char* text) { return tmux_features{*parse_tmux_version(text)}; };
  CHECK_FALSE(of("tmux 1.8").supported);
  CHECK(of("tmux 2.1").supported);
  CHECK_FALSE(of("tmux 2.9a").pane_environment);
  CHECK(of("tmux 3.0a").pane_environment);
  CHECK(of("tmux 3.3a").leaves_modes);
  CHECK_FALSE(of("tmux 3.3a").pastes_escaped);
  CHECK(of("tmux 3.10").pastes_escaped);
}

TEST_CASE("tmux: a missing program is unavailable, with instructions", "[tmux]") {
  tmux nowhere{{"", "/nowhere/tmux"}};
  CHECK_FALSE(nowhere.version());
  try {
    nowhere.list_sessions();
    FAIL("there was a tmux");
  } catch (const request_error& error) {
    CHECK(error.code == errc::unavailable);
    CHECK(error.data.at("instructions").get<std::string>().find("install") != std::string::npos);
  }
}

TEST_CASE("tmux: an old or stuck program is said to be so", "[tmux]") {
  scratch_directory around;
  auto fake = (around.path / "tmux").string();
  std::ofstream{fake} << "#!/bin/sh\n[ \"$1\" = -V ] && echo tmux 1.8 || exec sleep 60\n";
  std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
  tmux old{{"", fake, {}, std::chrono::milliseconds{1000}}};
  CHECK(old.version()->minor == 8);
  auto [code, message] = failure_of([&] { old.new_session({"a", "b", {{"cat", "-"}, "/"}}); });
  CHECK(code == errc::unavailable);
  CHECK(message == "tmux 1.8 is too old");
  CHECK(error_of([&] { old.list_sessions(); }) == errc::timeout);
}

TEST_CASE("tmux: without a server there is nothing, and that is no error", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  CHECK(box.server.version());
  CHECK_FALSE(box.server.has_session("a"));
  CHECK(box.server.list_sessions().empty());
  CHECK(box.server.list_panes().empty());
  CHECK(box.server.list_panes("a").empty());
  CHECK_FALSE(box.server.pane("%0"));
  CHECK_FALSE(box.server.kill_pane("%0"));
  CHECK_FALSE(box.server.kill_session("a"));
  CHECK(error_of([&] { box.server.capture("%0"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.type_text("%0", "text"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.press("%0", "Enter"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.split({"%0", {}, box.idle()}); }) == errc::not_found);
}

TEST_CASE("tmux: a session is made as asked for", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto id = box.start("one two", box.idle());
  CHECK(box.server.list_sessions() == std::vector<std::string>{"one two"});
  auto pane = box.server.pane(id);
  REQUIRE(pane);
  CHECK(pane->id == id);
  CHECK(pane->session == "one two");
  CHECK(pane->window == "main");
  CHECK(pane->width == 200);
  CHECK(pane->height >= 49);
  CHECK(pane->server == box.server_pid());
  CHECK(pane->pid > 0);
  CHECK_FALSE(pane->dead);
  CHECK_FALSE(pane->dead_status);
  CHECK_FALSE(pane->in_mode);
  CHECK(pane->activity > 0);
  CHECK(eventually([&] { return box.server.pane(id)->current_command == "cat"; }));
}

TEST_CASE("tmux: names are exact, never prefixes or patterns", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto id = box.start("alphabet", box.idle());
  CHECK(box.server.has_session("alphabet"));
  CHECK_FALSE(box.server.has_session("alpha"));
  CHECK_FALSE(box.server.has_session("alph*"));
  CHECK_FALSE(box.server.has_session("$0"));
  CHECK_FALSE(box.server.kill_session("alpha"));
  CHECK(box.server.list_panes("alpha").empty());
  CHECK(box.server.kill_session("alphabet"));
  CHECK_FALSE(box.server.pane(id));
}

TEST_CASE("tmux: safe names mean nothing special", "[tmux]") {
  CHECK(safe_name("codex-root-7") == "codex-root-7");
  CHECK(safe_name("a:b.c") == "a_b_c");
  CHECK(safe_name("") == "_");
  CHECK(safe_name("-t") == "_t");
  CHECK(safe_name("=a") == "_a");
  CHECK(safe_name("$1") == "_1");
  CHECK(safe_name("@1") == "_1");
  CHECK(safe_name("%1") == "_1");
  CHECK(safe_name("#(id)\n\\") == "_(id)__");
  CHECK(safe_name("é\u009B") == "é_");
}

TEST_CASE("tmux: safe names are what tmux stores", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  std::vector<std::string> names;
  for (const auto* name :
       {"a:b.c", "",     "-x",      "=x",    "$0", "@0",   "%0",       "#{pid}",
        "#(id)", "a\\b", "t\ta\nb", "x;",    ";",  "é 漢", "\xff\xfe", "{last}",
        "!",     "~",    "'q'",     "\"q\"", "*",  "[a]",  "\u200bz",  "%H:%M"}) {
    if (box.server.has_session(name))
      continue;
    INFO(name);
    box.start(name, box.idle());
    names.push_back(safe_name(name));
    CHECK(safe_name(names.back()) == names.back());
    CHECK(box.server.has_session(name));
    CHECK(box.server.list_panes(safe_name(name)).size() == 1);
  }
  auto listed = box.server.list_sessions();
  std::ranges::sort(listed);
  std::ranges::sort(names);
  CHECK(listed == names);
}

TEST_CASE("tmux: a name that is taken is a conflict and stays untouched", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto theirs = box.start("mine", box.idle());
  auto [code, message] = failure_of([&] { box.start("mine", box.idle()); });
  CHECK(code == errc::conflict);
  CHECK(message == "there is a tmux session mine already");
  CHECK(box.server.list_panes().size() == 1);
  CHECK_FALSE(box.server.pane(theirs)->dead);
}

TEST_CASE("tmux: many may start the server and make sessions at once", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  std::vector<std::future<errc>> all;
  for (auto i = 0; i < 12; ++i)
    all.push_back(std::async(std::launch::async, [&box, i] {
      return error_of([&] { box.start(i % 2 == 0 ? fmt::format("s{}", i) : "same", box.idle()); });
    }));
  std::vector<errc> results;
  for (auto& each : all)
    results.push_back(each.get());
  CHECK(std::ranges::count(results, errc::none) == 7);
  CHECK(std::ranges::count(results, errc::conflict) == 5);
  CHECK(box.server.list_sessions().size() == 7);
}

TEST_CASE("tmux: the exit status of a program that ends at once is seen", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto first = box.start("root", box.running({"sh", "-c", "exit 7"}));
  CHECK(box.end_of(first).dead_status == 7);
  for (auto i = 0; i < 10; ++i) {
    auto again = box.start(fmt::format("s{}", i), box.running({"false", "-"}));
    CHECK(box.end_of(again).dead_status == 1);
  }
  for (auto i = 0; i < 10; ++i) {
    auto pane = box.server.split({first, split_direction::vertical, box.running({"true", "-"})});
    box.server.tile(first);
    CHECK(box.end_of(pane).dead_status == 0);
  }
  CHECK(box.end_of(box.start("none", box.running({"/nowhere", "-"}))).dead_status == 1);
}

TEST_CASE("tmux: a program that a signal ended has no exit status", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = box.start("root", box.running({"sh", "-c", "kill -9 $$"}));
  CHECK(eventually([&] { return box.server.pane(pane)->dead; }));
  CHECK(box.shows(pane, "Pane is dead"));
  CHECK_FALSE(box.server.pane(pane)->dead_status);
}

TEST_CASE("tmux: arguments arrive exactly", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = box.start("root", box.running(with_odd_arguments(write_arguments, box.path / "new")));
  CHECK(written(box.path / "new") == odd_arguments);
  auto second =
    box.server.split({pane, split_direction::horizontal,
                      box.running(with_odd_arguments(write_arguments, box.path / "split"))});
  CHECK(written(box.path / "split") == odd_arguments);
  box.ask({"send-keys", "-t", second, "C-c"});
  CHECK(eventually([&] { return box.server.pane(second)->dead; }));
  box.server.respawn(second, box.running(with_odd_arguments(write_arguments, box.path / "again")));
  CHECK(written(box.path / "again") == odd_arguments);
  CHECK_FALSE(std::filesystem::exists(box.path / "x"));
}

TEST_CASE("tmux: a program without arguments is no line for a shell", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto odd = box.path / "a b;$(touch x)'\n";
  std::ofstream{odd} << "#!/bin/sh\necho ran > \"$0.out\"; exec cat\n";
  std::filesystem::permissions(odd, std::filesystem::perms::owner_all);
  auto pane = box.start("root", box.running({odd.string()}));
  CHECK(eventually([&] { return text_of(odd.string() + ".out") == "ran\n"; }));
  CHECK_FALSE(std::filesystem::exists(box.path / "x"));
  CHECK(error_of([&] { box.start("b", box.running({"a=b"})); }) == errc::invalid_params);
  CHECK(error_of([&] { box.start("b", box.running({})); }) == errc::invalid_params);
  CHECK(error_of([&] {
          box.start("b", box.running({"a", std::string{"b\0c", 3}}));
        })
        == errc::invalid_params);
  CHECK(box.server.list_sessions().size() == 1);
}

TEST_CASE("tmux: a command that is too long is refused and leaves nothing", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto with = [&](std::size_t size) { return box.running({"cat", std::string(size, 'x')}); };
  CHECK(error_of([&] { box.start("a", with(100'000)); }) == errc::too_large);
  CHECK(error_of([&] { box.start("a", with(17'000)); }) == errc::too_large);
  CHECK(error_of([&] { box.start("a", with(10'000'000)); }) == errc::too_large);
  CHECK(box.server.list_sessions().empty());
  box.start("a", with(15'000));
}

TEST_CASE("tmux: environment arrives exactly and in its pane only", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto what = box.running({"sh", "-c", write_environment, (box.path / "first").string()});
  what.environment = {{"ODD", "a\nb 'c' \"d\" $(id) #{pid} ;"},
                      {"EMPTY", ""},
                      {"END", "x;"},
                      {"PATH", "/usr/bin:/bin:/é"}};
  auto pane = box.start("root", what);
  auto all = written(box.path / "first");
  for (const auto& [name, value] : what.environment)
    CHECK(std::ranges::count(all, name + "=" + value) == 1);
  box.server.split(
    {pane, {}, box.running({"sh", "-c", write_environment, (box.path / "2").string()})});
  auto others = written(box.path / "2");
  CHECK(std::ranges::none_of(others, [](auto& line) { return line.starts_with("ODD="); }));

  what.environment = {{"A=B", "c"}};
  CHECK(error_of([&] { box.start("b", what); }) == errc::invalid_params);
}

TEST_CASE("tmux: directories may have any name but must be there", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  std::string first;
  for (const auto* name :
       {"a b", "#(touch x)", "#{pid}", "##", "#[bold]", "##[bold]", "%H;", "é#"}) {
    auto directory = box.path / name;
    std::filesystem::create_directory(directory);
    auto where = [&](const char* out) {
      return pane_command{{"sh", "-c", write_directory, (box.path / out).string()}, directory};
    };
    INFO(name);
    auto pane = box.start(name, where("new"));
    CHECK(written(box.path / "new") == std::vector<std::string>{directory.string() + "\n"});
    box.server.split({pane, {}, where("split")});
    CHECK(written(box.path / "split") == std::vector<std::string>{directory.string() + "\n"});
    box.ask({"send-keys", "-t", pane, "C-c"});
    CHECK(eventually([&] { return box.server.pane(pane)->dead; }));
    box.server.respawn(pane, where("again"));
    CHECK(written(box.path / "again") == std::vector<std::string>{directory.string() + "\n"});
    for (const auto* out : {"new", "split", "again"})
      std::filesystem::remove(box.path / out);
  }
  CHECK_FALSE(std::filesystem::exists(box.path / "x"));
  CHECK(error_of([&] {
          box.start("n", {{"cat", "-"}, box.path / "nowhere"});
        })
        == errc::failed_precondition);
  CHECK(error_of([&] { box.start("n", {{"cat", "-"}, "relative"}); }) == errc::failed_precondition);
}

TEST_CASE("tmux: respawn starts again in a dead pane only", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = box.start("root", box.running({"sh", "-c", "exit 3"}));
  CHECK(box.end_of(pane).dead_status == 3);
  // Not cat: it closes its terminal before it ends, and then tmux's SIGHUP may come first.
  box.server.respawn(pane, box.running({"sh", "-c", "read line; exit 5"}));
  CHECK_FALSE(box.server.pane(pane)->dead);
  CHECK(error_of([&] { box.server.respawn(pane, box.idle()); }) == errc::conflict);
  CHECK(error_of([&] { box.server.respawn("%99", box.idle()); }) == errc::not_found);
  box.server.press(pane, "Enter");
  CHECK(box.end_of(pane).dead_status == 5);
}

TEST_CASE("tmux: splits share the room until there is none", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto first = box.start("root", box.idle());
  auto beside = box.server.split({first, split_direction::horizontal, box.idle(), 25});
  CHECK(box.server.pane(beside)->width == 50);
  auto window = box.server.pane(first)->window_id;
  auto below = box.server.split({window, split_direction::vertical, box.idle()});
  CHECK(box.server.pane(below)->height < 30);
  CHECK(box.server.list_panes("root").size() == 3);
  errc last = errc::none;
  for (auto i = 0; i < 30 && last == errc::none; ++i)
    last = error_of([&] { box.server.split({below, split_direction::vertical, box.idle()}); });
  CHECK(last == errc::conflict);
  box.server.tile(below);
  CHECK(error_of([&] {
          box.server.split({below, split_direction::vertical, box.idle()});
        })
        == errc::none);
}

TEST_CASE("tmux: killing panes takes the session with the last", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  box.start("other", box.idle());
  auto first = box.start("root", box.idle());
  auto second = box.server.split({first, {}, box.idle()});
  CHECK(box.server.kill_pane(second));
  CHECK_FALSE(box.server.kill_pane(second));
  CHECK(box.server.has_session("root"));
  CHECK(box.server.kill_pane(first));
  CHECK_FALSE(box.server.has_session("root"));
  CHECK_FALSE(box.server.pane(first));
  CHECK(error_of([&] { box.server.capture(first); }) == errc::not_found);
  CHECK(error_of([&] { box.server.kill_pane("root"); }) == errc::invalid_params);
}

TEST_CASE("tmux: titles and program names cannot pass for something else", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto odd_program = box.path / "two\nlines";
  std::filesystem::copy_file("/bin/cat", odd_program);
  auto odd = box.start("odd", box.running({odd_program.string(), "-"}));
  auto script = R"(printf '\033]2;%s\007' "$0"; exec cat)";
  const std::string title = "⠋ a  b | %9 0 #{pid} \\ ' \" ; $(x) ";
  auto titled = box.start("titled", box.running({"sh", "-c", script, title}));
  CHECK(eventually([&] { return box.server.pane(titled)->title == title; }));
  CHECK(eventually([&] { return box.server.pane(odd)->current_command.starts_with("two"); }));
  auto panes = box.server.list_panes();
  REQUIRE(panes.size() == 2);
  CHECK(panes[0].session == "odd");
  CHECK(panes[1].session == "titled");
  CHECK(panes[1].title == title);
  CHECK(panes[1].current_command == "cat");
  CHECK(panes[1].id == titled);
  CHECK(box.server.list_panes("titled").size() == 1);
}

TEST_CASE("tmux: capture gives the last lines of screen and history", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = box.start("root", box.running({"sh", "-c",
                                             "seq 1000; printf '\\033[31mred\\033[m\\n'; "
                                             "printf '%0250d\\nend\\n' 7; exec cat"}));
  REQUIRE(box.shows(pane, "\nend\n"));
  CHECK(box.server.capture(pane, {1}) == "end\n");
  CHECK(box.server.capture(pane, {5, false, true})
        == fmt::format("999\n1000\nred\n{:0>250}\nend\n", 7));
  CHECK(box.server.capture(pane, {5}).find(std::string(200, '0') + "\n") != std::string::npos);
  CHECK(box.server.capture(pane, {300}).starts_with("705\n"));
  CHECK(box.server.capture(pane, {5, true}).find("\x1b[31mred") != std::string::npos);
  CHECK(box.server.capture(pane, {0}).empty());
  CHECK(box.server.capture(pane, {100'000}).starts_with("1\n2\n"));
}

TEST_CASE("tmux: an empty pane captures as nothing", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  CHECK(box.server.capture(box.start("root", box.idle())).empty());
}

TEST_CASE("tmux: the server outlives the process group that started it", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    box.start("root", box.idle());
    ::pause();
    ::_exit(0);
  }
  REQUIRE(child > 0);
  CHECK(eventually([&] { return box.server.has_session("root"); }));
  CHECK(eventually([&] {
    return !box.server.list_panes().empty() && box.server.list_panes()[0].current_command == "cat";
  }));
  ::kill(-child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  auto server = box.server_pid();
  REQUIRE(server > 0);
  CHECK_FALSE(box.server.list_panes()[0].dead);
  CHECK(::getpgid(server) != child);
  CHECK(::getsid(server) != ::getsid(0));
}

TEST_CASE("tmux: neither server nor programs inherit our descriptors or directory", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto lock = ::open((box.path / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  REQUIRE(lock >= 0);
  auto pane = box.start("root", box.idle());
  auto links = [](int64_t process) {
    std::string result;
    std::error_code gone;
    for (const auto& entry :
         std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", process), gone})
      result += std::filesystem::read_symlink(entry.path(), gone).string() + '\n';
    return result;
  };
  CHECK(links(::getpid()).find(box.path.string()) != std::string::npos);
  for (auto process : {int64_t{box.server_pid()}, box.server.pane(pane)->pid}) {
    INFO(links(process));
    CHECK_FALSE(links(process).empty());
    CHECK(links(process).find(box.path.string()) == std::string::npos);
    // Our pipes would keep whoever reads them waiting.
    CHECK(eventually([&] { return links(process).find("memfd:input") == std::string::npos; }));
  }
  CHECK(std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", box.server_pid())) == "/");
  ::close(lock);
}

TEST_CASE("tmux: a server that is killed in between is noticed", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = box.start("root", box.idle());
  auto server = box.server_pid();
  ::kill(server, SIGKILL);
  CHECK(eventually([&] { return has_ended(server); }));
  CHECK_FALSE(box.server.pane(pane));
  CHECK(box.server.list_sessions().empty());
  CHECK(error_of([&] { box.server.type_text(pane, "x"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.respawn(pane, box.idle()); }) == errc::not_found);
  box.start("root", box.idle());
  CHECK(box.server.pane(pane)->server != server);
}

TEST_CASE("tmux: the attach command works as printed", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  tmux_sandbox outside;
  box.start("it's mine", box.idle());
  auto kind = GENERATE(attachment::read_write, attachment::read_only);
  auto command = box.server.attach_command("it's mine", kind);
  outside.start("user", outside.running({"sh", "-c", command}));
  auto clients = [&] {
    return box.ask({"list-clients", "-F", "#{client_session} #{client_readonly}"}).out;
  };
  auto expected = kind == attachment::read_only ? "it's mine 1\n" : "it's mine 0\n";
  CHECK(eventually([&] { return clients() == expected; }));
  INFO(command);
  INFO(clients());
}

TEST_CASE("tmux: older releases are spoken to in words that they know", "[tmux]") {
  if (tmux_is_missing())
    return;
  auto version = GENERATE("2.1", "2.5", "2.9a", "3.1");
  tmux_sandbox box;
  auto older = (box.path / "tmux").string();
  std::ofstream{older} << "#!/bin/sh\n[ \"$1\" = -V ] && echo tmux " << version
                       << R"( && exit; printf '%s\n' "$@" >> "$0.log"; exec tmux "$@")";
  std::filesystem::permissions(older, std::filesystem::perms::owner_all);
  box.options.program = older;
  tmux server{box.options};

  auto what = box.running({"sh", "-c", write_environment, (box.path / "new").string()});
  what.environment = {{"ODD", "a\nb;"}};
  auto pane = server.new_session({"root", "main", what});
  CHECK(std::ranges::count(written(box.path / "new"), "ODD=a\nb;") == 1);
  auto beside = server.split({pane, split_direction::horizontal, box.running({"true", "-"}), 25});
  CHECK(server.pane(beside)->width == 50);
  box.end_of(beside);
  server.respawn(beside, box.idle());
  box.ask({"copy-mode", "-t", beside});
  server.leave_copy_mode(beside);
  CHECK_FALSE(server.pane(beside)->in_mode);
  server.type_text(beside, "typed");
  server.press(beside, "Enter");
  CHECK(box.shows(beside, "typed\ntyped\n"));

  // The words of newer releases: 3.0 and 3.2.
  auto said = "\n" + text_of(older + ".log");
  CHECK((said.find("\n-e\n") != std::string::npos) == (std::string_view{version} == "3.1"));
  CHECK(said.find("\ncopy-mode\n") == std::string::npos);
}

TEST_CASE("tmux: commands for people are quoted only where needed", "[tmux]") {
  tmux server;
  CHECK(server.attach_command("codex-root-1", attachment::read_write)
        == "tmux attach-session -t codex-root-1");
  CHECK(server.attach_command("a b", attachment::read_only) == "tmux attach-session -t 'a b' -r");
  CHECK(server.switch_command("a.b") == "tmux switch-client -t a_b");
  CHECK(tmux{{"other"}}.switch_command("x") == "tmux -L other switch-client -t x");
}

TEST_CASE("tmux: shell words come back as they were", "[tmux]") {
  CHECK(shell_quote("plain/word-1.0,a:b@c%d+") == "plain/word-1.0,a:b@c%d+");
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("it's") == R"('it'\''s')");
  CHECK(shell_quote("~") == "'~'");
  CHECK(shell_quote("a=b") == "'a=b'");
  std::vector<std::string> argv{"printf", "%s\\0"};
  argv.insert(argv.end(), odd_arguments.begin(), odd_arguments.end());
  std::string expected;
  for (const auto& word : odd_arguments)
    expected += word + '\0';
  CHECK(run({{"sh", "-c", shell_line(argv)}, "/"}).out == expected);
}
