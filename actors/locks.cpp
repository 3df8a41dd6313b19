#include "actors/locks.hpp"

#include "actors/owner.hpp"
#include "storage/locks.hpp"
#include "storage/waiters.hpp"

namespace orch {

namespace {

using self_pointer = lock_actor::stateful_pointer<lock_state>;

/// The scopes with their paths normalized; errors name `field` (with the index, if there are
/// several).
std::vector<lock_scope> normalized(const surroundings& around, std::vector<lock_scope> scopes,
                                   std::string_view field) {
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    auto name = field.empty() ? "locks[" + std::to_string(i) + "].scope_path" : std::string{field};
    scopes[i].scope_path = normalize_path(around, name, scopes[i].scope_path);
    if (scopes[i].scope_type == "file" && scopes[i].scope_path == ".")
      throw bad_param(name, "the repository itself is no file; lease it as a prefix");
    if (scopes[i].scope_type == "file"
        && std::filesystem::is_directory(around.repo_root / scopes[i].scope_path))
      throw bad_param(name, "it is a directory; lease it as a prefix");
  }
  return scopes;
}

wanted_locks wanted_by(const surroundings& around, const lock_acquire& request) {
  return {
    request.owner_session,
    normalized(around, {{request.scope_type, request.scope_path, request.mode}}, "scope_path"),
    request.ttl_seconds};
}

wanted_locks wanted_by(const surroundings& around, const lock_acquire_many& request) {
  if (request.locks.empty())
    throw bad_param("locks", "locks must name at least one path");
  return {request.owner_session, normalized(around, request.locks, {}), request.ttl_seconds};
}

lock as_result(std::vector<lock> granted, const lock_acquire&) {
  return std::move(granted.front());
}

acquired_locks as_result(std::vector<lock> granted, const lock_acquire_many&) {
  return {std::move(granted)};
}

/// Takes the locks or gets in line for them.
template <class M>
std::variant<typename M::result, line_place> begin(tx& t, const M& request,
                                                   const wanted_locks& wanted) {
  owner_must_be_open(t, wanted.owner);
  drop_dead_waiters(t);
  auto taken = take_locks(t, wanted);
  if (auto granted = std::get_if<std::vector<lock>>(&taken))
    return as_result(std::move(*granted), request);
  return line_place{get_in_line(t, "lock", wanted, std::get<blocked_by>(taken))};
}

template <class M>
auto acquire(self_pointer self, const tree& parts) {
  return [=](const call<M>& asked) -> caf::result<typename M::result> {
    wanted_locks wanted;
    try {
      wanted = wanted_by(*parts.around, asked.params);
    } catch (...) {
      return to_caf_error(current_error());
    }
    // Not before: an error returned after a promise was taken would go nowhere.
    auto promise = self->make_response_promise<typename M::result>();
    if (asked.params.wait_seconds == 0) {
      auto work = [wanted](tx& t, const M& request) {
        return as_result(acquire_locks(t, wanted), request);
      };
      return promise.delegate(parts.storage, transaction_for(asked, work));
    }
    auto start = [wanted](tx& t, const M& request) { return begin(t, request, wanted); };
    auto finish = [](tx&, const M& request, const wait_state& state) {
      return as_result(state.locks, request);
    };
    self->state.waiting.answer_or_hold(self, parts, asked, promise, start, finish);
    return promise;
  };
}

auto list(self_pointer self, const tree& parts) {
  return [=](const call<lock_list>& asked) -> caf::result<lock_page> {
    auto settled = asked;
    try {
      if (settled.params.path)
        settled.params.path = normalize_path(*parts.around, "path", *settled.params.path);
    } catch (...) {
      return to_caf_error(current_error());
    }
    auto promise = self->make_response_promise<lock_page>();
    return promise.delegate(parts.storage, transaction_for(settled, list_locks));
  };
}

} // namespace

lock_actor::behavior_type locks(self_pointer self, tree parts) {
  return {
    acquire<lock_acquire>(self, parts),
    acquire<lock_acquire_many>(self, parts),
    stored<lock_heartbeat>(self, parts, heartbeat_lock),
    stored<lock_release>(self, parts, release_lock),
    list(self, parts),
    [=](look_again why) { self->state.waiting.look(self, parts, why); },
    [=](const cancel_wait& x) { self->state.waiting.cancel(self, parts, x.ticket); },
  };
}

route_map routes(const lock_actor& owner) {
  return routes_to(owner, lock_methods::list{});
}

} // namespace orch
