#include "io/subscriptions.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <charconv>

namespace orch {

namespace {

constexpr std::chrono::milliseconds between_notices{100};

/// What changes a resource: events that are about its id, and kinds of events.
struct dependency {
  std::string_view uri; ///< of a resource, or the beginning of those with an id
  std::string_view id;
  std::vector<std::string_view> kinds;
};

const std::vector<dependency>& dependencies() {
  static const std::vector<dependency> all{
    {"orch://status", {}, {""}},
    {"orch://mirror", {}, {""}},
    {"orch://locks", {}, {"lock.", "session.attached"}},
    {"orch://merge-queue",
     {},
     {"merge.", "main_lock.", "review.", "worktree.", "session.attached"}},
    {"orch://tasks/", "task_id", {"session.attached"}},
    {"orch://threads/", "thread_id", {"session.attached"}},
    {"orch://sessions/",
     "session_id",
     {"session.attached", "worktree.", "case.", "step.", "task."}},
  };
  return all;
}

bool has_kind(const seen_changes& changes, const std::vector<std::string_view>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](std::string_view beginning) {
    auto first = changes.kinds.lower_bound(std::string{beginning});
    return first != changes.kinds.end() && first->starts_with(beginning);
  });
}

int64_t id_in(std::string_view digits) {
  int64_t id = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), id);
  return id;
}

} // namespace

bool may_have_changed(const std::string& uri, const seen_changes& changes) {
  if (changes.all)
    return true;
  for (const auto& x : dependencies()) {
    if (x.id.empty() ? uri != x.uri : !uri.starts_with(x.uri))
      continue;
    return has_kind(changes, x.kinds)
           || (!x.id.empty()
               && changes.ids.contains(
                 {std::string{x.id}, id_in(std::string_view{uri}.substr(x.uri.size()))}));
  }
  return false;
}

subscriptions::subscriptions(caf::event_based_actor* self, uint64_t ticket,
                             std::function<void(const std::string& uri)> tell)
  : self_{self}, ticket_{ticket}, tell_{std::move(tell)} {
}

void subscriptions::use(event_actor owner) {
  owner_ = std::move(owner);
  following_ = false;
  ++round_;
  follow();
}

void subscriptions::add(const std::string& uri, const std::function<void()>& ready) {
  wanted_.insert(uri);
  if (since_)
    ready();
  else
    not_ready_.push_back(ready);
  follow();
}

void subscriptions::remove(const std::string& uri) {
  wanted_.erase(uri);
  if (!wanted_.empty() || !not_ready_.empty() || !following_)
    return;
  caf::anon_send(owner_, cancel_wait{ticket_});
  following_ = false;
  since_.reset();
  ++round_;
}

void subscriptions::follow() {
  if (following_ || !owner_ || (wanted_.empty() && not_ready_.empty()))
    return;
  following_ = true;
  auto rest = std::exchange(rests_, false) ? between_notices : std::chrono::milliseconds{0};
  auto current = [this, alive = alive_, round = ++round_] { return *alive && round == round_; };
  self_->request(owner_, caf::infinite, follow_changes{ticket_, since_, rest})
    .then(
      [this, current](const seen_changes& changes) {
        if (current())
          take(changes);
      },
      [this, current](const caf::error&) {
        // The owner ends; `use` brings the next one.
        if (current())
          following_ = false;
      });
}

void subscriptions::take(const seen_changes& changes) {
  following_ = false;
  since_ = changes.next_since;
  for (const auto& ready : std::exchange(not_ready_, {}))
    ready();
  for (const auto& uri : wanted_) {
    if (!may_have_changed(uri, changes))
      continue;
    rests_ = true;
    tell_(uri);
  }
  if (wanted_.empty())
    since_.reset();
  follow();
}

} // namespace orch
