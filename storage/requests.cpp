#include "storage/requests.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

constexpr int64_t kept_for_us = 24LL * 3'600 * 1'000'000; // contract, section 2

/// FNV-1a: tells requests apart without keeping parameters of many megabytes.
std::string digest(const std::string& params) {
  uint64_t hash = 14695981039346656037ULL;
  for (unsigned char c : params)
    hash = (hash ^ c) * 1099511628211ULL;
  return fmt::format("{:016x}-{}", hash, params.size());
}

} // namespace

std::string name_of_key(const std::string& key) {
  return "key " + key;
}

request_error still_being_done(const std::string& key) {
  return {errc::conflict,
          fmt::format("the request of key {} is still being done", key),
          {{"field", "request_key"}}};
}

earlier_request find_earlier(tx& t, const std::string& key, const method& about,
                             const std::string& params) {
  t.run("DELETE FROM request_keys WHERE created_at < ?", timestamp{t.now.us - kept_for_us});
  auto query = t.db.prepare(
    "SELECT method, params, answer, server_id, begun FROM request_keys WHERE request_key = ?");
  query->bind(1, key);
  if (!query->executeStep())
    return {};
  if (query->getColumn(0).getString() != about.name
      || query->getColumn(1).getString() != digest(params))
    throw request_error{errc::conflict,
                        fmt::format("request_key {} was used for another request", key),
                        {{"field", "request_key"}}};
  if (!query->getColumn(2).isNull())
    return {query->getColumn(2).getString(), false, {}};
  auto begun = query->getColumn(4);
  return {{},
          t.around.at_work(query->getColumn(3).getInt64(), name_of_key(key)),
          begun.isNull() ? std::nullopt : std::optional{begun.getInt64()}};
}

void keep_answer(tx& t, const std::string& key, const method& about, const std::string& params,
                 const std::optional<std::string>& answer) {
  t.run("INSERT INTO request_keys(request_key, method, params, answer, server_id, created_at) "
        "VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(request_key) DO UPDATE SET answer = excluded.answer, "
        "server_id = excluded.server_id, created_at = excluded.created_at",
        key, about.name, digest(params), answer, t.around.server, t.now);
}

void note_begun(tx& t, const std::string& key, int64_t row_id) {
  t.run("UPDATE request_keys SET begun = ? WHERE request_key = ?", row_id, key);
}

void forget_answer(tx& t, const std::string& key) {
  t.run("DELETE FROM request_keys WHERE request_key = ? AND answer IS NULL", key);
}

} // namespace orch
