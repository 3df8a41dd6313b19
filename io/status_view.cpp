#include "io/status_view.hpp"

#include <fmt/format.h>
#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace orch {

namespace {

constexpr std::string_view ellipsis = "…";
constexpr char32_t not_a_character = 0xFFFD;
constexpr int gap = 2;

/// A flexible column is not made narrower than this.
constexpr int narrowest = 10;

/// More marks upon one letter are no writing but an attempt to leave the line.
constexpr int most_marks = 3;

// --- Characters -------------------------------------------------------------------------------

/// Takes the next character off `text`; what is not UTF-8 costs one byte.
char32_t take_character(std::string_view& text) {
  constexpr std::array<char32_t, 4> least{0, 0x80, 0x800, 0x10000};
  auto first = static_cast<unsigned char>(text.front());
  std::size_t more = first < 0x80U ? 0 : first < 0xE0U ? 1 : first < 0xF0U ? 2 : 3;
  auto good = first < 0x80U || (first >= 0xC2U && first < 0xF5U && text.size() > more);
  char32_t c = more == 0 ? first : first & (0x3FU >> more);
  for (std::size_t i = 1; good && i <= more; ++i) {
    auto next = static_cast<unsigned char>(text[i]);
    good = (next & 0xC0U) == 0x80U;
    c = c << 6U | (next & 0x3FU);
  }
  good = good && c >= least.at(more) && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
  text.remove_prefix(good ? more + 1 : 1);
  return good ? c : not_a_character;
}

void append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  auto more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  out += static_cast<char>((0xF00U >> static_cast<unsigned>(more + 1) & 0xFFU) | c >> (6U * more));
  while (more-- > 0)
    out += static_cast<char>(0x80U | (c >> (6U * more) & 0x3FU));
}

/// Invisible characters that join, hide or turn around what is beside them.
bool is_invisible(char32_t c) {
  return c == 0xAD || c == 0x061C || c == 0x180E || (c >= 0x200B && c <= 0x200F)
         || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F)
         || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB)
         || (c >= 0xE0000 && c <= 0xE0FFF);
}

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

/// As the C library knows it, whatever the locale of the process; negative: not printable.
int width_of(char32_t c) {
  static const auto utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (c < 0x7F || !utf8)
    return c < 0x20 ? -1 : 1;
  auto before = ::uselocale(utf8);
  auto width = ::wcwidth(static_cast<wchar_t>(c));
  ::uselocale(before);
  return width;
}

// --- Lines ------------------------------------------------------------------------------------

enum class tone : uint8_t { plain, dim, strong, good, notice, bad };

std::string_view code_of(tone how) {
  switch (how) {
  case tone::plain:
    return "";
  case tone::dim:
    return "\x1b[2m";
  case tone::strong:
    return "\x1b[1m";
  case tone::good:
    return "\x1b[32m";
  case tone::notice:
    return "\x1b[33m";
  case tone::bad:
    return "\x1b[31m";
  }
  return "";
}

/// A printable text in one tone.
struct span {
  std::string text{};
  tone how = tone::plain;
};

using line = std::vector<span>;

int width_of_line(const line& of) {
  return std::accumulate(of.begin(), of.end(), 0,
                         [](int sum, const span& s) { return sum + display_width(s.text); });
}

span blanks(int count) {
  return {std::string(static_cast<std::size_t>(std::max(count, 0)), ' ')};
}

std::string painted(const line& what, const page_style& style) {
  std::string out;
  auto left = style.width > 0 ? style.width : width_of_line(what);
  for (const auto& s : what) {
    auto text = fitted(s.text, left);
    left -= display_width(text);
    auto coloured = style.colours && s.how != tone::plain && !text.empty();
    out += coloured ? fmt::format("{}{}\x1b[0m", code_of(s.how), text) : text;
  }
  auto end = out.find_last_not_of(' ');
  out.erase(end == std::string::npos ? 0 : end + 1);
  return out + '\n';
}

/// A heading with what belongs under it; each item is one or more lines and is left out as a whole.
struct block {
  std::vector<line> heading{};
  std::vector<std::vector<line>> items{};
  int rank = 0; ///< where there is no room those of the highest rank go first; 0: stays
  std::size_t shown = 0;
  bool hidden = false;

  std::size_t height() const {
    if (hidden)
      return 0;
    auto height = heading.size() + (shown < items.size() ? 1 : 0);
    for (std::size_t i = 0; i < shown; ++i)
      height += items[i].size();
    return height;
  }
};

// --- Tables -----------------------------------------------------------------------------------

struct column {
  std::string title{};
  bool right = false;
  bool flexible = false;
  int rank = 0; ///< where there is no room those of the highest rank go first; 0: stays
};

struct table {
  std::vector<column> columns;
  std::vector<line> rows; ///< a span for each column
};

struct measured_column {
  column what{};
  std::size_t index = 0;
  int width = 0;
};

int total_width(const std::vector<measured_column>& columns) {
  auto sum = gap * (static_cast<int>(columns.size()) - 1);
  for (const auto& c : columns)
    sum += c.width;
  return sum;
}

/// The columns that say anything, as wide as what they say.
std::vector<measured_column> measure(const table& of) {
  std::vector<measured_column> all;
  for (std::size_t i = 0; i < of.columns.size(); ++i) {
    auto widest = 0;
    for (const auto& row : of.rows)
      widest = std::max(widest, display_width(row[i].text));
    if (widest > 0)
      all.push_back({of.columns[i], i, std::max(widest, display_width(of.columns[i].title))});
  }
  return all;
}

/// Takes from the widest flexible column as long as there is one to take from.
void squeeze(std::vector<measured_column>& columns, int width) {
  for (auto over = total_width(columns) - width; over > 0; --over) {
    auto widest = std::max_element(columns.begin(), columns.end(), [](auto& a, auto& b) {
      return (a.what.flexible ? a.width : 0) < (b.what.flexible ? b.width : 0);
    });
    if (widest == columns.end() || !widest->what.flexible || widest->width <= narrowest)
      return;
    --widest->width;
  }
}

/// Leaves out what is least worth its room.
void fit(std::vector<measured_column>& columns, int width) {
  for (;;) {
    auto squeezed = columns;
    squeeze(squeezed, width);
    auto least = std::max_element(columns.begin(), columns.end(),
                                  [](auto& a, auto& b) { return a.what.rank < b.what.rank; });
    if (total_width(squeezed) <= width || least == columns.end() || least->what.rank == 0) {
      columns = std::move(squeezed);
      return;
    }
    columns.erase(least);
  }
}

line aligned(const line& cells, const std::vector<measured_column>& columns) {
  line out;
  for (const auto& c : columns) {
    const auto& cell = cells[c.index];
    span shown{fitted(cell.text, c.width), cell.how};
    auto room = blanks(c.width - display_width(shown.text));
    if (!out.empty())
      out.push_back(blanks(gap));
    if (c.what.right)
      std::swap(room, shown);
    out.push_back(std::move(shown));
    out.push_back(std::move(room));
  }
  return out;
}

block to_block(const table& of, int width, int rank) {
  auto columns = measure(of);
  if (width > 0)
    fit(columns, width);
  line titles;
  for (const auto& c : of.columns)
    titles.push_back({c.title, tone::dim});
  titles.front().how = tone::strong;
  block made{{{}, aligned(titles, columns)}};
  made.rank = rank;
  for (const auto& row : of.rows)
    made.items.push_back({aligned(row, columns)});
  return made;
}

// --- What is said -----------------------------------------------------------------------------

/// The first column of everything, so that the page is one table.
constexpr int first_column = 9;

std::string id_text(int64_t id) {
  return fmt::format("#{}", id);
}

std::string id_text(const std::optional<int64_t>& id) {
  return id ? id_text(*id) : "";
}

/// Owners of leases are sessions, but any word will do.
std::string owner_text(const std::string& owner) {
  auto is_id = !owner.empty() && owner.find_first_not_of("0123456789") == std::string::npos;
  return is_id ? "#" + owner : printable(owner);
}

/// A word of the state as people write it.
std::string spelled(std::string word) {
  std::replace(word.begin(), word.end(), '_', ' ');
  return printable(word);
}

std::string said(const std::optional<std::string>& text) {
  return text ? printable(*text) : "";
}

int64_t seconds_between(timestamp from, timestamp to) {
  return (to.us - from.us) / 1'000'000;
}

span age(timestamp since, timestamp now) {
  return {age_text(seconds_between(since, now))};
}

/// What is left of something that ends by itself.
span left_until(const std::optional<timestamp>& end, timestamp now) {
  if (!end)
    return {};
  auto left = seconds_between(now, *end);
  return left > 0 ? span{age_text(left)} : span{fmt::format("over {}", age_text(-left)), tone::bad};
}

/// The first column, as wide on the whole page.
column first_titled(std::string title) {
  title.resize(std::max<std::size_t>(title.size(), first_column), ' ');
  return {std::move(title)};
}

span session_state(const overview_session& s) {
  if (s.status == "suspended" || s.silent)
    return {s.status == "suspended" ? "suspended" : "silent", tone::notice};
  auto active = s.status == "active_new" || s.status == "active_resume";
  return {active ? "active" : spelled(s.status), tone::good};
}

span thread_state_text(const std::string& status) {
  if (status == "waiting_user_answer")
    return {"asks a person", tone::notice};
  auto how = status == "running"  ? tone::good
             : status == "failed" ? tone::bad
             : status == "idle"   ? tone::plain
                                  : tone::dim;
  return {printable(status), how};
}

table sessions_of(const overview& of, timestamp now) {
  table t{{first_titled("SESSIONS"),
           {"ROLE", false, true},
           {"OWNER", false, true, 5},
           {"STATE"},
           {"BRANCH", false, true, 1},
           {"AGENT", false, false, 2},
           {"SERVER", false, false, 4},
           {"SEEN", true, false, 3}},
          {}};
  for (const auto& s : of.sessions) {
    auto root = s.root_thread_id ? fmt::format("{} {}", id_text(s.root_thread_id),
                                               thread_state_text(s.root_status.value_or("")).text)
                                 : "";
    t.rows.push_back({{id_text(s.id)},
                      {printable(s.role)},
                      {s.owner == "unknown" ? "" : printable(s.owner)},
                      session_state(s),
                      {said(s.branch)},
                      {std::move(root)},
                      {s.server == "none" ? "" : printable(s.server),
                       s.server == "dead" ? tone::bad : tone::plain},
                      age(s.last_seen_at, now)});
  }
  return t;
}

table threads_of(const overview& of, timestamp now) {
  table t{{first_titled("AGENTS"),
           {"ROLE", false, true},
           {"STATE"},
           {"SESSION", false, false, 2},
           {"PROVIDER", false, false, 4},
           {"PANE", false, false, 3},
           {"FOR", true, false, 1},
           {"ABOUT", false, true, 5}},
          {}};
  for (const auto& x : of.threads)
    t.rows.push_back({{id_text(x.id)},
                      {printable(x.role)},
                      thread_state_text(x.status),
                      {id_text(x.session_id)},
                      {printable(x.provider)},
                      {said(x.pane)},
                      age(x.since, now),
                      {x.error_message ? said(x.error_message) : said(x.title),
                       x.error_message ? tone::bad : tone::dim}});
  return t;
}

table locks_of(const overview& of, timestamp now) {
  table t{{first_titled("LOCKS"),
           {"PATH", false, true},
           {"MODE", false, false, 2},
           {"HOLDER", false, true},
           {"LEFT", true, false, 1},
           {"WAITING", false, true, 3}},
          {}};
  if (of.main_lock)
    t.rows.push_back({{"main"},
                      {"merging into the main branch"},
                      {},
                      {id_text(of.main_lock->holder_session_id)},
                      left_until(of.main_lock->lease_until, now),
                      {}});
  for (const auto& x : of.locks) {
    std::string waiters;
    for (const auto& owner : x.waiters)
      waiters += (waiters.empty() ? "" : " ") + owner_text(owner);
    auto below = x.scope == "prefix" && x.path != "." ? "/" : "";
    t.rows.push_back({{id_text(x.id)},
                      {printable(x.path) + below},
                      {printable(x.mode), tone::dim},
                      {owner_text(x.holder)},
                      left_until(x.lease_until, now),
                      {std::move(waiters), tone::notice}});
  }
  return t;
}

table reviews_of(const overview& of, timestamp now) {
  table t{{first_titled("REVIEWS"),
           {"OF"},
           {"STATE"},
           {"SESSION", false, false, 2},
           {"AGENT", false, false, 3},
           {"LEFT", true, false, 1},
           {"FAILED", true, false, 4},
           {"ABOUT", false, true, 5}},
          {}};
  for (const auto& x : of.reviews)
    t.rows.push_back({{id_text(x.id)},
                      {id_text(x.merge_request_id)},
                      {printable(x.state), x.state == "failed"    ? tone::bad
                                           : x.state == "running" ? tone::good
                                                                  : tone::plain},
                      {id_text(x.session_id)},
                      {id_text(x.reviewer_thread_id)},
                      x.state == "running" ? left_until(x.deadline, now) : span{},
                      {x.failures > 0 ? fmt::format("{}×", x.failures) : ""},
                      {said(x.error_message), tone::bad}});
  return t;
}

table merges_of(const overview& of, timestamp now) {
  table t{{first_titled("MERGES"),
           {"BRANCH", false, true},
           {"INTO", false, true, 4},
           {"STATE"},
           {"REVIEW", false, false, 1},
           {"SESSION", false, false, 3},
           {"FOR", true, false, 2},
           {"ABOUT", false, true, 5}},
          {}};
  for (const auto& x : of.merges) {
    auto waits = x.state == "queued" || x.state == "merging";
    auto review = x.review.value_or("");
    t.rows.push_back({{id_text(x.id)},
                      {said(x.branch)},
                      {printable(x.target_branch)},
                      {spelled(x.state), waits ? tone::plain : tone::bad},
                      {spelled(review), review == "approved"   ? tone::good
                                        : review == "rejected" ? tone::bad
                                                               : tone::plain},
                      {id_text(x.session_id)},
                      age(x.created_at, now),
                      {said(x.error_message), tone::bad}});
  }
  return t;
}

/// Below the repository a path needs no more than its end.
std::string path_text(const overview& of, const std::string& path) {
  auto root = of.repository + "/";
  return printable(path.starts_with(root) ? path.substr(root.size()) : path);
}

table worktrees_of(const overview& of) {
  table t{{first_titled("WORKTREES"),
           {"BRANCH", false, true},
           {"SESSION", false, false, 2},
           {"STATE", false, false, 1},
           {"DISK", true},
           {"PATH", false, true, 3}},
          {}};
  for (const auto& x : of.worktrees) {
    auto disk = x.missing      ? span{"missing", tone::bad}
                : x.disk_bytes ? span{size_text(*x.disk_bytes)}
                               : span{std::string{ellipsis}, tone::dim};
    t.rows.push_back(
      {{id_text(x.id)},
       {printable(x.branch)},
       {id_text(x.session_id)},
       {spelled(x.merge_state), x.merge_state.starts_with("merged") ? tone::good : tone::plain},
       std::move(disk),
       {path_text(of, x.path), tone::dim}});
  }
  return t;
}

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

/// "2 servers", "3 sessions", …: what there is, in numbers.
std::vector<std::string> summary_of(const overview& of) {
  const auto& n = of.counts;
  std::vector<std::string> parts;
  auto tell = [&](int64_t count, std::string_view one, std::string_view many) {
    if (count > 0)
      parts.push_back(counted(count, one, many));
  };
  if (of.servers)
    parts.push_back(*of.servers == 0 ? "no server runs"
                                     : counted(*of.servers, "server", "servers"));
  tell(of.clients.value_or(0), "client", "clients");
  tell(n.sessions, "session", "sessions");
  tell(n.agents, "agent", "agents");
  tell(n.locks, "lock", "locks");
  tell(n.waiters, "waiter", "waiters");
  tell(n.reviews, "review", "reviews");
  tell(n.merges, "merge", "merges");
  tell(n.worktrees, "worktree", "worktrees");
  int64_t bytes = 0;
  for (const auto& tree : of.worktrees)
    bytes += tree.disk_bytes.value_or(0);
  if (bytes > 0)
    parts.push_back(size_text(bytes));
  tell(n.tasks_in_progress, "task in progress", "tasks in progress");
  tell(n.tasks_blocked, "task blocked", "tasks blocked");
  tell(n.tasks_todo, "task to do", "tasks to do");
  tell(n.tasks_done, "task done", "tasks done");
  return parts;
}

/// The parts with dots between them, on as many lines as that takes; negative: on one.
std::vector<std::string> in_lines(const std::vector<std::string>& parts, int width) {
  std::vector<std::string> lines;
  for (const auto& part : parts) {
    auto longer = lines.empty() ? part : lines.back() + " · " + part;
    if (lines.empty() || (width > 0 && display_width(longer) > width))
      lines.push_back(part);
    else
      lines.back() = std::move(longer);
  }
  return lines;
}

line indented(span what) {
  return {blanks(first_column + gap), std::move(what)};
}

/// Cut so that what stands at the right edge stays.
line with_right_end(line left, const span& end, int width) {
  if (end.text.empty())
    return left;
  auto room = width - display_width(end.text) - gap;
  if (width > 0) {
    auto before = width_of_line(left) - display_width(left.back().text);
    left.back().text = fitted(left.back().text, room - before);
  }
  left.push_back(blanks(width > 0 ? room - width_of_line(left) + gap : gap));
  left.push_back(end);
  return left;
}

block problems_of(const overview& of, const page_style& style, timestamp now) {
  block made{{{}}};
  for (const auto& p : of.problems) {
    auto person = p.severity == "needs_person";
    line what{{person ? "NEEDS YOU" : "STUCK    ", person ? tone::notice : tone::bad},
              blanks(gap),
              {printable(p.what), tone::strong}};
    auto end = p.since ? span{age_text(seconds_between(*p.since, now)), tone::dim} : span{};
    made.items.push_back({with_right_end(std::move(what), end, style.width),
                          indented({"→ " + printable(p.hint), tone::dim})});
  }
  return made;
}

block heading_of(const overview& of, const page_style& style, bool first) {
  auto name = printable(of.name);
  auto padding = std::max(first_column - display_width(name), 0) + gap;
  line title{{name, tone::strong}, blanks(padding), {printable(of.repository), tone::dim}};
  block made;
  if (!first)
    made.heading.emplace_back();
  made.heading.push_back(with_right_end(
    std::move(title), first ? span{printable(style.corner), tone::dim} : span{}, style.width));
  if (of.note)
    made.heading.push_back(indented({printable(*of.note), tone::notice}));
  else
    for (auto& text : in_lines(summary_of(of), style.width - first_column - gap))
      made.heading.push_back(indented({std::move(text)}));
  return made;
}

std::vector<block> blocks_of(const overview& of, const page_style& style, timestamp now,
                             bool first) {
  std::vector<block> all{heading_of(of, style, first)};
  if (of.note)
    return all;
  if (!of.problems.empty())
    all.push_back(problems_of(of, style, now));
  auto rank = 0;
  for (const auto& t : {sessions_of(of, now), threads_of(of, now), reviews_of(of, now),
                        merges_of(of, now), locks_of(of, now), worktrees_of(of)}) {
    ++rank;
    if (!t.rows.empty())
      all.push_back(to_block(t, style.width, rank));
  }
  if (all.size() == 1)
    all.push_back({{{}, indented({"nothing goes on here", tone::dim})}});
  return all;
}

std::size_t height_of(const std::vector<block>& blocks) {
  return std::accumulate(blocks.begin(), blocks.end(), std::size_t{0},
                         [](auto sum, const block& b) { return sum + b.height(); });
}

/// Takes items from whoever is highest as long as that leaves it `least`.
void take_items(std::vector<block>& blocks, std::size_t height, std::size_t least) {
  auto spare = [&](const block& b) { return b.shown > least ? b.height() : 0; };
  for (auto total = height_of(blocks); total > height;) {
    auto most = std::max_element(blocks.begin(), blocks.end(),
                                 [&](auto& a, auto& b) { return spare(a) < spare(b); });
    if (spare(*most) == 0)
      return;
    total -= most->height();
    --most->shown;
    total += most->height();
  }
}

/// Hides whole sections down to a rank; the heading still has their numbers.
void hide(std::vector<block>& blocks, std::size_t height, int least_rank) {
  auto rank_of = [](const block& b) { return b.hidden ? 0 : b.rank; };
  while (height_of(blocks) > height) {
    auto last = std::max_element(blocks.rbegin(), blocks.rend(),
                                 [&](auto& a, auto& b) { return rank_of(a) < rank_of(b); });
    if (last == blocks.rend() || rank_of(*last) < least_rank)
      return;
    last->hidden = true;
  }
}

/// What was taken before a section was hidden may have its place again.
void give_items(std::vector<block>& blocks, std::size_t height) {
  for (auto& b : blocks)
    while (!b.hidden && b.shown < b.items.size()) {
      ++b.shown;
      if (height_of(blocks) <= height)
        continue;
      --b.shown;
      break;
    }
}

void shorten(std::vector<block>& blocks, std::size_t height) {
  constexpr int rank_of_reviews = 3;
  take_items(blocks, height, 3);
  hide(blocks, height, rank_of_reviews);
  take_items(blocks, height, 1);
  hide(blocks, height, 1);
  give_items(blocks, height);
}

std::vector<line> lines_of(const std::vector<block>& blocks) {
  std::vector<line> lines;
  for (const auto& b : blocks) {
    if (b.hidden)
      continue;
    lines.insert(lines.end(), b.heading.begin(), b.heading.end());
    for (std::size_t i = 0; i < b.shown; ++i)
      lines.insert(lines.end(), b.items[i].begin(), b.items[i].end());
    if (b.shown < b.items.size())
      lines.push_back(
        indented({fmt::format("{} {} more", ellipsis, b.items.size() - b.shown), tone::dim}));
  }
  return lines;
}

} // namespace

std::string printable(std::string_view text) {
  std::string out;
  auto marks = 0;
  while (!text.empty()) {
    auto c = take_character(text);
    if (c == '\n' || c == '\t' || c == '\r')
      c = ' ';
    else if (is_control(c) || is_invisible(c) || width_of(c) < 0)
      c = not_a_character;
    marks = width_of(c) == 0 ? marks + 1 : 0;
    // A mark at the beginning would go upon what stands before.
    if (marks <= (out.empty() ? 0 : most_marks))
      append(out, c);
  }
  return out;
}

int display_width(std::string_view text) {
  auto width = 0;
  while (!text.empty())
    width += std::max(width_of(take_character(text)), 0);
  return width;
}

std::string fitted(std::string_view text, int columns) {
  if (display_width(text) <= columns)
    return std::string{text};
  if (columns <= 0)
    return {};
  auto left = columns - 1;
  auto rest = text;
  auto kept = text.size();
  while (!rest.empty()) {
    kept = text.size() - rest.size();
    left -= width_of(take_character(rest));
    if (left < 0)
      break;
  }
  return std::string{text.substr(0, kept)} + std::string{ellipsis};
}

std::string age_text(int64_t seconds) {
  seconds = std::max<int64_t>(seconds, 0);
  if (seconds < 60)
    return fmt::format("{} s", seconds);
  if (seconds < 3'600)
    return fmt::format("{} m", seconds / 60);
  if (seconds < int64_t{48} * 3'600)
    return fmt::format("{} h", seconds / 3'600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string size_text(int64_t bytes) {
  constexpr std::array<std::string_view, 6> units{"B", "KB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 999.5 && unit + 1 < units.size()) {
    size /= 1'024;
    ++unit;
  }
  return unit > 0 && size < 9.95 ? fmt::format("{:.1f} {}", size, units.at(unit))
                                 : fmt::format("{:.0f} {}", size, units.at(unit));
}

std::string render_page(const std::vector<overview>& repositories, const page_style& style,
                        timestamp now) {
  std::vector<block> blocks;
  for (const auto& of : repositories)
    for (auto& b : blocks_of(of, style, now, &of == &repositories.front()))
      blocks.push_back(std::move(b));
  auto height = static_cast<std::size_t>(std::max(style.height, 0));
  for (auto& b : blocks)
    b.shown = b.items.size();
  if (height > 0)
    shorten(blocks, height);
  auto lines = lines_of(blocks);
  if (height > 0 && lines.size() > height) {
    lines.resize(height);
    lines.back() = {{std::string{ellipsis}, tone::dim}};
  }
  std::string page;
  for (const auto& one : lines)
    page += painted(one, style);
  return page;
}

} // namespace orch
