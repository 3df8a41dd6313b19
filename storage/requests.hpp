#pragma once

#include "storage/tx.hpp"

namespace orch {

/// What became of an earlier attempt at a request, in the last 24 h.
struct earlier_request {
  std::optional<std::string> answer; ///< as JSON text
  bool being_done = false;           ///< by a server that lives
  std::optional<int64_t> begun;      ///< the row that it made before its server died
};

/// A request that is done once, however often it is asked: what the table `request_keys` knows of
/// it. Copied freely; belongs to no thread.
class keyed_request {
public:
  /// Nothing if the caller gave no key.
  template <request M>
  static std::optional<keyed_request> of(const M& params, const caller& from) {
    if (!from.request_key)
      return {};
    return keyed_request{*from.request_key, M::about, to_json_text(params)};
  }

  keyed_request(request_key key, const method& about, const std::string& params);

  /// Throws conflict if the client gave the key to another request before, and whatever it was
  /// refused with if that was kept. The key of a place is
  /// used again and again: what was asked under it before has been answered and is forgotten.
  earlier_request find_earlier(tx& t) const;

  /// Notes that it is being done, or (with `answer`) what it got, in the place of whatever was
  /// asked under its key before. For the transaction that begins it or does all of it.
  void keep_answer(tx& t, const std::optional<std::string>& answer) const;

  /// Notes the row that it has made, in the transaction that makes it.
  void note_begun(tx& t, int64_t row_id) const;

  /// It was refused. In a place that is kept like an answer, since what came after it may have been
  /// done; else there is nothing to be known of it. Otherwise as `keep_answer`.
  void note_refusal(tx& t, const request_error& why) const;

  // What follows is for whoever has noted that it is being done. It may come late, when another
  // request has the place or somebody else does this one: then it changes nothing. An attempt that
  // does not shut out others says by `begun` which one it is.

  /// What it got.
  void conclude(tx& t, const std::string& answer, const std::optional<int64_t>& begun = {}) const;

  /// As `note_refusal`; an answer that it has got already stays.
  void conclude_refused(tx& t, const request_error& why,
                        const std::optional<int64_t>& begun = {}) const;

  /// Forgets it if it has no answer, so that it may be tried again.
  void forget(tx& t, const std::optional<int64_t>& begun = {}) const;

  /// What it is called among the things in hand.
  std::string name() const;

  /// The error for whoever repeats it while it is not done (conflict).
  request_error still_being_done() const;

  /// May whoever repeats it take the place of the one who asked before?
  bool is_of_place() const { return key_.number != 0; }

private:
  request_key key_;
  const method* about_;
  std::string digest_; ///< tells requests apart
};

/// The key of a place of a client; `server` is the process that the client has started.
std::string key_of_place(int64_t server, int64_t place);

/// Forgets what was asked in the places of a client that has gone.
void forget_places(tx& t, int64_t server);

/// From now on a client behind a bridge is answered in that epoch; in no earlier one.
void note_epoch(tx& t, int64_t server, int64_t epoch);

/// Forgets clients that died without a word, with their places. `any_dead_client`: are there some?
bool any_dead_client(tx& t);
void forget_dead_clients(tx& t);

/// Runs `work` unless its request_key was answered before; then that answer is given again.
template <request M, class Work>
typename M::result once_per_key(tx& t, const call<M>& asked, Work work) {
  auto key = keyed_request::of(asked.params, asked.from);
  if (!key)
    return work();
  if (auto answer = key->find_earlier(t).answer)
    return from_json<typename M::result>(json::parse(*answer));
  auto result = work();
  key->keep_answer(t, to_json_text(result));
  return result;
}

/// What to do when the work of `once_per_key` was refused and undone; nothing if there is no need.
template <request M>
std::function<void(tx&, const request_error&)> refusal_noter(const call<M>& asked) {
  auto key = keyed_request::of(asked.params, asked.from);
  if (!key || !key->is_of_place())
    return {};
  return [key = *key, from = asked.from](tx& t, const request_error& why) {
    t.asked_by(from);
    key.note_refusal(t, why);
  };
}

} // namespace orch
