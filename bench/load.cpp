#include "load.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

namespace bench {

namespace {

constexpr std::size_t read_size = 256U << 10;
constexpr int silence_ms = 30'000; // that long without an answer is a failure
constexpr int little = 64;         // in flight on a connection: worth waiting for at the end

/// The id in `{"id":7,…` or `{"jsonrpc":"2.0","id":7,…`.
uint64_t id_of(std::string_view line) {
  auto at = line.find("\"id\":");
  uint64_t id = 0;
  if (at != std::string_view::npos)
    std::from_chars(line.data() + at + 5, line.data() + line.size(), id);
  return id;
}

bool is_error(std::string_view line) {
  return line.substr(0, 64).find("\"error\":") != std::string_view::npos;
}

/// One place of those in flight.
struct place {
  uint64_t id = 0;
  int part = 0;
  bool open = false;
  steady::time_point began;
};

/// One connection with what is in flight on it.
class lane {
public:
  lane(server& to, const workload& work, const load_plan& plan, load_result& result)
    : server_{to}, work_{work}, most_{plan.most}, result_{result},
      places_(static_cast<std::size_t>(plan.in_flight)) {}

  void begin() {
    now_ = steady::now();
    for (std::size_t i = 0; i < places_.size(); ++i) {
      places_[i].id = i + 1;
      begin_next(places_[i]);
    }
    flush();
  }

  /// From now on counts.
  void count() { counts_ = true; }
  /// Begins nothing more.
  void stop() { most_ = 0; }

  bool idle() const { return open_ == 0; }
  pollfd wanted() const { return {server_.output(), POLLIN, 0}; }
  bool has_unsent() const { return sent_ < out_.size(); }
  int input() const { return server_.input(); }
  void discard() { server_.kill(); }
  uint64_t counted() const { return counted_; }

  void flush() {
    while (sent_ < out_.size()) {
      auto count = ::write(server_.input(), out_.data() + sent_, out_.size() - sent_);
      if (count >= 0)
        sent_ += static_cast<std::size_t>(count);
      else if (errno == EAGAIN)
        return;
      else if (errno != EINTR)
        throw std::system_error{errno, std::generic_category(), "the server's input"};
    }
    out_.clear();
    sent_ = 0;
  }

  void read_some() {
    if (in_.size() < used_ + read_size)
      in_.resize(used_ + read_size);
    auto count = ::read(server_.output(), in_.data() + used_, read_size);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (count <= 0)
      throw std::runtime_error{"the server ended"};
    now_ = steady::now();
    take_lines(static_cast<std::size_t>(count));
    flush();
  }

private:
  void take_lines(std::size_t fresh) {
    auto line = in_.data();
    auto from = in_.data() + used_;
    auto end = from + fresh;
    while (auto newline =
             static_cast<char*>(std::memchr(from, '\n', static_cast<std::size_t>(end - from)))) {
      take_answer({line, static_cast<std::size_t>(newline - line)});
      line = from = newline + 1;
    }
    used_ = static_cast<std::size_t>(end - line);
    std::memmove(in_.data(), line, used_);
  }

  void take_answer(std::string_view line) {
    auto& at = places_[(id_of(line) - 1) % places_.size()];
    if (!at.open || at.id != id_of(line))
      throw std::runtime_error{fmt::format("not an answer to what was asked: {}", line)};
    auto failed = is_error(line);
    if (failed && result_.errors++ == 0)
      result_.first_error = line;
    at.id += places_.size();
    if (!failed && ++at.part < work_.parts) {
      send(at, line);
      return;
    }
    finish(at);
    begin_next(at);
  }

  void finish(place& at) {
    --open_;
    at.open = false;
    if (!counts_)
      return;
    ++counted_;
    result_.latencies.push_back(std::chrono::duration<float, std::micro>(now_ - at.began).count());
  }

  void begin_next(place& at) {
    at.part = 0;
    if (begun_ >= most_)
      return;
    ++begun_;
    ++open_;
    at.open = true;
    at.began = now_;
    send(at, {});
  }

  void send(const place& at, std::string_view answer) {
    out_ += "{\"id\":";
    fmt::format_to(std::back_inserter(out_), FMT_STRING("{},"), at.id);
    work_.request(out_, {at.id, at.part, answer});
    out_ += "}\n";
  }

  server& server_;
  const workload& work_;
  uint64_t most_;
  load_result& result_;
  std::vector<place> places_;
  steady::time_point now_;
  std::vector<char> in_;
  std::size_t used_ = 0;
  std::string out_;
  std::size_t sent_ = 0;
  uint64_t begun_ = 0;
  uint64_t counted_ = 0;
  int open_ = 0;
  bool counts_ = false;
};

/// Serves whatever is ready, until there is nothing in flight or the time has come.
void serve_until(std::vector<lane>& lanes, steady::time_point until) {
  std::vector<pollfd> wanted;
  while (true) {
    wanted.clear();
    auto busy = false;
    for (const auto& x : lanes) {
      wanted.push_back(x.wanted());
      wanted.push_back({x.has_unsent() ? x.input() : -1, POLLOUT, 0});
      busy = busy || !x.idle();
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()).count();
    if (!busy || left <= 0)
      return;
    auto timeout = std::min<int64_t>(left, silence_ms);
    auto ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(timeout));
    check_interrupted();
    if (ready == 0 && timeout == silence_ms)
      throw std::runtime_error{"the server does not answer"};
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      if (wanted[2 * i].revents != 0)
        lanes[i].read_some();
      if (wanted[2 * i + 1].revents != 0)
        lanes[i].flush();
    }
  }
}

void end(std::vector<lane>& lanes, const load_plan& plan) {
  for (auto& x : lanes)
    x.stop();
  if (plan.in_flight <= little)
    serve_until(lanes, in_seconds(silence_ms / 1'000.0));
  for (auto& x : lanes)
    if (!x.idle())
      x.discard();
}

} // namespace

load_result put_under_load(const std::vector<server*>& servers, const workload& work,
                           const load_plan& plan) {
  load_result result;
  std::vector<lane> lanes;
  lanes.reserve(servers.size());
  for (auto to : servers)
    lanes.emplace_back(*to, work, plan, result);
  auto warm = in_seconds(plan.warm_up);
  for (auto& x : lanes)
    x.begin();
  serve_until(lanes, warm);
  for (auto& x : lanes)
    x.count();
  auto start = steady::now();
  serve_until(lanes, in_seconds(plan.seconds));
  result.seconds = seconds_since(start);
  result.operations = result.latencies.size();
  for (const auto& x : lanes)
    result.per_connection.push_back(x.counted());
  end(lanes, plan);
  return result;
}

} // namespace bench
