#pragma once

#include "actors/events.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace orch {

/// May what a resource shows be different after these changes? Rather yes than no.
bool may_have_changed(const std::string& uri, const seen_changes& changes);

/// The resources that one MCP client wants to hear of. Follows the events of the repository while
/// there is one; each resource is told of at most once in 100 ms, and always after its last change.
/// Belongs to the actor `self`, whose thread makes all calls and runs all callbacks.
class subscriptions {
public:
  /// `ticket` names it to the owner of events; `tell` is called for a resource that changed.
  subscriptions(caf::event_based_actor* self, uint64_t ticket,
                std::function<void(const std::string& uri)> tell);
  ~subscriptions() { *alive_ = false; }
  subscriptions(const subscriptions&) = delete;
  subscriptions& operator=(const subscriptions&) = delete;

  /// The owner of events; null while it is being restarted.
  void use(event_actor owner);

  /// `ready` runs once no later change can be missed.
  void add(const std::string& uri, const std::function<void()>& ready);
  void remove(const std::string& uri);

private:
  void follow();
  void take(const seen_changes& changes);

  caf::event_based_actor* self_;
  uint64_t ticket_;
  std::function<void(const std::string&)> tell_;
  event_actor owner_;
  std::set<std::string> wanted_;
  std::vector<std::function<void()>> not_ready_;
  std::optional<int64_t> since_; ///< none: it is not known yet where to begin
  bool following_ = false;
  bool rests_ = false; ///< somebody was just told something
  uint64_t round_ = 0; ///< answers of former rounds no longer count
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace orch
