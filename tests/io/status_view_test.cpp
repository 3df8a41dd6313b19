#include "io/status_view.hpp"
#include "member_count.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace orch;

namespace {

constexpr timestamp noon{1'800'000'000'000'000};

timestamp ago(int64_t seconds) {
  return plus_seconds(noon, -seconds);
}

std::vector<std::string> lines_in(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream in{page};
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

overview_session shown_session(int64_t id, const std::string& branch) {
  overview_session s;
  s.id = id;
  s.role = "codex";
  s.owner = "unknown";
  s.status = "active_new";
  s.server = "alive";
  s.branch = branch;
  s.last_seen_at = ago(4);
  return s;
}

overview_problem shown_problem(const std::string& severity, const std::string& what) {
  overview_problem p;
  p.severity = severity;
  p.what = what;
  p.hint = "do something";
  p.since = ago(180);
  return p;
}

overview shown_repository() {
  overview of;
  of.name = "shop";
  of.repository = "/home/ann/shop";
  of.servers = 1;
  of.counts.sessions = 2;
  of.sessions = {shown_session(3, "session/3-fix"), shown_session(12, "session/12-新しい支払い")};
  return of;
}

std::string page_of(const overview& of, const page_style& style = {}) {
  return render_page({of}, style, noon);
}

bool has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

template <class... Records>
bool list_all_members() {
  return ((shape_of<Records>().fields.size() == member_count<Records>()) && ...);
}

} // namespace

TEST_CASE("every record of an overview lists every member", "[status]") {
  CHECK(list_all_members<overview_session, overview_thread, overview_lock, overview_merge,
                         overview_review, overview_worktree, overview_counts, overview_problem>());
}

TEST_CASE("printable leaves nothing that a terminal obeys", "[status]") {
  auto [text, shown] = GENERATE(table<std::string, std::string>({
    {"plain", "plain"},
    {"two\nlines\tand\ra tab", "two lines and a tab"},
    {"\x1b[31mred", "\uFFFD[31mred"},
    {"bell\x07\x7f", "bell\uFFFD\uFFFD"},
    {"csi\u009b2J", "csi\uFFFD2J"},
    {"turned\u202Earound", "turned\uFFFDaround"},
    {"no\u200Bspace", "no\uFFFDspace"},
    {"caf\xc3\xa9 \xe6\x96\xb0", "café 新"},
    {"latin \xe9 cut \xe6\x96", "latin \uFFFD cut \uFFFD\uFFFD"},
    {"overlong \xc0\x9b[2J", "overlong \uFFFD\uFFFD[2J"},
    {"surrogate \xed\xa0\x80", "surrogate \uFFFD\uFFFD\uFFFD"},
    {std::string{"nul\0", 4}, "nul\uFFFD"},
    {"a\u0301\u0301\u0301\u0301\u0301\u0301", "a\u0301\u0301\u0301"},
    {"\u0301leading", "leading"},
    {"", ""},
  }));
  CHECK(printable(text) == shown);
}

TEST_CASE("display_width counts the columns of a terminal", "[status]") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("café") == 4);
  CHECK(display_width("cafe\u0301") == 4);
  CHECK(display_width("新しい") == 6);
  CHECK(display_width("…·→") == 3);
}

TEST_CASE("fitted cuts between characters and never exceeds the columns", "[status]") {
  auto [columns, shown] = GENERATE(table<int, std::string>({{0, ""},
                                                            {1, "…"},
                                                            {2, "a…"},
                                                            {3, "a…"},
                                                            {4, "a新…"},
                                                            {5, "a新…"},
                                                            {6, "a新し…"},
                                                            {8, "a新しいb"}}));
  CHECK(fitted("a新しいb", columns) == shown);
  CHECK(display_width(fitted("a新しいb", columns)) <= columns);
}

TEST_CASE("ages and sizes have one unit", "[status]") {
  CHECK(age_text(-5) == "0 s");
  CHECK(age_text(59) == "59 s");
  CHECK(age_text(180) == "3 m");
  CHECK(age_text(7'200) == "2 h");
  CHECK(age_text(5 * 86'400) == "5 d");
  CHECK(size_text(812) == "812 B");
  CHECK(size_text(12 << 20) == "12 MB");
  CHECK(size_text(1'500'000'000) == "1.4 GB");
}

TEST_CASE("render_page aligns columns, wide characters included", "[status]") {
  auto lines = lines_in(page_of(shown_repository()));
  REQUIRE(lines.size() == 6);
  CHECK(lines[0] == "shop       /home/ann/shop");
  CHECK(lines[1] == "           1 server · 2 sessions");
  CHECK(lines[2].empty());
  CHECK(lines[3] == "SESSIONS   ROLE   STATE   BRANCH                   SERVER  SEEN");
  CHECK(lines[4] == "#3         codex  active  session/3-fix            alive    4 s");
  CHECK(lines[5] == "#12        codex  active  session/12-新しい支払い  alive    4 s");
}

TEST_CASE("render_page shows only sections that have something", "[status]") {
  auto of = shown_repository();
  CHECK_FALSE(has(page_of(of), "LOCKS"));
  of.sessions.clear();
  CHECK(has(page_of(of), "nothing goes on here"));
  of.note = "no state";
  CHECK(page_of(of) == "shop       /home/ann/shop\n           no state\n");
}

TEST_CASE("render_page shows several repositories below each other", "[status]") {
  auto of = shown_repository();
  auto other = of;
  other.name = "a-long-name";
  other.note = "no state";
  auto lines = lines_in(render_page({of, other}, {}, noon));
  REQUIRE(lines.size() == 9);
  CHECK(lines[6].empty());
  CHECK(lines[7] == "a-long-name  /home/ann/shop");
  CHECK(lines[8] == "           no state");
}

TEST_CASE("render_page hides whole sections before it leaves nothing of any", "[status]") {
  auto of = shown_repository();
  overview_lock held;
  held.path = "src";
  held.holder = "3";
  of.locks.assign(9, held);
  of.counts.locks = 9;
  auto page = page_of(of, {80, 9, false, {}});
  CHECK(has(page, "9 locks"));
  CHECK(has(page, "#12"));
  CHECK_FALSE(has(page, "LOCKS"));
  CHECK(has(page_of(of, {80, 14, false, {}}), "… 4 more"));
}

TEST_CASE("render_page puts problems first, those of a person before all", "[status]") {
  auto of = shown_repository();
  of.problems = {shown_problem("needs_person", "worker #7 asks"),
                 shown_problem("stuck", "lock #2 is stale")};
  auto page = page_of(of, {60, 0, false, {}});
  auto lines = lines_in(page);
  CHECK(lines[3].starts_with("NEEDS YOU  worker #7 asks "));
  CHECK(lines[3].ends_with(" 3 m"));
  CHECK(display_width(lines[3]) == 60);
  CHECK(lines[4] == "           → do something");
  CHECK(lines[5].starts_with("STUCK      lock #2 is stale"));
  CHECK(page.find("SESSIONS") > page.find("STUCK"));
}

TEST_CASE("render_page keeps to the width whatever it is", "[status]") {
  auto of = shown_repository();
  of.problems = {shown_problem("stuck", std::string(300, 'x'))};
  of.sessions[0].branch = std::string(200, 'b');
  auto width = GENERATE(20, 21, 30, 40, 60, 80, 100, 200);
  for (const auto& line : lines_in(page_of(of, {width, 0, false, "12:00:00"})))
    CHECK(display_width(line) <= width);
}

TEST_CASE("render_page keeps to the height and says what it leaves out", "[status]") {
  auto of = shown_repository();
  of.sessions.clear();
  for (auto id = 1; id <= 40; ++id)
    of.sessions.push_back(shown_session(id, "b"));
  of.problems = {shown_problem("stuck", "one"), shown_problem("stuck", "two")};
  auto height = GENERATE(1, 5, 12, 24);
  auto page = page_of(of, {80, height, false, {}});
  CHECK(lines_in(page).size() == static_cast<std::size_t>(height));
  if (height == 24) {
    CHECK(has(page, "two"));
    CHECK(has(page, "… 26 more"));
  }
}

TEST_CASE("render_page colours only if asked to, and never by names", "[status]") {
  auto of = shown_repository();
  of.sessions[0].branch = "\x1b]0;title\x07\x1b[2J";
  of.sessions[0].role = "evil\nSTUCK";
  of.name = "\x1b[1m";
  of.problems = {shown_problem("stuck", "\x1b[5mblink")};
  auto plain = page_of(of);
  for (auto c : plain)
    CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20U));
  CHECK(has(plain, "evil STUCK"));
  of.sessions[0].branch = of.sessions[0].role = of.name = "x";
  of.problems.clear();
  CHECK(has(page_of(of, {0, 0, true, {}}), "\x1b[32mactive"));
}

TEST_CASE("render_page tells what disk use is not known yet and what is missing", "[status]") {
  auto of = shown_repository();
  overview_worktree tree;
  tree.id = 1;
  tree.branch = "b";
  tree.merge_state = "merged_to_parent";
  tree.path = "/home/ann/shop/.codex-orch/worktrees/b";
  of.worktrees = {tree, tree, tree};
  of.worktrees[0].disk_bytes = 12 << 20;
  of.worktrees[1].missing = true;
  auto lines = lines_in(page_of(of));
  CHECK(lines[8] == "#1         b       merged to parent    12 MB  .codex-orch/worktrees/b");
  CHECK(lines[9] == "#1         b       merged to parent  missing  .codex-orch/worktrees/b");
  CHECK(lines[10] == "#1         b       merged to parent        …  .codex-orch/worktrees/b");
}
