#include "messages/timestamp.hpp"

#include <algorithm>

namespace orch {

namespace {

constexpr int64_t second = 1'000'000;
constexpr int64_t day = 86'400 * second;
constexpr timestamp first{-62'167'219'200 * second};          // 0000-01-01
constexpr timestamp last{253'402'300'799 * second + 999'999}; // 9999-12-31

/// Writes `value` as so many decimal digits from `at` on.
void put_digits(std::string& text, std::size_t at, std::size_t digits, int64_t value) {
  for (auto i = at + digits; i-- > at; value /= 10)
    text[i] = static_cast<char>('0' + value % 10);
}

/// Reads a time text from left to right; once something does not fit, nothing does any more.
class time_reader {
public:
  explicit time_reader(std::string_view text) : rest_{text} {}

  /// Exactly so many decimal digits.
  int number(std::size_t digits) {
    int value = 0;
    auto fits = rest_.size() >= digits;
    for (std::size_t i = 0; fits && i < digits; ++i) {
      fits = rest_[i] >= '0' && rest_[i] <= '9';
      value = value * 10 + (rest_[i] - '0');
    }
    take(fits, digits);
    return value;
  }

  /// One of these characters; says which, or 0.
  char one_of(std::string_view accepted) {
    auto fits = !rest_.empty() && accepted.find(rest_.front()) != std::string_view::npos;
    auto found = fits ? rest_.front() : '\0';
    take(fits, 1);
    return found;
  }

  /// The part of a second behind a dot, if there is one, in microseconds; finer digits are cut off.
  int64_t fraction() {
    if (rest_.empty() || rest_.front() != '.')
      return 0;
    std::size_t digits = 1;
    int64_t value = 0;
    for (int64_t unit = second / 10; digits < rest_.size() && is_digit(rest_[digits]); unit /= 10)
      value += unit * (rest_[digits++] - '0');
    take(digits > 1, digits);
    return value;
  }

  bool fits() const { return fits_; }
  bool at_end() const { return fits_ && rest_.empty(); }

private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  void take(bool fits, std::size_t count) {
    fits_ = fits_ && fits;
    rest_.remove_prefix(fits_ ? count : rest_.size());
  }

  std::string_view rest_;
  bool fits_ = true;
};

/// The offset from UTC in seconds: `Z`, `+09:00` and the like.
int64_t read_offset(time_reader& in) {
  auto sign = in.one_of("Zz+-");
  if (sign != '+' && sign != '-')
    return 0;
  auto hours = in.number(2);
  in.one_of(":");
  auto seconds = hours * 3'600 + in.number(2) * 60;
  return sign == '-' ? -seconds : seconds;
}

} // namespace

std::string to_text(timestamp at) {
  auto us = std::clamp(at, first, last).us;
  auto days = us / day - (us % day < 0 ? 1 : 0);
  auto rest = us - days * day;
  std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  // Each answer has several times, and a formatting library takes ten times as long for them.
  std::string text = "0000-00-00T00:00:00.000000Z";
  put_digits(text, 0, 4, static_cast<int>(date.year()));
  put_digits(text, 5, 2, static_cast<unsigned>(date.month()));
  put_digits(text, 8, 2, static_cast<unsigned>(date.day()));
  put_digits(text, 11, 2, rest / (3'600 * second));
  put_digits(text, 14, 2, rest / (60 * second) % 60);
  put_digits(text, 17, 2, rest / second % 60);
  put_digits(text, 20, 6, rest % second);
  return text;
}

std::optional<timestamp> parse_timestamp(std::string_view text) {
  time_reader in{text};
  auto year = in.number(4);
  in.one_of("-");
  auto month = static_cast<unsigned>(in.number(2));
  in.one_of("-");
  auto day_of_month = static_cast<unsigned>(in.number(2));
  in.one_of("Tt ");
  auto hour = in.number(2);
  in.one_of(":");
  auto minute = in.number(2);
  in.one_of(":");
  auto seconds = in.number(2);
  auto part = in.fraction();
  auto offset = read_offset(in);
  std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                   std::chrono::day{day_of_month}};
  if (!in.at_end() || !date.ok() || hour > 23 || minute > 59 || seconds > 60)
    return {};
  int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  auto in_day = hour * 3'600 + minute * 60 + seconds - offset;
  return timestamp{days * day + in_day * second + part};
}

timestamp plus_seconds(timestamp at, int64_t seconds) {
  auto room = (last.us - at.us) / second;
  return seconds >= room ? last : timestamp{at.us + seconds * second};
}

} // namespace orch
