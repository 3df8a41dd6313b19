#include "storage/locks.hpp"

#include "storage/merge_queue.hpp"
#include "storage/paging.hpp"
#include "storage/waiters.hpp"

#include <fmt/format.h>

#include <charconv>
#include <fstream>

namespace orch {

namespace fs = std::filesystem;

namespace {

bool contains(const lock_scope& prefix, const std::string& path) {
  return prefix.scope_type == "prefix"
         && (prefix.scope_path == "." || prefix.scope_path == path
             || path.starts_with(prefix.scope_path + "/"));
}

/// Whose leases are looked at: those of all others, or of one owner.
enum class whose : uint8_t { others, own };

std::string_view owner_sql(whose of) {
  // The + keeps SQLite from taking the index by owner, who may hold many locks; a path has few.
  return of == whose::others ? "owner_session <> ?2" : "+owner_session = ?2";
}

/// A lease on exactly `path` that excludes the scope.
std::optional<lock> in_the_way_at(tx& t, const std::string& path, const lock_scope& scope, whose of,
                                  const std::string& owner) {
  auto only_prefixes = path != scope.scope_path;
  return t.first<lock>(
    fmt::format("FROM locks WHERE state = 'active' AND scope_path = ?1 AND {} AND (?3 = 0 OR "
                "scope_type = 'prefix') AND (?4 = 1 OR mode = 'exclusive') ORDER BY id LIMIT 1",
                owner_sql(of)),
    path, owner, int64_t{only_prefixes}, int64_t{scope.mode == "exclusive"});
}

std::optional<lock> in_the_way_below(tx& t, const lock_scope& scope, whose of,
                                     const std::string& owner) {
  // '0' follows '/', so that the range holds exactly what starts with "path/".
  auto all = scope.scope_path == ".";
  return t.first<lock>(
    fmt::format("FROM locks WHERE state = 'active' AND scope_path >= ?1 AND {} AND scope_path < ?3 "
                "AND (?4 = 1 OR mode = 'exclusive') LIMIT 1",
                owner_sql(of)),
    all ? std::string{} : scope.scope_path + "/", owner,
    all ? std::string{"\xff"} : scope.scope_path + "0", int64_t{scope.mode == "exclusive"});
}

/// A lease that excludes the scope.
std::optional<lock> in_the_way(tx& t, const lock_scope& scope, whose of, const std::string& owner) {
  for (const auto& path : chain_of(scope.scope_path))
    if (auto found = in_the_way_at(t, path, scope, of, owner))
      return found;
  if (scope.scope_type == "prefix")
    return in_the_way_below(t, scope, of, owner);
  return {};
}

bool wants_the_same(const std::vector<lock_scope>& a, const std::vector<lock_scope>& b) {
  for (const auto& x : a)
    for (const auto& y : b)
      if (scopes_conflict(x, y))
        return true;
  return false;
}

/// The first lease of all that excludes one of the scopes.
std::optional<lock> first_in_the_way(tx& t, const std::vector<lock_scope>& scopes, whose of,
                                     const std::string& owner) {
  for (const auto& scope : scopes)
    if (auto found = in_the_way(t, scope, of, owner))
      return found;
  return {};
}

/// Does somebody in line go first? Who is waited for must be able to renew and to finish, or both
/// would wait for ever.
bool is_before(tx& t, const waiter& ahead, const wanted_locks& wanted) {
  return ahead.owner_session != wanted.owner && wants_the_same(ahead.scopes, wanted.scopes)
         && !first_in_the_way(t, ahead.scopes, whose::own, wanted.owner);
}

std::optional<lock> own_lock(tx& t, const lock_scope& scope, const std::string& owner) {
  // The + keeps SQLite from taking the index by owner, who may hold many locks; a path has few.
  return t.first<lock>(
    "FROM locks WHERE state = 'active' AND scope_path = ? AND +owner_session = ? "
    "AND scope_type = ? ORDER BY id LIMIT 1",
    scope.scope_path, owner, scope.scope_type);
}

/// Owners are free text; those that are ids of sessions are named as such.
int64_t session_of(const std::string& owner) {
  int64_t id = 0;
  auto [end, problem] = std::from_chars(owner.data(), owner.data() + owner.size(), id);
  return problem == std::errc{} && end == owner.data() + owner.size() ? id : 0;
}

void note_lock(tx& t, std::string_view kind, const lock& about) {
  t.changed(kind, {{"lock_id", about.id}, {"session_id", session_of(about.owner_session)}});
}

lock grant(tx& t, const lock_scope& scope, const wanted_locks& wanted) {
  auto granted = own_lock(t, scope, wanted.owner).value_or(lock{});
  granted.scope_type = scope.scope_type;
  granted.scope_path = scope.scope_path;
  granted.owner_session = wanted.owner;
  granted.mode = scope.mode;
  granted.lease_until = plus_seconds(t.now, wanted.ttl_seconds);
  granted.heartbeat_at = t.now;
  granted.state = "active";
  auto is_new = granted.id == 0;
  if (is_new)
    t.insert("locks", granted);
  else
    t.update("locks", granted);
  t.run("UPDATE locks SET ttl_seconds = ? WHERE id = ? AND ttl_seconds <> ?", wanted.ttl_seconds,
        granted.id, wanted.ttl_seconds);
  note_lock(t, is_new ? "lock.acquired" : "lock.renewed", granted);
  return granted;
}

lock get_active(tx& t, int64_t id, const std::optional<std::string>& owner) {
  auto found = t.find<lock>("locks", id);
  if (!found || found->state != "active")
    throw request_error{
      errc::not_found,
      found
        ? fmt::format("lock #{} {}", id, found->state == "expired" ? "has expired" : "was released")
        : fmt::format("lock #{} does not exist", id)};
  if (owner && *owner != found->owner_session)
    throw request_error{errc::permission_denied,
                        fmt::format("lock #{} belongs to session {}", id, found->owner_session),
                        {{"owner_session", found->owner_session}}};
  return std::move(*found);
}

/// Is there a linked worktree at `directory`? Its .git is a file that names a place below the
/// `worktrees` of the repository; that of a submodule names one below `modules`.
bool is_linked_worktree(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_regular_file(directory / ".git", ignored))
    return false;
  std::ifstream file{directory / ".git"};
  std::string line;
  std::getline(file, line);
  return line.starts_with("gitdir: ") && fs::path{line}.parent_path().filename() == "worktrees"
         && line.find("/modules/") == std::string::npos;
}

/// The path below a linked worktree names the same file as in the main work tree.
fs::path without_worktree(const fs::path& root, const fs::path& path) {
  fs::path rest = path;
  auto here = root;
  for (auto part = path.begin(); part != path.end(); ++part) {
    here /= *part;
    if (!is_linked_worktree(here))
      continue;
    rest = ".";
    for (auto below = std::next(part); below != path.end(); ++below)
      rest /= *below;
    return rest.lexically_normal();
  }
  // One that is not on disk yet, or no longer, is known by where we put worktrees.
  auto part = path.begin();
  for (std::string_view expected : {".codex-orch", "worktrees"})
    if (part == path.end() || *part++ != expected)
      return path;
  if (part == path.end())
    return path;
  rest = ".";
  for (++part; part != path.end(); ++part)
    rest /= *part;
  return rest.lexically_normal();
}

} // namespace

std::vector<std::string> chain_of(const std::string& path) {
  std::vector<std::string> chain{"."};
  if (path == ".")
    return chain;
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    chain.push_back(path.substr(0, slash));
  chain.push_back(path);
  return chain;
}

std::string normalize_path(const surroundings& around, std::string_view field,
                           const std::string& path) {
  if (path.find('\0') != std::string::npos)
    throw bad_param(field, fmt::format("{} must not contain NUL", field));
  if (path.empty())
    throw bad_param(field, fmt::format("{} must not be empty", field));
  std::error_code failed;
  auto real = fs::weakly_canonical(around.repo_root / path, failed);
  if (failed)
    throw bad_param(field, fmt::format("{} cannot be resolved: {}", field, failed.message()));
  auto inside = without_worktree(around.repo_root, real.lexically_relative(around.repo_root));
  if (inside.empty() || *inside.begin() == "..")
    throw bad_param(
      field, fmt::format("{} must lie inside the repository {}", field, around.repo_root.string()));
  auto text = inside.string();
  while (text.size() > 1 && text.back() == '/')
    text.pop_back();
  return text;
}

bool scopes_conflict(const lock_scope& a, const lock_scope& b) {
  if (a.mode == "shared" && b.mode == "shared")
    return false;
  return a.scope_path == b.scope_path || contains(a, b.scope_path) || contains(b, a.scope_path);
}

std::optional<blocked_by> find_block(tx& t, const wanted_locks& wanted, int64_t before) {
  if (auto holder = first_in_the_way(t, wanted.scopes, whose::others, wanted.owner))
    return blocked_by{holder, holder->owner_session};
  for (const auto& ahead : waiting_in_line(t, "lock", before))
    if (is_before(t, ahead, wanted))
      // The lease that the one ahead waits for explains more than its place in the line.
      return blocked_by{first_in_the_way(t, ahead.scopes, whose::others, ahead.owner_session),
                        ahead.owner_session};
  return {};
}

std::set<std::string> owners_in_the_way(tx& t, const wanted_locks& wanted, int64_t before) {
  std::set<std::string> owners;
  auto collect = [&](const std::string& where, const std::string& from, const std::string& to,
                     const lock_scope& scope, bool only_prefixes) {
    auto query = t.db.prepare(
      "SELECT DISTINCT owner_session FROM locks WHERE state = 'active' AND " + where
      + " AND owner_session <> ?3 AND (?4 = 1 OR mode = 'exclusive') AND (?5 = 0 OR scope_type = "
        "'prefix')");
    bind_all(*query, from, to, wanted.owner, int64_t{scope.mode == "exclusive"},
             int64_t{only_prefixes});
    while (query->executeStep())
      owners.insert(query->getColumn(0).getString());
  };
  for (const auto& scope : wanted.scopes) {
    for (const auto& path : chain_of(scope.scope_path))
      collect("scope_path = ?1 AND ?2 = ?2", path, path, scope, path != scope.scope_path);
    auto all = scope.scope_path == ".";
    if (scope.scope_type == "prefix")
      collect("scope_path >= ?1 AND scope_path < ?2", all ? "" : scope.scope_path + "/",
              all ? "\xff" : scope.scope_path + "0", scope, false);
  }
  for (const auto& ahead : waiting_in_line(t, "lock", before))
    if (is_before(t, ahead, wanted))
      owners.insert(ahead.owner_session);
  return owners;
}

std::variant<std::vector<lock>, blocked_by> take_locks(tx& t, const wanted_locks& wanted,
                                                       int64_t before) {
  if (auto block = find_block(t, wanted, before))
    return *block;
  std::vector<lock> granted;
  for (const auto& scope : wanted.scopes)
    granted.push_back(grant(t, scope, wanted));
  return granted;
}

void owner_must_be_open(tx& t, const std::string& owner) {
  // The owner is free text; only one that is the id of a session can have ended.
  if (owner.size() > 18 || owner.find_first_not_of("0123456789") != std::string::npos)
    return;
  auto query = t.db.prepare("SELECT status FROM sessions WHERE id = ?");
  query->bind(1, static_cast<int64_t>(std::stoll(owner)));
  if (!query->executeStep())
    return;
  auto status = query->getColumn(0).getString();
  if (status == "closed" || status == "handoff_attached")
    throw request_error{errc::failed_precondition,
                        fmt::format("session #{} is {}", owner, status),
                        {{"field", "owner_session"}, {"status", status}}};
}

std::vector<lock> acquire_locks(tx& t, const wanted_locks& wanted) {
  owner_must_be_open(t, wanted.owner);
  drop_dead_waiters(t);
  auto taken = take_locks(t, wanted);
  if (auto block = std::get_if<blocked_by>(&taken))
    throw lock_conflict(*block);
  // An exclusive lease that became a shared one makes room.
  give_waiters_their_turn(t);
  return std::get<std::vector<lock>>(std::move(taken));
}

request_error lock_conflict(const blocked_by& by) {
  if (!by.holder)
    return {errc::conflict,
            fmt::format("session {} waits for it and goes first", by.owner),
            {{"waiting", by.owner}}};
  const auto& held = *by.holder;
  json data{{"holder", json::parse(to_json_text(held))}};
  if (by.owner != held.owner_session)
    data["waiting"] = by.owner;
  return {errc::conflict,
          fmt::format("lock conflict with #{} ({}:{}) of session {} until {}", held.id,
                      held.scope_type, held.scope_path, held.owner_session,
                      to_text(held.lease_until)),
          data};
}

lock heartbeat_lock(tx& t, const lock_heartbeat& request) {
  auto held = get_active(t, request.lock_id, request.owner_session);
  auto ttl = request.ttl_seconds.value_or(
    t.number("SELECT ttl_seconds FROM locks WHERE id = ?", held.id).value_or(600));
  held.lease_until = plus_seconds(t.now, ttl);
  held.heartbeat_at = t.now;
  t.run("UPDATE locks SET lease_until = ?, heartbeat_at = ?, ttl_seconds = ? WHERE id = ?",
        held.lease_until, held.heartbeat_at, ttl, held.id);
  note_lock(t, "lock.renewed", held);
  if (t.number("SELECT 1 FROM waiters LIMIT 1"))
    t.wake_waiters(); // the lease may end earlier now than they were told
  return held;
}

lock release_lock(tx& t, const lock_release& request) {
  auto held = get_active(t, request.lock_id, request.owner_session);
  end_lock(t, held.id, "released");
  note_lock(t, "lock.released", held);
  give_waiters_their_turn(t);
  held.state = "released";
  return held;
}

lock_page list_locks(tx& t, const lock_list& request) {
  auto after = request.cursor ? read_cursor(*request.cursor, 1)[0] : 0;
  std::string where = "FROM locks WHERE state = 'active' AND id > ?1";
  if (request.owner_session)
    where += " AND owner_session = ?3";
  if (request.path) {
    where += " AND (scope_path = ?4 OR (scope_path >= ?5 AND scope_path < ?6) OR (scope_type = "
             "'prefix' AND scope_path IN (SELECT value FROM json_each(?7))))";
  }
  auto path = request.path.value_or(".");
  auto all = path == ".";
  where += " AND ?3 = ?3 AND ?4 = ?4 AND ?5 = ?5 AND ?6 = ?6 AND ?7 = ?7 ORDER BY id LIMIT ?2";
  lock_page page;
  page.locks = t.select<lock>(where, after, request.limit + 1, request.owner_session.value_or(""),
                              path, all ? std::string{} : path + "/",
                              all ? std::string{"\xff"} : path + "0", json(chain_of(path)).dump());
  page.next_cursor =
    close_page(page.locks, request.limit, [](const lock& x) { return std::vector{x.id}; });
  return page;
}

void release_locks_of(tx& t, const std::string& owner) {
  auto released = t.numbers("UPDATE locks SET state = 'released' WHERE owner_session = ? AND state "
                            "= 'active' RETURNING id",
                            owner);
  for (auto id : released)
    t.changed("lock.released", {{"lock_id", id}, {"session_id", session_of(owner)}});
  forget_waiters_of(t, owner);
  if (!released.empty())
    give_waiters_their_turn(t);
}

std::vector<lock> own_locks(tx& t, const wanted_locks& wanted) {
  std::vector<lock> held;
  for (const auto& scope : wanted.scopes)
    if (auto own = own_lock(t, scope, wanted.owner))
      held.push_back(*own);
  return held;
}

void restore_lock(tx& t, const lock& was) {
  if (was.lease_until <= t.now)
    end_lock(t, was.id, "expired");
  else
    t.run("UPDATE locks SET mode = ?, lease_until = ?, heartbeat_at = ? WHERE id = ? AND state = "
          "'active'",
          was.mode, was.lease_until, was.heartbeat_at, was.id);
}

void end_lock(tx& t, int64_t id, const std::string& state) {
  t.run("UPDATE locks SET state = ? WHERE id = ? AND state = 'active'", state, id);
}

bool any_lease_is_over(tx& t) {
  return t
    .number("SELECT 1 FROM locks WHERE state = 'active' AND lease_until <= ?1 UNION ALL "
            "SELECT 1 FROM merge_main_lock WHERE state = 'locked' AND lease_until <= ?1 LIMIT "
            "1",
            t.now)
    .has_value();
}

void settle_leases(tx& t) {
  auto before = t.changes();
  if (t.number("SELECT 1 FROM locks WHERE state = 'active' AND lease_until <= ? LIMIT 1", t.now))
    for (auto id : t.numbers("UPDATE locks SET state = 'expired' WHERE state = 'active' AND "
                             "lease_until <= ? RETURNING id",
                             t.now))
      t.changed("lock.expired", {{"lock_id", id}});
  if (end_main_lease_in_time(t))
    t.changed("main_lock.expired");
  if (t.changes() > before)
    give_waiters_their_turn(t);
}

} // namespace orch
