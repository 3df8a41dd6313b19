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

std::string text_of_error(const request_error& error) {
  json kept{{"code", error_word(error.code)}, {"message", error.what()}, {"data", error.data}};
  return kept.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// The row of a request, if this server has begun it and it was not begun anew since.
constexpr std::string_view as_we_began_it =
  " WHERE request_key = ?1 AND method = ?2 AND params = ?3 AND server_id = ?4 AND ifnull(begun = "
  "?5, ?5 IS NULL)";

request_error error_from_text(const std::string& text) {
  auto kept = json::parse(text);
  request_error error{error_of_word(kept.at("code").get<std::string>()),
                      kept.at("message").get<std::string>()};
  error.data = kept.at("data");
  return error;
}

} // namespace

keyed_request::keyed_request(request_key key, const method& about, const std::string& params)
  : key_{std::move(key)}, about_{&about}, digest_{
                                            key_.number == 0
                                              ? digest(params)
                                              : fmt::format("{}-{}", key_.number, digest(params))} {
}

std::string keyed_request::name() const {
  return fmt::format("key {} {}", key_.number, key_.name);
}

request_error keyed_request::still_being_done() const {
  return {errc::conflict,
          fmt::format("the request of key {} is still being done", key_.name),
          {{"field", "request_key"}}};
}

earlier_request keyed_request::find_earlier(tx& t) const {
  t.run("DELETE FROM request_keys WHERE created_at < ?", timestamp{t.now.us - kept_for_us});
  auto query = t.db.prepare(
    "SELECT method, params, answer, server_id, begun, refused FROM request_keys WHERE request_key "
    "= ?");
  query->bind(1, key_.name);
  if (!query->executeStep())
    return {};
  if (query->getColumn(0).getString() != about_->name
      || query->getColumn(1).getString() != digest_) {
    if (is_of_place())
      return {};
    throw request_error{errc::conflict,
                        fmt::format("request_key {} was used for another request", key_.name),
                        {{"field", "request_key"}}};
  }
  if (query->getColumn(5).getInt() != 0)
    throw error_from_text(query->getColumn(2).getString());
  if (!query->getColumn(2).isNull())
    return {query->getColumn(2).getString(), false, {}};
  auto begun = query->getColumn(4);
  return {{},
          t.around.at_work(query->getColumn(3).getInt64(), name()),
          begun.isNull() ? std::nullopt : std::optional{begun.getInt64()}};
}

void keyed_request::keep_answer(tx& t, const std::optional<std::string>& answer) const {
  // What was begun stays known as long as it is the same request.
  t.run("INSERT INTO request_keys(request_key, method, params, answer, server_id, created_at) "
        "VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(request_key) DO UPDATE SET begun = CASE WHEN params "
        "= excluded.params AND method = excluded.method THEN begun END, method = excluded.method, "
        "params = excluded.params, refused = 0, answer = excluded.answer, server_id = "
        "excluded.server_id, "
        "created_at = excluded.created_at",
        key_.name, about_->name, digest_, answer, t.around.server, t.now);
}

void keyed_request::note_begun(tx& t, int64_t row_id) const {
  t.run("UPDATE request_keys SET begun = ? WHERE request_key = ? AND params = ?", row_id, key_.name,
        digest_);
}

void keyed_request::note_refusal(tx& t, const request_error& why) const {
  if (!is_of_place())
    return;
  keep_answer(t, text_of_error(why));
  t.run("UPDATE request_keys SET refused = 1 WHERE request_key = ?", key_.name);
}

void keyed_request::conclude(tx& t, const std::string& answer,
                             const std::optional<int64_t>& begun) const {
  static const auto sql = fmt::format(
    "UPDATE request_keys SET answer = ?6, refused = 0, created_at = ?7{}", as_we_began_it);
  t.run(sql, key_.name, about_->name, digest_, t.around.server, begun, answer, t.now);
}

void keyed_request::conclude_refused(tx& t, const request_error& why,
                                     const std::optional<int64_t>& begun) const {
  if (!is_of_place()) {
    forget(t, begun);
    return;
  }
  static const auto sql = fmt::format(
    "UPDATE request_keys SET answer = ?6, refused = 1, created_at = ?7{} AND answer IS NULL",
    as_we_began_it);
  t.run(sql, key_.name, about_->name, digest_, t.around.server, begun, text_of_error(why), t.now);
}

void keyed_request::forget(tx& t, const std::optional<int64_t>& begun) const {
  static const auto sql =
    fmt::format("DELETE FROM request_keys{} AND answer IS NULL", as_we_began_it);
  t.run(sql, key_.name, about_->name, digest_, t.around.server, begun);
}

std::string key_of_place(int64_t server, int64_t place) {
  return fmt::format("place {} {}", server, place);
}

void forget_places(tx& t, int64_t server) {
  auto first = key_of_place(server, 0);
  first.pop_back();
  t.run("DELETE FROM request_keys WHERE request_key >= ?1 AND request_key < ?1 || '~'", first);
  t.run("DELETE FROM clients WHERE server_id = ?", server);
}

void note_epoch(tx& t, int64_t server, int64_t epoch) {
  t.run("INSERT INTO clients(server_id, epoch) VALUES(?, ?) ON CONFLICT(server_id) DO UPDATE SET "
        "epoch = max(epoch, excluded.epoch)",
        server, epoch);
}

bool is_answered_here(tx& t, const caller& from) {
  if (from.epoch == 0)
    return true;
  auto epoch = t.number("SELECT epoch FROM clients WHERE server_id = ?", from.server);
  return epoch == from.epoch && t.around.alive(from.server);
}

void must_be_answered_here(tx& t, const caller& from) {
  if (!is_answered_here(t, from))
    throw request_error{errc::unavailable, "the client is not answered here any more"};
}

namespace {

std::vector<int64_t> dead_clients(tx& t) {
  auto all = t.numbers("SELECT server_id FROM clients");
  std::erase_if(all, [&](int64_t server) { return t.around.alive(server); });
  return all;
}

} // namespace

bool any_dead_client(tx& t) {
  return !dead_clients(t).empty();
}

void forget_dead_clients(tx& t) {
  for (auto server : dead_clients(t))
    forget_places(t, server);
}

} // namespace orch
