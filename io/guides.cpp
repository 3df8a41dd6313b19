#include "io/guides.hpp"

#include <algorithm>
#include <stdexcept>

namespace orch {

namespace {

constexpr std::string_view fence = "---\n";

/// The rest of the line of `front` that begins with `key`.
std::string_view value_of(std::string_view front, std::string_view key) {
  for (std::size_t at = 0; at < front.size();) {
    auto end = std::min(front.find('\n', at), front.size());
    auto line = front.substr(at, end - at);
    if (line.starts_with(key))
      return line.substr(key.size());
    at = end + 1;
  }
  return {};
}

/// Roles in the order in which an agent meets them; others follow by name.
std::size_t rank_of(std::string_view name) {
  constexpr std::string_view order[]{"root", "worker", "reviewer", "planner"};
  return static_cast<std::size_t>(std::ranges::find(order, name) - std::begin(order));
}

std::vector<guide> read_guides() {
  std::vector<guide> all;
  for (const auto& file : guide_files())
    all.push_back(read_guide(file));
  std::ranges::stable_sort(all, {}, [](const guide& g) { return rank_of(g.name); });
  return all;
}

} // namespace

guide read_guide(const guide_file& file) {
  auto end = file.content.find("\n---\n", fence.size() - 1);
  if (!file.content.starts_with(fence) || end == std::string_view::npos)
    throw std::logic_error{"guide " + std::string{file.name} + " has no front matter"};
  auto front = file.content.substr(fence.size(), end + 1 - fence.size());
  guide made{file.name, value_of(front, "name: "), value_of(front, "description: "),
             file.content.substr(end + 1 + fence.size()), file.content};
  if (made.skill.empty() || made.description.empty())
    throw std::logic_error{"guide " + std::string{file.name} + " has no name or description"};
  return made;
}

const std::vector<guide>& guides() {
  static const auto all = read_guides();
  return all;
}

} // namespace orch
