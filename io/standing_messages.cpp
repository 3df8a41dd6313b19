#include "io/standing_messages.hpp"

namespace orch {

namespace {

constexpr std::string_view subscription = "subscribed to ";

std::string uri_of(const envelope& asked) {
  auto uri = asked.params.find("uri");
  return uri != asked.params.end() && uri->is_string() ? uri->get<std::string>() : std::string{};
}

} // namespace

std::optional<std::string> id_to_cancel(const envelope& asked) {
  if (asked.problem || asked.method != "notifications/cancelled")
    return {};
  auto id = asked.params.find("requestId");
  return id == asked.params.end() ? std::nullopt : std::optional{id->dump()};
}

bool standing_messages::note(const envelope& asked, const std::string& text) {
  if (asked.problem)
    return false;
  const auto& method = asked.method;
  if (method == "initialize") {
    forget(method);
    kept_.insert(kept_.begin(), {method, text});
  } else if (method == "notifications/initialized") {
    forget(method);
    kept_.push_back({method, text});
  } else if (auto uri = uri_of(asked); !uri.empty() && method == "resources/subscribe") {
    auto what = std::string{subscription} + uri;
    forget(what);
    kept_.push_back({what, text});
  } else if (!uri.empty() && method == "resources/unsubscribe") {
    forget(std::string{subscription} + uri);
  } else {
    return false;
  }
  return true;
}

std::vector<std::string> standing_messages::all() const {
  std::vector<std::string> messages;
  for (const auto& x : kept_)
    messages.push_back(x.text);
  return messages;
}

std::vector<std::string> standing_messages::subscribed() const {
  std::vector<std::string> uris;
  for (const auto& x : kept_)
    if (x.what.starts_with(subscription))
      uris.push_back(x.what.substr(subscription.size()));
  return uris;
}

void standing_messages::forget(const std::string& what) {
  std::erase_if(kept_, [&](const auto& x) { return x.what == what; });
}

} // namespace orch
