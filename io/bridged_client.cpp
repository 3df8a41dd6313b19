#include "io/bridged_client.hpp"

#include "io/log.hpp"

#include <fmt/format.h>

namespace orch {

namespace {

/// A process that is killed lets go of its socket a little before its presence ends.
constexpr std::chrono::milliseconds time_to_die{100};

} // namespace

bridged_client::bridged_client(repository_host& host, event_loop& loop, descriptor socket,
                               std::function<bool(int64_t)> alive, connection_options base)
  : host_{host}, alive_{std::move(alive)}, options_{std::move(base)}, stream_{loop,
                                                                              std::move(socket),
                                                                              [this](packet p) {
                                                                                take(std::move(p));
                                                                              }} {
}

bridged_client::~bridged_client() {
  *alive_here_ = false;
}

void bridged_client::run_round(bool idle) {
  if (stream_.lost() && !std::exchange(cut_, true) && client_)
    client_->leave();
  if (client_)
    client_->go_on();
  auto room = stream_.unsent() < most_unread_answers;
  // The bridge keeps to its window; what it says beside messages has to be heard even so.
  stream_.want(!leaving_ && room);
  if (idle || stream_.unsent() >= worth_a_write)
    stream_.flush();
  if ((cut_ || (leaving_ && stream_.unsent() == 0)) && (!client_ || client_->has_left()))
    part();
}

void bridged_client::leave() {
  leaving_ = true;
  if (client_)
    client_->leave();
}

void bridged_client::take(packet p) {
  switch (p.what) {
  case packet::kind::hello:
    greet(p);
    return;
  case packet::kind::message:
  case packet::kind::repeat:
  case packet::kind::too_large:
    if (client_) {
      auto form = p.what == packet::kind::too_large ? frame::form::too_large : frame::form::line;
      client_->take({read_frame({form, std::move(p.text)}, options_.most_bytes),
                     {p.number},
                     static_cast<int64_t>(p.place),
                     p.what == packet::kind::repeat});
    }
    return;
  case packet::kind::stop_waiting:
    if (client_)
      client_->stop_waiting();
    return;
  case packet::kind::end:
    ended_ = true;
    return;
  case packet::kind::ping:
    stream_.send(packet::kind::pong);
    return;
  default:
    return;
  }
}

void bridged_client::greet(const packet& p) {
  auto refuse = [this](const std::string& why) {
    log_info("a server was not let in: {}", why);
    stream_.send(packet::kind::refusal, 0, 0, why);
    leaving_ = true;
  };
  bridge_hello hello;
  try {
    hello = from_json<bridge_hello>(json::parse(p.text));
  } catch (const std::exception& e) {
    refuse(fmt::format("its greeting cannot be read: {}", e.what()));
    return;
  }
  if (hello.protocol != bridge_protocol || hello.version != ORCH_VERSION) {
    refuse(
      fmt::format("the supervisor has version {}, the server {}", ORCH_VERSION, hello.version));
    return;
  }
  if (std::exchange(greeted_, true) || leaving_)
    return;
  options_.server = hello.server;
  options_.epoch = hello.epoch;
  options_.profile = hello.profile;
  options_.most_bytes = static_cast<std::size_t>(hello.most_bytes);
  options_.window = static_cast<std::size_t>(hello.window);
  options_.thread_id = hello.thread_id;
  host_.begin_epoch_then(hello.server, hello.epoch, [this, here = alive_here_](bool noted) {
    if (!*here || leaving_ || cut_)
      return;
    if (noted) {
      let_in();
    } else {
      stream_.send(packet::kind::refusal, 0, 0, "the supervisor cannot write right now");
      leaving_ = true;
    }
  });
}

void bridged_client::let_in() {
  auto send = [this](packet::kind what, const reply_address& to, std::string_view line) {
    stream_.send(what, to.number, 0, line);
  };
  client_ = host_.connect(options_, {[send](const reply_address& to, std::string_view line) {
                                       send(packet::kind::answer, to, line);
                                     },
                                     [send](const reply_address& to, std::string_view line) {
                                       send(packet::kind::notice, to, line);
                                     },
                                     [this] { return stream_.unsent() < most_unread_answers; }});
  stream_.send(packet::kind::hello);
}

void bridged_client::part() {
  if (std::exchange(parted_, true))
    return;
  auto server = options_.server;
  if (client_ && !ended_)
    host_.leave_connection(server, options_.epoch);
  if (!client_ || !cut_) {
    *gone_ = true;
  } else if (ended_) {
    // The bridge waits until its sessions are known to have ended, and else sees to that itself.
    host_.end_connection_then(server, [this, here = alive_here_, gone = gone_](bool noted) {
      *gone = true;
      if (!*here || !noted)
        return;
      stream_.send(packet::kind::end);
      stream_.flush();
    });
  } else {
    // It may have been killed, or live on and be served elsewhere.
    *gone_ = true;
    host_.run_after(time_to_die, [&host = host_, alive = alive_, server] {
      if (!alive(server))
        host.end_connection_then(server, [](bool) {});
    });
  }
}

} // namespace orch
