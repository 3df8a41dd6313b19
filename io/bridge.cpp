#include "io/bridge.hpp"

#include "io/bridge_door.hpp"
#include "io/log.hpp"

namespace orch {

namespace {

/// A supervisor that lives lets us in at once.
constexpr std::chrono::seconds time_to_let_in{1};

/// After such a silence it is asked for a sign of life, and has as long to give it.
constexpr std::chrono::seconds longest_silence{5};

} // namespace

std::unique_ptr<bridge> bridge::to(event_loop& loop, const std::filesystem::path& state_dir,
                                   const bridge_hello& hello, std::function<void(packet)> take) {
  auto socket = connect_to(supervisor_socket(state_dir));
  if (!socket.open())
    return {};
  std::unique_ptr<bridge> made{new bridge{loop, std::move(socket), std::move(take)}};
  made->send(packet::kind::hello, 0, 0, to_json_text(hello));
  return made;
}

bridge::bridge(event_loop& loop, descriptor socket, std::function<void(packet)> take)
  : loop_{loop}, take_{std::move(take)}, stream_{std::make_unique<packet_stream>(
                                           loop, std::move(socket),
                                           [this](packet p) { hear(std::move(p)); })} {
}

void bridge::end() {
  send(packet::kind::end);
  stream_->end_writing();
}

void bridge::hear(packet p) {
  heard_ = clock::now();
  pinged_ = false;
  if (p.what == packet::kind::hello) {
    open_ = true;
  } else if (p.what == packet::kind::refusal) {
    log_warning("not served by the supervisor of this repository but alone: {}", p.text);
    lost_ = refused_ = true;
  } else if (p.what == packet::kind::end) {
    ended_well_ = true;
  } else {
    take_(std::move(p));
  }
}

void bridge::run_round(bool wants_answers, bool awaits) {
  stream_->want(wants_answers);
  mind_silence(wants_answers && (awaits || !open_));
}

void bridge::mind_silence(bool awaits) {
  auto now = clock::now();
  if (!awaits)
    heard_ = now;
  auto patience = open_ ? longest_silence : time_to_let_in;
  if (now - heard_ >= patience) {
    if (!open_ || pinged_) {
      log_warning("the supervisor of this repository does not answer");
      lost_ = refused_ = true;
      return;
    }
    send(packet::kind::ping);
    pinged_ = true;
    heard_ = now;
  }
  if (awaits)
    loop_.wake_at(heard_ + patience);
}

} // namespace orch
