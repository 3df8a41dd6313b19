#include "storage/waiters.hpp"

#include "storage/merge_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace orch {

namespace {

std::string scopes_text(const std::vector<lock_scope>& scopes) {
  std::string out = "[";
  for (const auto& scope : scopes) {
    out += out.size() > 1 ? "," : "";
    out += to_json_text(scope);
  }
  return out + "]";
}

std::vector<lock_scope> read_scopes(const std::string& text) {
  std::vector<lock_scope> scopes;
  for (const auto& scope : json::parse(text))
    scopes.push_back(from_json<lock_scope>(scope));
  return scopes;
}

/// Whom an owner waits for: those whose leases or earlier turns its waits are blocked by.
std::set<std::string> awaited_by(tx& t, const std::string& owner) {
  std::set<std::string> owners;
  for (std::string_view kind : {"lock", "main"})
    for (const auto& w : waiting_in_line(t, kind)) {
      if (w.owner_session != owner)
        continue;
      if (kind == "main") {
        if (auto holder = main_lock_holder(t))
          owners.insert(std::to_string(*holder));
        continue;
      }
      owners.merge(owners_in_the_way(t, {w.owner_session, w.scopes, w.ttl_seconds}, w.id));
    }
  return owners;
}

/// A way along "waits for" from `from` to `to`, both ends included; empty if there is none.
std::vector<std::string> find_cycle(tx& t, const std::string& from, const std::string& to,
                                    std::set<std::string>& seen) {
  if (from == to)
    return {to};
  if (!seen.insert(from).second)
    return {};
  for (const auto& next : awaited_by(t, from)) {
    auto rest = find_cycle(t, next, to, seen);
    if (!rest.empty()) {
      rest.insert(rest.begin(), from);
      return rest;
    }
  }
  return {};
}

/// A lease that was granted to a waiter.
struct granted_lock {
  int64_t id = 0;
  std::optional<lock> was{}; ///< what it was before, if it was renewed

  field_list fields() { return {required("id", id), optional("was", was)}; }
};

struct waiter_row {
  std::string kind;
  std::string owner;
  std::string state;
  std::vector<granted_lock> granted;
};

std::optional<waiter_row> find_waiter(tx& t, int64_t id) {
  auto query =
    t.db.prepare("SELECT kind, owner_session, state, lock_ids FROM waiters WHERE id = ?");
  query->bind(1, id);
  if (!query->executeStep())
    return {};
  waiter_row found{query->getColumn(0).getString(),
                   query->getColumn(1).getString(),
                   query->getColumn(2).getString(),
                   {}};
  if (!query->getColumn(3).isNull())
    for (const auto& item : json::parse(query->getColumn(3).getString()))
      found.granted.push_back(from_json<granted_lock>(item));
  return found;
}

void forget(tx& t, int64_t id) {
  t.run("DELETE FROM waiters WHERE id = ?", id);
}

void give_back(tx& t, const waiter_row& row) {
  if (row.state != "granted")
    return;
  for (const auto& x : row.granted) {
    if (x.was)
      restore_lock(t, *x.was);
    else
      end_lock(t, x.id, "released");
    t.changed(x.was ? "lock.restored" : "lock.released", {{"lock_id", x.id}});
  }
  if (row.kind == "main")
    release_main_lock_of(t, std::stoll(row.owner));
}

bool drop_waiters_of_dead_servers(tx& t) {
  auto dropped = false;
  std::vector<std::pair<int64_t, int64_t>> rows;
  {
    auto query = t.db.prepare("SELECT id, server_id FROM waiters");
    while (query->executeStep())
      rows.emplace_back(query->getColumn(0).getInt64(), query->getColumn(1).getInt64());
  }
  for (auto [id, server] : rows) {
    if (t.around.at_work(server, name_of_waiter(id)))
      continue;
    auto row = find_waiter(t, id);
    forget(t, id);
    give_back(t, *row);
    dropped = true;
  }
  return dropped;
}

bool grant(tx& t, const waiter& w) {
  wanted_locks wanted{w.owner_session, w.scopes, w.ttl_seconds};
  auto renewed = own_locks(t, wanted);
  auto taken = take_locks(t, wanted, w.id);
  auto locks = std::get_if<std::vector<lock>>(&taken);
  if (!locks)
    return false;
  std::string granted;
  for (const auto& x : *locks) {
    granted_lock one{x.id};
    auto was = std::find_if(renewed.begin(), renewed.end(), [&](auto& y) { return y.id == x.id; });
    if (was != renewed.end())
      one.was = *was;
    granted += (granted.empty() ? "[" : ",") + to_json_text(one);
  }
  t.run("UPDATE waiters SET state = 'granted', lock_ids = ? WHERE id = ?", granted + "]", w.id);
  return true;
}

bool grant_main(tx& t, const waiter& w) {
  if (main_lock_holder(t))
    return false;
  take_main_lock(t, std::stoll(w.owner_session), w.ttl_seconds);
  t.run("UPDATE waiters SET state = 'granted' WHERE id = ?", w.id);
  return true;
}

} // namespace

std::string name_of_waiter(int64_t id) {
  return fmt::format("waiter {}", id);
}

std::vector<waiter> waiting_in_line(tx& t, std::string_view kind, int64_t before) {
  auto query =
    t.db.prepare("SELECT id, owner_session, scopes, ttl_seconds FROM waiters WHERE state "
                 "= 'waiting' AND kind = ? AND id < ? ORDER BY id");
  bind_all(*query, kind, before > 0 ? before : std::numeric_limits<int64_t>::max());
  std::vector<waiter> line;
  while (query->executeStep())
    line.push_back({query->getColumn(0).getInt64(), query->getColumn(1).getString(),
                    read_scopes(query->getColumn(2).getString()), query->getColumn(3).getInt64()});
  return line;
}

int64_t get_in_line(tx& t, std::string_view kind, const wanted_locks& wanted,
                    const blocked_by& blocked) {
  auto awaited = kind == "main" ? std::set{blocked.owner} : owners_in_the_way(t, wanted);
  std::set<std::string> seen;
  std::vector<std::string> cycle;
  for (const auto& next : awaited)
    if (cycle.empty())
      cycle = find_cycle(t, next, wanted.owner, seen);
  if (!cycle.empty()) {
    cycle.insert(cycle.begin(), wanted.owner);
    auto refusal = lock_conflict(blocked);
    refusal.data["cycle"] = cycle;
    throw request_error{
      errc::conflict,
      fmt::format("waiting would be a deadlock: {}", fmt::join(cycle, " waits for ")),
      refusal.data};
  }
  t.run("INSERT INTO waiters(kind, owner_session, scopes, ttl_seconds, server_id, state, "
        "created_at) VALUES(?, ?, ?, ?, ?, 'waiting', ?)",
        kind, wanted.owner, scopes_text(wanted.scopes), wanted.ttl_seconds, t.around.server, t.now);
  return t.db.raw().getLastInsertRowid();
}

wait_state look_at_wait(tx& t, int64_t waiter_id) {
  wait_state state;
  auto row = find_waiter(t, waiter_id);
  if (row && row->state == "waiting") {
    state.look_again_at = next_lease_end(t);
    return state;
  }
  state.over = true;
  if (!row)
    return state;
  state.granted = true;
  for (const auto& x : row->granted)
    if (auto held = t.find<lock>("locks", x.id))
      state.locks.push_back(*held);
  forget(t, waiter_id);
  return state;
}

json what_holds_up(tx& t, int64_t waiter_id) {
  for (const auto& w : waiting_in_line(t, "lock"))
    if (w.id == waiter_id)
      if (auto block = find_block(t, {w.owner_session, w.scopes, w.ttl_seconds}, w.id))
        return lock_conflict(*block).data;
  for (const auto& w : waiting_in_line(t, "main"))
    if (w.id == waiter_id && main_lock_holder(t))
      return main_lock_conflict(get_main_lock(t)).data;
  return nullptr;
}

void leave_line(tx& t, int64_t waiter_id) {
  auto row = find_waiter(t, waiter_id);
  if (!row)
    return;
  forget(t, waiter_id);
  give_back(t, *row);
  // Those behind it may have waited for it alone.
  give_waiters_their_turn(t);
}

void give_waiters_their_turn(tx& t) {
  if (!t.number("SELECT 1 FROM waiters LIMIT 1"))
    return;
  drop_waiters_of_dead_servers(t);
  for (const auto& w : waiting_in_line(t, "main"))
    if (!grant_main(t, w))
      break;
  for (const auto& w : waiting_in_line(t, "lock"))
    grant(t, w);
  t.wake_waiters();
}

void drop_dead_waiters(tx& t) {
  if (t.number("SELECT 1 FROM waiters LIMIT 1") && drop_waiters_of_dead_servers(t))
    give_waiters_their_turn(t);
}

void forget_waiters_of(tx& t, const std::string& owner) {
  if (t.run("DELETE FROM waiters WHERE owner_session = ? AND state = 'waiting'", owner) == 0)
    return;
  // Those behind it may have waited for it alone.
  give_waiters_their_turn(t);
  t.wake_waiters();
}

std::optional<timestamp> next_lease_end(tx& t) {
  auto at = t.number("SELECT min(at) FROM (SELECT min(lease_until) AS at FROM locks WHERE state = "
                     "'active' UNION ALL SELECT lease_until FROM merge_main_lock WHERE state = "
                     "'locked')");
  if (!at)
    return {};
  return timestamp{*at};
}

} // namespace orch
