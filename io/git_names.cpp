#include "io/git.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

/// Some file systems take no longer name, and git puts ".lock" behind it.
constexpr std::size_t longest_component = 250;

bool is_unusable(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F
         || std::string_view{" ~^:?*[\\"}.find(c) != std::string_view::npos;
}

std::optional<std::string> bad_component(std::string_view part) {
  if (part.empty())
    return "it has an empty part: a slash at its start or end or two in a row";
  if (part.starts_with('.'))
    return fmt::format("its part \"{}\" starts with a dot", part);
  if (part.ends_with(".lock"))
    return fmt::format("its part \"{}\" ends with .lock", part);
  if (part.size() > longest_component)
    return fmt::format("it has a part longer than {} bytes", longest_component);
  return std::nullopt;
}

} // namespace

std::optional<std::string> git::bad_branch_name(std::string_view branch) {
  if (branch.empty())
    return "it is empty";
  if (branch.starts_with('-'))
    return "it starts with -";
  if (branch == "HEAD" || branch == "@")
    return "git uses that name for what is checked out";
  auto bad = std::ranges::find_if(branch, is_unusable);
  if (bad != branch.end() && (static_cast<unsigned char>(*bad) < 0x20 || *bad == 0x7F))
    return "it holds a control character";
  if (bad != branch.end())
    return fmt::format("it holds \"{}\"", *bad);
  for (std::string_view phrase : {"..", "@{"})
    if (branch.find(phrase) != std::string_view::npos)
      return fmt::format("it holds \"{}\"", phrase);
  if (branch.ends_with('.'))
    return "it ends with a dot";
  for (auto rest = branch;;) {
    auto slash = rest.find('/');
    if (auto why = bad_component(rest.substr(0, slash)))
      return why;
    if (slash == std::string_view::npos)
      return std::nullopt;
    rest.remove_prefix(slash + 1);
  }
}

} // namespace orch
