#pragma once

#include "storage/tx.hpp"

namespace orch {

/// What a request of that key is called among the things in hand.
std::string name_of_key(const std::string& key);

/// The answer that a request of that key got before, as JSON text, if it was answered in the last
/// 24 h. Throws conflict if the key was used for another request, or is being worked on right now.
std::optional<std::string> earlier_answer(tx& t, const std::string& key, const method& about,
                                          const std::string& params);

/// Notes that a request is being done, or (with `answer`) what it got.
void keep_answer(tx& t, const std::string& key, const method& about, const std::string& params,
                 const std::optional<std::string>& answer);

/// Forgets a request that failed, so that it may be tried again.
void forget_answer(tx& t, const std::string& key);

/// Runs `work` unless its request_key was answered before; then that answer is given again.
template <request M, class Work>
typename M::result once_per_key(tx& t, const call<M>& asked, Work work) {
  if (!asked.from.request_key)
    return work();
  const auto& key = *asked.from.request_key;
  auto params = to_json_text(asked.params);
  if (auto answer = earlier_answer(t, key, M::about, params))
    return from_json<typename M::result>(json::parse(*answer));
  auto result = work();
  keep_answer(t, key, M::about, params, to_json_text(result));
  return result;
}

} // namespace orch
