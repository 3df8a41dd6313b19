#pragma once

#include "storage/tx.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orch {

/// A cursor is the sort key of the last row seen, so that a page starts with an index look-up
/// however far down it is. Opaque to callers.
std::string make_cursor(const std::vector<int64_t>& key);

/// Throws invalid_params (field cursor) unless it holds `parts` numbers.
std::vector<int64_t> read_cursor(const std::string& cursor, std::size_t parts);

/// Cuts the one row too many that was asked for to see whether there is more, and sets the cursor.
/// `key` gives the sort key of a row.
template <class Row, class Key>
std::optional<std::string> close_page(std::vector<Row>& rows, int64_t limit, Key key) {
  if (static_cast<int64_t>(rows.size()) <= limit)
    return {};
  rows.pop_back();
  return make_cursor(key(rows.back()));
}

/// A condition over columns and what to bind to its marks, in order.
struct condition {
  std::string sql = "1";
  std::vector<std::variant<int64_t, std::string>> values{};

  void add(const std::string& sql_and_mark, std::variant<int64_t, std::string> value) {
    sql += " AND " + sql_and_mark;
    values.push_back(std::move(value));
  }
};

/// The order of urgency, behind the row whose key is `after`, as conditions whose rows follow each
/// other. Each is one index range; a single condition with OR would walk all the rows before it.
std::vector<condition> behind_by_urgency(const std::optional<std::vector<int64_t>>& after);

/// At most `limit` rows of `table` (with priority, updated_at and id), most urgent first.
template <record T>
std::vector<T> select_by_urgency(tx& t, std::string_view table, const condition& where,
                                 const std::optional<std::vector<int64_t>>& after, int64_t limit) {
  const auto& shape = shape_of<T>();
  std::vector<T> rows;
  for (const auto& part : behind_by_urgency(after)) {
    auto query = t.db.prepare(fmt::format(
      "SELECT {} FROM {} WHERE {} AND {} ORDER BY priority DESC, updated_at, id LIMIT ?",
      columns_of(shape), table, where.sql, part.sql));
    int index = 0;
    for (const auto* values : {&where.values, &part.values})
      for (const auto& value : *values)
        std::visit([&](const auto& x) { bind_value(*query, ++index, x); }, value);
    bind_value(*query, ++index, limit - static_cast<int64_t>(rows.size()));
    while (query->executeStep())
      read_row(*query, shape, &rows.emplace_back());
    if (static_cast<int64_t>(rows.size()) >= limit)
      break;
  }
  return rows;
}

} // namespace orch
