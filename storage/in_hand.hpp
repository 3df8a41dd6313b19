#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace orch {

/// What this process is doing right now, by name. The database says which server has begun
/// something; whether a server that lives still works on it (rather than having lost it when its
/// actors were restarted) is known here. Safe in any thread.
class in_hand {
public:
  /// In hand as long as a copy of it lives.
  using token = std::shared_ptr<void>;

  /// Takes it in hand; of several tokens of one name the last one counts.
  token take(const std::string& name) const {
    auto names = names_;
    {
      std::lock_guard lock{names->guard};
      names->all.insert(name);
    }
    return {nullptr, [names, name](void*) {
              std::lock_guard lock{names->guard};
              names->all.erase(names->all.find(name));
            }};
  }

  bool has(const std::string& name) const {
    std::lock_guard lock{names_->guard};
    return names_->all.contains(name);
  }

private:
  struct guarded_names {
    std::mutex guard;
    std::multiset<std::string> all;
  };

  std::shared_ptr<guarded_names> names_ = std::make_shared<guarded_names>();
};

} // namespace orch
