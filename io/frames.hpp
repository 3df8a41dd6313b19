#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace orch {

/// One message of the input, without what framed it.
struct frame {
  enum class form : uint8_t {
    line,
    framed,    ///< came with a Content-Length header, and is answered with one
    too_large, ///< over the limit; `text` holds only its beginning
  };

  form how = form::line;
  std::string text;
};

/// Cuts a stream of bytes into messages: lines, or bodies behind `Content-Length:` headers.
/// A `\r` before the newline and a byte order mark at the start are dropped; blank lines skipped.
class frame_splitter {
public:
  using on_frame = std::function<void(frame)>;

  /// `most`: bytes that one message may have.
  explicit frame_splitter(std::size_t most) : most_{most} {}

  void feed(std::string_view bytes, const on_frame& emit);

  /// The stream has ended: the last line counts without its newline.
  void finish(const on_frame& emit);

  /// Bytes held of a message that is not complete yet.
  std::size_t held() const { return text_.size(); }

private:
  void take_line_part(std::string_view part);
  void end_line(const on_frame& emit);
  std::string_view take_body_part(std::string_view bytes, const on_frame& emit);
  bool take_header(const std::string& line);

  std::size_t most_;
  std::string text_;
  bool dropping_ = false; ///< the line is over the limit; the rest of it is skipped
  bool in_headers_ = false;
  bool at_start_ = true;
  std::size_t body_left_ = 0; ///< bytes of a framed body still to come
  std::size_t body_size_ = 0;
};

} // namespace orch
