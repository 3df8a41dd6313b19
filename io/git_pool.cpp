#include "io/git_pool.hpp"

#include <mutex>
#include <vector>

namespace orch {

struct git_pool::shelf {
  std::function<git()> open;
  std::mutex guard;
  std::vector<std::unique_ptr<git>> idle;

  std::unique_ptr<git> take() {
    std::lock_guard lock{guard};
    if (idle.empty())
      return nullptr;
    auto taken = std::move(idle.back());
    idle.pop_back();
    return taken;
  }

  void put_back(git* lent) {
    std::unique_ptr<git> returned{lent};
    std::lock_guard lock{guard};
    idle.push_back(std::move(returned));
  }
};

git_pool::git_pool(std::function<git()> open) : shelf_{std::make_shared<shelf>()} {
  shelf_->open = std::move(open);
}

std::shared_ptr<git> git_pool::take() {
  auto lent = shelf_->take();
  if (!lent)
    lent = std::make_unique<git>(shelf_->open());
  return {lent.release(), [shelf = shelf_](git* x) { shelf->put_back(x); }};
}

} // namespace orch
