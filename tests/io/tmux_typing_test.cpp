#include "io/tmux.hpp"
#include "tmux_sandbox.hpp"

#include <random>

using namespace orch;

namespace {

constexpr auto paste_start = "\x1b[200~";
constexpr auto paste_end = "\x1b[201~";

/// Writes each line that it reads to the file $0.
constexpr auto read_lines = R"(stty -echo; echo ready; exec cat > "$0")";

/// Wants bracketed paste and writes all bytes that it gets to the file $0.
constexpr auto read_raw = R"(stty raw -echo; printf '\033[?2004hready'; exec cat > "$0")";

std::string start_reader(const tmux_sandbox& box, const char* script) {
  auto pane = box.start("root", box.running({"sh", "-c", script, (box.path / "in").string()}));
  REQUIRE(box.shows(pane, "ready"));
  return pane;
}

/// Whether the reader has got exactly this.
bool arrives(const tmux_sandbox& box, const std::string& expected) {
  std::string got;
  auto complete = eventually([&] {
    got = text_of(box.path / "in");
    return got.size() >= expected.size();
  });
  INFO("got " << got.size() << " of " << expected.size() << " bytes");
  CHECK(complete);
  return got == expected;
}

/// Texts of everything that has ever been mistaken for something else.
class text_maker {
public:
  explicit text_maker(bool several_lines) : several_lines_{several_lines} {}

  std::string next() {
    auto result = fmt::format("{}:", count_++);
    for (auto i = pick(30); i > 0; --i)
      result += pieces_.at(pick(several_lines_ ? pieces_.size() : pieces_.size() - 2));
    return result;
  }

private:
  std::size_t pick(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>{0, end - 1}(random_);
  }

  const std::vector<std::string> pieces_{
    "a",      "Z",     "0",  " ",   "  ",     "é",      "漢字",    "🙂",   "👩‍💻",
    "'",      "\"",    ";",  "\\;", "\\",     "\\n",    "$(id)",   "`id`",   "$HOME",
    "#{pid}", "#(id)", "##", "{",   "}",      "%1",     "Enter",   "C-c",    "-t",
    "--",     "~",     "!x", "*",   "?",      "[200~",  "&&",      "|",      "<",
    ">",      "/",     "@",  "^C",  "\u00a0", "\u200b", "e\u0301", "\ufffd", "→",
    "⠋",      "́",      "\t", "\n",  "\n\n",
  };
  bool several_lines_;
  int count_ = 0;
  std::mt19937 random_{7};
};

std::string buffers_of(const tmux_sandbox& box) {
  return box.ask({"list-buffers"}).out;
}

} // namespace

TEST_CASE("tmux: typeable text holds nothing that acts on a terminal", "[tmux]") {
  CHECK(typeable("plain\ttext\nand → 漢字") == "plain\ttext\nand → 漢字");
  CHECK(typeable("a\r\nb\rc\n\nd\r\r\ne") == "a\nb\nc\n\nd\n\ne");
  CHECK(typeable("a\x1b[201~b") == "a[201~b");
  CHECK(typeable(std::string{"\0\x01\x03\x04\x08\x15\x1a\x7f.", 9}) == ".");
  CHECK(typeable("\u0085\u009b31m\u00a0") == "31m\u00a0");
  CHECK(typeable("a\xff\xc3") == "a\ufffd\ufffd");
  CHECK(typeable("\xc2") == "\ufffd");
  CHECK(typeable("").empty());
}

TEST_CASE("tmux: a thousand lines arrive once and byte for byte", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_lines);
  text_maker texts{false};
  std::string expected;
  for (auto i = 0; i < 1000; ++i) {
    auto text = texts.next();
    box.server.type_text(pane, text);
    box.server.press(pane, "Enter");
    expected += text + '\n';
  }
  CHECK(arrives(box, expected));
  CHECK(buffers_of(box).empty());
}

TEST_CASE("tmux: a thousand texts of several lines arrive as pastes", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_raw);
  text_maker texts{true};
  std::string expected;
  for (auto i = 0; i < 1000; ++i) {
    auto text = texts.next();
    box.server.type_text(pane, text);
    box.server.press(pane, "Enter");
    expected += paste_start + text + paste_end + '\r';
  }
  CHECK(arrives(box, expected));
  CHECK(buffers_of(box).empty());
}

TEST_CASE("tmux: long texts arrive whole in raw mode", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_raw);
  text_maker texts{true};
  std::string text;
  while (text.size() < 2'000'000)
    text += texts.next();
  box.server.type_text(pane, text);
  CHECK(arrives(box, paste_start + text + paste_end));
}

TEST_CASE("tmux: lines of the canonical mode end at 4095 bytes", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_lines);
  box.server.type_text(pane, std::string(4095, 'a') + "\n" + std::string(5000, 'b') + "\nc\n");
  CHECK(arrives(box, std::string(4095, 'a') + "\n" + std::string(4095, 'b') + "\nc\n"));
}

TEST_CASE("tmux: newlines submit to programs that do not know pastes", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, R"(stty raw -echo; printf ready; exec cat > "$0")");
  box.server.type_text(pane, "one\r\ntwo\n\x1b[201~");
  CHECK(arrives(box, "one\ntwo\n[201~"));
}

TEST_CASE("tmux: keys are pressed, words that are no keys refused", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_raw);
  for (const auto* key : {"Enter", "Escape", "C-c", ";", "-", "1", "y", "~", "#", "M-x", "Up",
                          "BSpace", "Tab", "C-u", "Space"})
    box.server.press(pane, key);
  CHECK(arrives(box, "\r\x1b\x03;-1y~#\x1bx\x1b[A\x7f\t\x15 "));
  for (const auto* word : {"", "Enterr", "ab", "C-", "C-Foo", "é", "\n", "X-a", "; kill-server"})
    CHECK(error_of([&] { box.server.press(pane, word); }) == errc::invalid_params);
  CHECK(text_of(box.path / "in").size() == 18);
}

TEST_CASE("tmux: dead panes take no input, and the server lives on", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  box.start("other", box.idle());
  auto pane = box.start("root", box.running({"true", "-"}));
  box.end_of(pane);
  CHECK(error_of([&] { box.server.type_text(pane, "text"); }) == errc::failed_precondition);
  CHECK(error_of([&] { box.server.press(pane, "Enter"); }) == errc::failed_precondition);
  CHECK(error_of([&] { box.server.type_text("%99", "text"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.press("%99", "Enter"); }) == errc::not_found);
  CHECK(error_of([&] { box.server.type_text("other", "text"); }) == errc::invalid_params);
  CHECK(box.server.has_session("other"));
  CHECK(buffers_of(box).empty());
}

TEST_CASE("tmux: input that is switched off is noticed", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_lines);
  REQUIRE(box.ask({"select-pane", "-d", "-t", pane}).ok());
  CHECK(error_of([&] { box.server.type_text(pane, "lost\n"); }) == errc::failed_precondition);
  REQUIRE(box.ask({"select-pane", "-e", "-t", pane}).ok());
  box.server.type_text(pane, "found\n");
  CHECK(arrives(box, "found\n"));
}

TEST_CASE("tmux: copy mode is seen and left", "[tmux]") {
  if (tmux_is_missing())
    return;
  tmux_sandbox box;
  auto pane = start_reader(box, read_lines);
  box.server.leave_copy_mode(pane);
  REQUIRE(box.ask({"copy-mode", "-t", pane}).ok());
  CHECK(box.server.pane(pane)->in_mode);
  box.server.leave_copy_mode(pane);
  CHECK_FALSE(box.server.pane(pane)->in_mode);
  REQUIRE(box.ask({"clock-mode", "-t", pane}).ok());
  box.server.leave_copy_mode(pane);
  CHECK_FALSE(box.server.pane(pane)->in_mode);
  box.server.type_text(pane, "text");
  box.server.press(pane, "Enter");
  CHECK(arrives(box, "text\n"));
  CHECK(error_of([&] { box.server.leave_copy_mode("%99"); }) == errc::not_found);
}
