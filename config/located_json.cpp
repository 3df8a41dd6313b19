#include "config/located_json.hpp"

#include "io/json_text.hpp"
#include "messages/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace orch {

namespace {

/// Goes over a text and keeps book of how far the parser is.
class followed_text {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  followed_text(const char* at, text_place& read) : at_{at}, read_{&read} {}

  reference operator*() const { return *at_; }
  bool operator==(const followed_text& other) const { return at_ == other.at_; }

  // The line of what comes last does not count yet: behind a number the parser reads one further.
  followed_text& operator++() {
    if (read_->byte > 0 && at_[-1] == '\n')
      ++read_->line;
    ++read_->byte;
    ++at_;
    return *this;
  }

private:
  const char* at_;
  text_place* read_;
};

/// The parser's words without its number, its line and all but the end of what it has just read.
std::string parser_words(std::string_view what) {
  constexpr std::string_view last_read = "; last read: '";
  constexpr std::size_t most = 40;
  auto from = what.find(" - ");
  std::string words{from == std::string_view::npos ? what.substr(what.find("] ") + 2)
                                                   : what.substr(from + 3)};
  if (auto begin = words.find(last_read); begin != std::string::npos) {
    begin += last_read.size();
    auto end = std::min(words.rfind("'; expected "), words.size() - 1);
    auto shown = std::min(most, end - begin);
    std::string near;
    encode_text(near, std::string_view{words}.substr(end - shown, shown));
    words.replace(begin - 1, end + 2 - begin, near);
  }
  for (std::string_view close : {"; expected '}'", "; expected ']'"})
    if (words.ends_with(close))
      words.insert(words.size() - 3, "',' or ");
  if (words == "unexpected '}'; expected string literal"
      || words == "unexpected ']'; expected '[', '{', or a literal")
    words += "; is there a comma too many before it?";
  return std::string{beginning_of(words, 300)};
}

/// Makes a `located` of what the parser finds.
class builder : public nlohmann::json_sax<json> {
public:
  explicit builder(const text_place& read) : read_{read} {}

  located root;
  std::string failure; ///< empty: none

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }

  bool key(string_t& value) override {
    key_ = std::move(value);
    key_at_ = read_;
    return true;
  }

  bool start_object(std::size_t /*size*/) override { return open(json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& e) override {
    failure = "not valid JSON: " + parser_words(e.what());
    return false;
  }

private:
  located& put(json value) {
    auto& made = open_.empty() ? root : open_.back()->parts.emplace_back();
    made.value = std::move(value);
    made.at = read_;
    if (!open_.empty() && open_.back()->value.is_object()) {
      made.key = std::exchange(key_, {});
      made.key_at = key_at_;
    }
    return made;
  }

  bool add(json value) {
    put(std::move(value));
    return true;
  }

  bool open(json value) {
    if (open_.size() == deepest_json) {
      failure = fmt::format("nested deeper than {} levels", deepest_json);
      return false;
    }
    open_.push_back(&put(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const text_place& read_;
  std::vector<located*> open_; ///< outermost first; only the last one's parts grow
  std::string key_;
  text_place key_at_;
};

} // namespace

located_text read_located(std::string_view text) {
  text_place read;
  builder made{read};
  json::sax_parse(followed_text{text.data(), read}, followed_text{text.data() + text.size(), read},
                  &made, json::input_format_t::json, true, /*ignore_comments=*/true);
  return {std::move(made.root), std::move(made.failure), read};
}

const located* part_of(const located& object, std::string_view key) {
  for (const auto& part : object.parts)
    if (object.value.is_object() && part.key == key)
      return &part;
  return nullptr;
}

json plain(const located& from) {
  auto made = from.value;
  for (const auto& part : from.parts)
    if (made.is_object())
      made[part.key] = plain(part);
    else
      made.push_back(plain(part));
  return made;
}

} // namespace orch
