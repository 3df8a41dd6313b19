#pragma once

#include "storage/tx.hpp"

namespace orch {

/// What a request of that key is called among the things in hand.
std::string name_of_key(const std::string& key);

/// What became of an earlier request of the same key, in the last 24 h.
struct earlier_request {
  std::optional<std::string> answer; ///< as JSON text
  bool being_done = false;           ///< by a server that lives
  std::optional<int64_t> begun;      ///< the row that it made before its server died
};

/// Throws conflict if the key was used for another request.
earlier_request find_earlier(tx& t, const std::string& key, const method& about,
                             const std::string& params);

/// The error for a request that is repeated while the first one is not done (conflict).
request_error still_being_done(const std::string& key);

/// Notes that a request is being done, or (with `answer`) what it got.
void keep_answer(tx& t, const std::string& key, const method& about, const std::string& params,
                 const std::optional<std::string>& answer);

/// Notes the row that a request of that key has made, in the transaction that makes it.
void note_begun(tx& t, const std::string& key, int64_t row_id);

/// Forgets a request that failed, so that it may be tried again.
void forget_answer(tx& t, const std::string& key);

/// Runs `work` unless its request_key was answered before; then that answer is given again.
template <request M, class Work>
typename M::result once_per_key(tx& t, const call<M>& asked, Work work) {
  if (!asked.from.request_key)
    return work();
  const auto& key = *asked.from.request_key;
  auto params = to_json_text(asked.params);
  if (auto answer = find_earlier(t, key, M::about, params).answer)
    return from_json<typename M::result>(json::parse(*answer));
  auto result = work();
  keep_answer(t, key, M::about, params, to_json_text(result));
  return result;
}

} // namespace orch
