#include "io/frames.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace orch {

namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view header_name = "content-length:";

/// What is kept of a message over the limit: enough to find its id.
constexpr std::size_t kept_of_too_large = 4'096;

std::optional<std::size_t> content_length(std::string_view line) {
  if (line.size() <= header_name.size())
    return {};
  for (std::size_t i = 0; i < header_name.size(); ++i)
    if ((line[i] | 0x20) != header_name[i] && line[i] != header_name[i])
      return {};
  auto digits = line.substr(header_name.size());
  digits.remove_prefix(std::min(digits.find_first_not_of(" \t"), digits.size()));
  std::size_t length = 0;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  auto rest = digits.substr(static_cast<std::size_t>(end - digits.data()));
  if (failed != std::errc{} || rest.find_first_not_of(" \t") != std::string_view::npos)
    return {};
  return length;
}

} // namespace

void frame_splitter::feed(std::string_view bytes, const on_frame& emit) {
  while (!bytes.empty()) {
    if (body_left_ > 0) {
      bytes = take_body_part(bytes, emit);
      continue;
    }
    auto newline = bytes.find('\n');
    take_line_part(bytes.substr(0, newline));
    if (newline == std::string_view::npos)
      return;
    bytes.remove_prefix(newline + 1);
    end_line(emit);
  }
}

void frame_splitter::finish(const on_frame& emit) {
  if (body_left_ > 0) {
    body_left_ = 0;
    emit({frame::form::framed, std::move(text_)});
    text_.clear();
  } else if (!text_.empty() || dropping_) {
    end_line(emit);
  }
}

void frame_splitter::take_line_part(std::string_view part) {
  if (dropping_)
    return;
  text_ += part;
  if (text_.size() <= most_ + 1) // a \r that is dropped at the end does not count
    return;
  dropping_ = true;
  text_.resize(std::min(text_.size(), kept_of_too_large));
  text_.shrink_to_fit();
}

void frame_splitter::end_line(const on_frame& emit) {
  auto line = std::move(text_);
  text_.clear();
  if (std::exchange(dropping_, false)) {
    emit({frame::form::too_large, std::move(line)});
    return;
  }
  if (!line.empty() && line.back() == '\r')
    line.pop_back();
  if (std::exchange(at_start_, false) && line.starts_with(byte_order_mark))
    line.erase(0, byte_order_mark.size());
  if (take_header(line))
    return;
  if (line.find_first_not_of(" \t") == std::string::npos)
    return;
  if (line.size() > most_) {
    line.resize(std::min(line.size(), kept_of_too_large));
    emit({frame::form::too_large, std::move(line)});
    return;
  }
  emit({frame::form::line, std::move(line)});
}

bool frame_splitter::take_header(const std::string& line) {
  if (auto length = content_length(line)) {
    in_headers_ = true;
    body_size_ = *length;
    return true;
  }
  if (!in_headers_)
    return false;
  // Other headers are passed over; the blank line ends them.
  if (line.empty()) {
    in_headers_ = false;
    body_left_ = body_size_;
  }
  return true;
}

std::string_view frame_splitter::take_body_part(std::string_view bytes, const on_frame& emit) {
  auto count = std::min(bytes.size(), body_left_);
  auto too_large = body_size_ > most_;
  auto room = too_large ? kept_of_too_large - std::min(kept_of_too_large, text_.size()) : count;
  text_ += bytes.substr(0, std::min(count, room));
  body_left_ -= count;
  if (body_left_ == 0) {
    emit({too_large ? frame::form::too_large : frame::form::framed, std::move(text_)});
    text_.clear();
  }
  return bytes.substr(count);
}

} // namespace orch
