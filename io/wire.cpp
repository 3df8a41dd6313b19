#include "io/wire.hpp"

#include <fmt/format.h>

#include <array>

namespace orch {

namespace {

/// Deeper nesting than this is a parse_error (contract, section 2).
constexpr std::size_t deepest = 128;

/// Builds a JSON value without recursion, stops at too deep nesting, and remembers what the top
/// level says of id and dialect, so that even a message that breaks off can be answered by its id.
class reader : public nlohmann::json_sax<json> {
public:
  json root;
  std::string id;
  bool saw_jsonrpc = false;
  std::string problem;

  bool null() override { return put(nullptr, "null"); }
  bool boolean(bool x) override { return put(x, x ? "true" : "false"); }
  bool number_integer(number_integer_t x) override { return put(x, std::to_string(x)); }
  bool number_unsigned(number_unsigned_t x) override { return put(x, std::to_string(x)); }
  bool number_float(number_float_t x, const string_t& raw) override { return put(x, raw); }
  bool string(string_t& x) override {
    if (at_top("id"))
      encode_text(id, x);
    return put(std::move(x), {});
  }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& x) override {
    // A key given twice: the last one counts, also for what is remembered.
    key_ = std::move(x);
    if (stack_.size() == 1) {
      saw_jsonrpc = saw_jsonrpc || key_ == "jsonrpc";
      if (key_ == "id")
        id.clear();
    }
    return true;
  }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    std::string_view what = e.what();
    auto invalid = what.find("UTF-8") != std::string_view::npos;
    problem = fmt::format("{} at byte {}", invalid ? "invalid UTF-8" : "not JSON", position);
    return false;
  }

private:
  bool at_top(std::string_view name) const { return stack_.size() == 1 && key_ == name; }

  json* place(json value) {
    if (stack_.empty()) {
      root = std::move(value);
      return &root;
    }
    auto& into = *stack_.back();
    if (into.is_array()) {
      into.push_back(std::move(value));
      return &into.back();
    }
    auto& slot = into[key_];
    slot = std::move(value);
    return &slot;
  }

  bool put(json value, std::string_view raw) {
    if (!raw.empty() && at_top("id"))
      id = raw;
    place(std::move(value));
    return true;
  }

  bool open(json value) {
    if (stack_.size() >= deepest) {
      problem = fmt::format("nested deeper than {}", deepest);
      return false;
    }
    if (at_top("id"))
      id = "null";
    stack_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  std::vector<json*> stack_;
  std::string key_;
};

/// Moves what the top level says into the envelope and checks it.
void take_apart(envelope& message, json& root) {
  auto refuse = [&](const std::string& why, std::string_view field) {
    message.problem = request_error{errc::invalid_request, why};
    if (!field.empty())
      message.problem->data = {{"field", field}};
  };
  if (!root.is_object()) {
    refuse(root.is_array() ? "a request is an object; batches are not supported"
                           : "a request is an object with a method",
           {});
    return;
  }
  auto id = root.find("id");
  message.has_id = id != root.end();
  if (message.has_id && !(id->is_string() || id->is_number() || id->is_null())) {
    message.id = "null";
    refuse("id must be a string, a number or null", "id");
    return;
  }
  auto version = root.find("jsonrpc");
  if (version != root.end() && *version != "2.0") {
    refuse("jsonrpc must be \"2.0\"", "jsonrpc");
    return;
  }
  auto method = root.find("method");
  if (method == root.end() || !method->is_string()) {
    refuse(method == root.end() ? "method is missing" : "method must be a string", "method");
    return;
  }
  message.method = method->get<std::string>();
  if (auto repo = root.find("repo"); repo != root.end()) {
    if (!repo->is_string()) {
      refuse("repo must be a string", "repo");
      return;
    }
    message.repo = repo->get<std::string>();
  }
  if (is_protocol_method(message.method))
    message.how = dialect::jsonrpc;
  auto params = root.find("params");
  if (params == root.end() || params->is_null())
    return;
  if (!params->is_object())
    refuse("params must be an object", "params");
  else
    message.params = std::move(*params);
}

} // namespace

envelope read_envelope(const std::string& text) {
  reader in;
  auto complete = json::sax_parse(text, &in);
  envelope message;
  message.how = in.saw_jsonrpc ? dialect::jsonrpc : dialect::bare;
  if (!in.id.empty()) {
    message.id = in.id;
    message.has_id = true;
  }
  if (complete)
    take_apart(message, in.root);
  else
    message.problem = request_error{errc::parse_error, in.problem};
  return message;
}

envelope read_beginning(const std::string& text) {
  auto message = read_envelope(text);
  message.problem.reset();
  return message;
}

bool is_protocol_method(std::string_view method) {
  constexpr std::array<std::string_view, 8> prefixes{
    "notifications/", "tools/",      "resources/", "prompts/",
    "logging/",       "completion/", "server/",    "subscriptions/"};
  if (method == "initialize" || method == "ping")
    return true;
  for (auto prefix : prefixes)
    if (method.starts_with(prefix))
      return true;
  return false;
}

std::string result_line(const envelope& to, std::string_view result_json) {
  return fmt::format("{{{}\"id\":{},\"result\":{}}}",
                     to.how == dialect::jsonrpc ? R"("jsonrpc":"2.0",)" : "", to.id, result_json);
}

std::string error_object(const request_error& error) {
  std::string message;
  encode_text(message, error.what());
  return fmt::format(R"({{"code":"{}","message":{}{}}})", error_word(error.code), message,
                     error.data.is_null()
                       ? std::string{}
                       : ",\"data\":"
                           + error.data.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string error_line(const envelope& to, const request_error& error) {
  if (to.how == dialect::bare)
    return fmt::format(R"({{"id":{},"error":{}}})", to.id, error_object(error));
  auto data = error.data.is_object() ? error.data : json::object();
  data["code"] = error_word(error.code);
  std::string message;
  encode_text(message, error.what());
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":{},"message":{},"data":{}}}}})",
                     to.id, error_number(error.code), message,
                     data.dump(-1, ' ', false, json::error_handler_t::replace));
}

} // namespace orch
