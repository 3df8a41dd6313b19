#include "storage/events.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace orch {

namespace {

/// Rows that one statement writes: what a statement costs is shared by as many.
constexpr std::size_t rows_at_once = 32;
constexpr int columns = 6;

/// Rows looked at in one transaction: a few milliseconds.
constexpr int64_t most_looked_at = 20'000;

/// Tasks whose ancestors are looked up; beyond that anything may have changed.
constexpr std::size_t most_changed_tasks = 200;

constexpr int64_t most_pruned = 2'000;

std::string insert_rows_sql(std::size_t rows) {
  std::string sql = "INSERT INTO events(at, kind, ids, session_id, thread_id, server_id) VALUES";
  for (std::size_t i = 0; i < rows; ++i)
    sql += i == 0 ? "(?, ?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?, ?)";
  return sql;
}

void bind_change(SQLite::Statement& to, int index, const noted_change& x, int64_t server) {
  to.bind(index, x.at.us);
  to.bindNoCopy(index + 1, x.kind.data()); // a literal, so it ends with a NUL
  to.bindNoCopy(index + 2, x.ids);
  bind_value(to, index + 3, x.session_id);
  bind_value(to, index + 4, x.thread_id);
  to.bind(index + 5, server);
}

int64_t oldest_event(tx& t, int64_t newest) {
  return t.number("SELECT min(seq) FROM events").value_or(newest + 1);
}

bool is_one_of(std::string_view kind, const std::vector<std::string>& prefixes) {
  return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
           return kind.starts_with(prefix);
         });
}

/// Reads what `ids_text` has written.
void read_ids(std::string_view text, std::set<std::pair<std::string, int64_t>>& to) {
  while (true) {
    auto begin = text.find('"');
    auto end = text.find("\":", begin + 1);
    if (begin == std::string_view::npos || end == std::string_view::npos)
      return;
    auto name = text.substr(begin + 1, end - begin - 1);
    int64_t id = 0;
    auto digits = text.substr(end + 2);
    auto rest = std::from_chars(digits.data(), digits.data() + digits.size(), id).ptr;
    to.emplace(name, id);
    text = digits.substr(static_cast<std::size_t>(rest - digits.data()));
  }
}

void add_tasks_above(tx& t, seen_changes& seen) {
  std::vector<int64_t> changed;
  for (const auto& [name, id] : seen.ids)
    if (name == "task_id")
      changed.push_back(id);
  if (changed.size() > most_changed_tasks) {
    seen.all = true;
    return;
  }
  for (auto task_id : changed)
    for (auto id : t.numbers(
           "WITH RECURSIVE up(id) AS (SELECT parent_id FROM tasks WHERE id = ? UNION SELECT "
           "p.parent_id FROM up JOIN tasks p ON p.id = up.id) SELECT id FROM up WHERE id NOTNULL",
           task_id))
      seen.ids.emplace("task_id", id);
}

} // namespace

std::string ids_text(std::initializer_list<named_id> ids) {
  std::string text;
  for (const auto& [name, id] : ids) {
    if (id == 0)
      continue;
    std::array<char, 24> digits;
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
    text += text.empty() ? "{\"" : ",\"";
    text += name;
    text += "\":";
    text.append(digits.data(), end);
  }
  text += text.empty() ? "{}" : "}";
  return text;
}

void write_events(database& db, const std::vector<noted_change>& changes, int64_t server) {
  static const auto many = insert_rows_sql(rows_at_once);
  static const auto one = insert_rows_sql(1);
  for (std::size_t i = 0; i < changes.size();) {
    auto count = changes.size() - i >= rows_at_once ? rows_at_once : 1;
    auto statement = db.prepare(count > 1 ? many : one);
    for (std::size_t row = 0; row < count; ++row)
      bind_change(*statement, 1 + columns * static_cast<int>(row), changes[i + row], server);
    statement->exec();
    i += count;
  }
}

int64_t newest_event(tx& t) {
  return t.number("SELECT seq FROM sqlite_sequence WHERE name = 'events'").value_or(0);
}

found_events find_events(tx& t, int64_t since, const std::vector<std::string>& kinds,
                         int64_t limit) {
  static const auto sql =
    "SELECT " + columns_of(shape_of<event>()) + " FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
  constexpr int seq_column = 0;
  constexpr int kind_column = 2;
  auto newest = newest_event(t);
  found_events found;
  auto& page = found.page;
  page.oldest_seq = oldest_event(t, newest);
  page.gap = since + 1 < page.oldest_seq || since > newest;
  page.next_since = newest;
  if (since >= newest)
    return found;
  auto query = t.db.prepare(sql);
  bind_all(*query, since, most_looked_at);
  int64_t last = since;
  int64_t looked_at = 0;
  while (std::ssize(page.events) < limit && query->executeStep()) {
    ++looked_at;
    last = query->getColumn(seq_column).getInt64();
    auto kind = query->getColumn(kind_column);
    if (is_one_of({kind.getText(), static_cast<std::size_t>(kind.getBytes())}, kinds))
      read_row(*query, shape_of<event>(), &page.events.emplace_back());
  }
  if (std::ssize(page.events) == limit || looked_at == most_looked_at) {
    page.next_since = last;
    found.more = page.events.empty();
  }
  return found;
}

seen_changes changes_since(tx& t, int64_t since) {
  seen_changes seen;
  seen.next_since = newest_event(t);
  if (since == seen.next_since)
    return seen;
  if (since > seen.next_since || seen.next_since - since > most_looked_at
      || since + 1 < oldest_event(t, seen.next_since)) {
    seen.all = true;
    return seen;
  }
  auto query = t.db.prepare("SELECT kind, ids, session_id FROM events WHERE seq > ? ORDER BY seq");
  bind_all(*query, since);
  while (query->executeStep()) {
    seen.kinds.insert(query->getColumn(0).getString());
    read_ids(query->getColumn(1).getText(), seen.ids);
    if (!query->getColumn(2).isNull())
      seen.ids.emplace("session_id", query->getColumn(2).getInt64());
  }
  add_tasks_above(t, seen);
  return seen;
}

bool prune_events(tx& t) {
  constexpr int64_t us_per_hour = 3'600'000'000;
  timestamp oldest_kept{t.now.us - t.around.keep_events_hours * us_per_hour};
  return t.run("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM (SELECT seq, at FROM events "
               "ORDER BY seq LIMIT ?1) WHERE at < ?2)",
               most_pruned, oldest_kept)
         == most_pruned;
}

} // namespace orch
