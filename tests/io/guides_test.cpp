#include "io/guides.hpp"
#include "messages/catalog.hpp"
#include "messages/tools.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <regex>

using namespace orch;

namespace {

/// The methods whose tools a text names.
std::vector<std::string_view> methods_named_in(const std::string& text) {
  std::vector<std::string_view> named;
  for (const auto& m : catalog()) {
    std::string tool{m.about->name};
    std::replace(tool.begin(), tool.end(), '.', '_');
    if (std::regex_search(text, std::regex{"(^|[^a-z_])" + tool + "($|[^a-z_])"}))
      named.push_back(m.about->name);
  }
  return named;
}

} // namespace

TEST_CASE("guides: a role's guide names only tools that the role has", "[guides]") {
  for (const auto& guide : guides()) {
    auto profile = find_profile(guide.name == "mirror-manager" ? "mirror" : guide.name);
    REQUIRE(profile);
    auto named = methods_named_in(std::string{guide.text});
    CHECK_FALSE(named.empty());
    for (auto method : named) {
      INFO(guide.name << " names " << method);
      CHECK(std::find(profile->methods.begin(), profile->methods.end(), method)
            != profile->methods.end());
    }
  }
}
