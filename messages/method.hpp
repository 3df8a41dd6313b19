#pragma once

#include "messages/record.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orch {

/// What answering a method touches; decides where it runs and what may overlap it.
enum class access : uint8_t {
  read,   ///< rows as they are; may run beside a writer
  settle, ///< a read whose answer depends on the time, so that leases are ended first
  write,  ///< rows, in one transaction
  effect, ///< rows and something outside the database: git, files; overlaps nothing
};

/// The longest request_key, in bytes.
constexpr std::size_t longest_request_key = 500;

/// What a caller sees of a method.
struct method {
  std::string_view name;
  std::string_view doc;
  access touches;
  /// Has `wait_seconds` or `timeout_seconds`: while that is not 0, held open and overtaken by later
  /// requests.
  bool may_wait = false;
  bool destructive = false; ///< something may be lost by it
  bool only_looks = false;  ///< an effect that changes nothing

  bool writes() const {
    return touches == access::write || (touches == access::effect && !only_looks);
  }
};

/// The parameters of one method, which also name the method and its result.
template <class T>
concept request = record<T> && record<typename T::result> && requires {
  { T::about } -> std::convertible_to<method>;
};

/// The name under which a request is done once, however often it is asked.
struct request_key {
  std::string name;
  /// 0: the client gave the name. Else it is that of a place, which a client behind a bridge uses
  /// for one request after the other; this is the request's number.
  int64_t number = 0;
};

/// Who asks, and how the answer is to be given.
struct caller {
  uint64_t ticket = 0;  ///< of this request, unique in the process; names it when it is cancelled
  bool settled = true;  ///< nothing this connection wrote is still unanswered
  bool lasting = false; ///< a connection that keeps its sessions alive while it lives
  /// The process whose life keeps these sessions alive, as `presence` knows it; 0: this server.
  int64_t server = 0;
  /// Which time it is that this process's client has found somebody to answer it; 0: it is never
  /// answered elsewhere. Nothing is done for an earlier time any more (`must_be_answered_here`).
  int64_t epoch = 0;
  bool repeated = false; ///< it may have been begun by whoever answered before
  std::optional<orch::request_key> request_key{}; ///< do it once, however often it is asked
  std::optional<std::string> client{}; ///< what the client says of itself; a hint, not trusted
  std::optional<int64_t> thread_id{};  ///< the agent thread that started this server, if one did
  std::optional<int64_t> session_id{}; ///< the session that asks, as far as the parameters say
};

/// A request on its way to the actor that owns the method.
template <request M>
struct call {
  call() = default;
  explicit call(M params, caller from = {}) : params(std::move(params)), from(std::move(from)) {}

  M params;
  caller from;
};

/// The methods that one actor answers.
template <request... Ms>
struct method_list {};

} // namespace orch
