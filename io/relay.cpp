#include "io/relay.hpp"

#include "io/log.hpp"
#include "io/request_rules.hpp"

namespace orch {

namespace {

using clock = std::chrono::steady_clock;

/// While actors of our own answer, a supervisor is looked for at most so often, and only when
/// there is something to answer.
constexpr std::chrono::seconds between_tries{1};

/// One that did not let us in won't do so soon.
constexpr std::chrono::seconds after_refusal{30};

/// When nothing can be written right now.
constexpr std::chrono::milliseconds after_failure{500};

} // namespace

relay::relay(caf::actor_system& system, std::shared_ptr<event_loop> loop,
             const serve_options& options)
  : system_{system}, loop_{std::move(loop)}, options_{options},
    client_{*loop_, options_.connection.most_bytes, [this](frame f) { take(std::move(f)); },
            [this] { nobody_reads_ = true; }} {
  posted_.run_on(*loop_);
  try {
    auto place = find_workspace(options_.repo);
    state_dir_ = place.state_dir;
    client_presence_ = std::make_unique<presence>(place.servers_file(), presence::of::client);
    options_.connection.server = client_presence_->id();
    door_ = std::make_unique<reopening>(place.layout.root.string(), options_.repo);
    if (!try_bridge())
      open_in_background(true);
  } catch (const std::exception& e) {
    if (!options_.repo_is_optional)
      throw;
    options_.connection.no_repository = e.what();
  }
}

relay::~relay() {
  close_own_actors();
  if (opener_.joinable())
    opener_.join();
  posted_.stop(*loop_);
}

void relay::run_round(bool idle) {
  mind_bridge();
  // As long as a supervisor may let us in at the start, nothing is opened.
  if (!crossed_ && (host_ || !bridge_) && !finished_)
    mind_own_actors();
  client_.flush(idle);
  auto room = client_.has_room() && (!crossed_ || bridge_->has_room());
  client_.want(room && (own_ ? own_->wants_input() : kept_.size() < options_.connection.window));
  if ((client_.ended() && all_answered() && client_.empty()) || nobody_reads_)
    mind_end();
  if (bridge_)
    bridge_->flush();
}

void relay::stop() {
  stopping_ = true;
  client_.stop();
  if (own_)
    own_->stop_waiting();
  if (crossed_)
    bridge_->send(packet::kind::stop_waiting);
}

bool relay::all_answered() const {
  return own_ ? own_->idle() && kept_.empty() : kept_.empty();
}

void relay::mind_end() {
  ending_ = true;
  client_.stop();
  if (end_asked_ || finished_)
    return;
  if (crossed_) {
    end_asked_ = true;
    bridge_->end();
  } else if (host_ && host_->ready()) {
    end_asked_ = true;
    // What cannot be noted is found out when this process has ended.
    host_->end_connection_then(options_.connection.server, [this](bool) { finished_ = true; });
  } else if (!answered_before_ && !opening_) {
    finished_ = true;
  }
  // Else actors of our own are on their way, to suspend what a supervisor left open.
}

// --- Messages -----------------------------------------------------------------------------------

void relay::take(frame f) {
  auto number = ++last_number_;
  auto asked = read_frame(f, options_.connection.most_bytes);
  auto framed = f.how == frame::form::framed;
  if (standing_.note(asked, f.text))
    notices_framed_ = framed;
  if (own_) {
    own_->take({std::move(asked), {number, framed}});
    if (!bridge_ && !options_.connection.no_repository && clock::now() >= next_try_)
      try_bridge();
    return;
  }
  keep(number, std::move(f), asked);
  if (crossed_)
    send_what_may_go();
}

void relay::keep(uint64_t number, frame f, const envelope& asked) {
  if (auto unwanted = id_to_cancel(asked))
    for (auto& [other, kept] : kept_)
      kept.cancelled = kept.cancelled || kept.id == *unwanted;
  kept_message kept{std::move(f), 0, asked.id};
  const json* params = nullptr;
  if (auto m = asked.problem ? nullptr : method_asked(asked, params)) {
    kept.writes = m->about->writes();
    kept.reads = !kept.writes && !wants_to_wait(*m, *params);
  } else {
    kept.reads = asked.method == "resources/read";
  }
  kept_.emplace(number, std::move(kept));
}

void relay::send_what_may_go() {
  auto reads = false; // one that was sent has no answer yet
  for (auto& [number, kept] : kept_) {
    if (!kept.sent) {
      // A read that has to be sent again must not see what was written after it.
      if (kept.writes && reads)
        return;
      send(number, kept);
    }
    reads = reads || kept.reads;
  }
}

void relay::send(uint64_t number, kept_message& kept) {
  auto repeated = kept.place != 0;
  if (kept.place == 0) {
    if (free_places_.empty())
      free_places_.insert(++places_);
    kept.place = free_places_.extract(free_places_.begin()).value();
  }
  auto what = kept.what.how == frame::form::too_large ? packet::kind::too_large
              : repeated                              ? packet::kind::repeat
                                                      : packet::kind::message;
  kept.sent = true;
  bridge_->send(what, number, kept.place, kept.what.text);
}

void relay::take_packet(const packet& p) {
  auto found = kept_.find(p.number);
  if (p.what == packet::kind::notice) {
    auto framed =
      found == kept_.end() ? notices_framed_ : found->second.what.how == frame::form::framed;
    client_.write({p.number, framed}, p.text);
    return;
  }
  if (p.what != packet::kind::answer || found == kept_.end())
    return;
  client_.write({p.number, found->second.what.how == frame::form::framed}, p.text);
  free_places_.insert(found->second.place);
  kept_.erase(found);
  send_what_may_go();
}

std::vector<std::string> relay::to_be_said_again() {
  if (!std::exchange(answered_before_, true))
    return {};
  // Changes that fall in between are told to nobody.
  for (const auto& uri : standing_.subscribed())
    client_.write({0, notices_framed_}, resource_updated_line(uri));
  return standing_.all();
}

// --- A supervisor -------------------------------------------------------------------------------

bool relay::try_bridge() {
  next_try_ = clock::now() + between_tries;
  const auto& client = options_.connection;
  bridge_ = bridge::to(*loop_, state_dir_,
                       {bridge_protocol, ORCH_VERSION, client.server, client.profile,
                        static_cast<int64_t>(client.most_bytes),
                        static_cast<int64_t>(client.window), ++epoch_, client.thread_id},
                       [this](const packet& p) { take_packet(p); });
  if (!bridge_)
    return false;
  // It is to be heard, and its silence to be noticed, from this round on.
  bridge_->run_round(true, true);
  bridge_->flush();
  return true;
}

void relay::mind_bridge() {
  if (!bridge_)
    return;
  bridge_->run_round(client_.has_room(), !kept_.empty() || ending_);
  if (bridge_->lost()) {
    auto refused = bridge_->refused();
    auto ended_well = bridge_->ended_well();
    bridge_.reset();
    auto was_answering = std::exchange(crossed_, false);
    for (auto& [number, kept] : kept_)
      kept.sent = false;
    finished_ = ending_ && ended_well;
    end_asked_ = false;
    if (was_answering && !finished_)
      log_info("the supervisor of this repository is gone; going on without it");
    next_try_ = clock::now() + (refused ? std::chrono::seconds{after_refusal} : between_tries);
    // Another one may have taken its place.
    if (was_answering && !refused && !ending_)
      try_bridge();
    return;
  }
  if (bridge_->open() && !crossed_ && !ending_ && (!own_ || own_->idle()))
    cross();
}

void relay::cross() {
  close_own_actors();
  crossed_ = crossed_before_ = true;
  fence_asked_ = false;
  log_info("the supervisor of this repository answers");
  for (const auto& text : to_be_said_again())
    bridge_->send(packet::kind::message, 0, 0, text);
  std::erase_if(kept_, [](const auto& entry) { return entry.second.cancelled; });
  send_what_may_go();
  if (stopping_)
    bridge_->send(packet::kind::stop_waiting);
}

// --- Actors of our own --------------------------------------------------------------------------

void relay::mind_own_actors() {
  if (!host_ && !has_opened())
    return;
  if (!own_ && host_->ready() && fenced_off_others())
    use_own_actors();
  if (!own_)
    return;
  own_->go_on();
  host_->plan_progress();
}

bool relay::has_opened() {
  if (opening_)
    return false; // the door is the other thread's
  auto expected = !options_.connection.no_repository;
  if (expected && !files_ && !door_->parked()) {
    if (door_->is_due())
      open_in_background(false);
    else
      loop_->wake_at(door_->next());
    return false;
  }
  host_ = std::make_unique<repository_host>(system_, loop_);
  if (files_) {
    files_->around->own_thread = options_.connection.thread_id.value_or(0);
    host_->attach(files_->actors);
  } else if (expected) {
    host_->refuse_all(door_->why_not());
  }
  return true;
}

void relay::open_in_background(bool first) {
  opening_ = true;
  opener_ = std::thread{[this, first] {
    auto opened = std::make_shared<std::optional<workspace_files>>();
    std::exception_ptr failure;
    try {
      if (first)
        *opened = open_workspace(options_.repo);
      else
        *opened = door_->attempt();
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
    posted_.post([this, opened, failure] {
      opener_.join();
      opening_ = false;
      files_ = std::move(*opened);
      if (failure)
        take_failure(failure);
    });
  }};
}

void relay::take_failure(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    options_.connection.no_repository = e.what();
  }
  if (options_.repo_is_optional)
    return;
  failure_ = failure;
  finished_ = true;
}

bool relay::fenced_off_others() {
  if (!crossed_before_ || !files_ || host_->refusing() || fenced_at_ == epoch_)
    return true;
  if (!std::exchange(fence_asked_, true))
    host_->begin_epoch_then(options_.connection.server, ++epoch_, [this](bool noted) {
      if (noted)
        fenced_at_ = epoch_;
      else
        host_->run_after(after_failure, [this] { fence_asked_ = false; });
    });
  return fenced_at_ == epoch_;
}

void relay::use_own_actors() {
  own_ = host_->connect(options_.connection,
                        {[this](const reply_address& to, std::string_view line) {
                           if (to.number != 0) // else it is the answer to what was said again
                             client_.write(to, line);
                         },
                         [this](const reply_address& to, std::string_view line) {
                           client_.write({0, to.number == 0 ? notices_framed_ : to.framed}, line);
                         },
                         [this] { return client_.has_room(); }});
  if (stopping_)
    own_->stop_waiting();
  for (const auto& text : to_be_said_again())
    own_->take({read_envelope(text)});
  for (auto& [number, kept] : std::exchange(kept_, {})) {
    if (kept.cancelled)
      continue;
    auto place = kept.place == 0 ? std::nullopt : std::optional{static_cast<int64_t>(kept.place)};
    own_->take({read_frame(kept.what, options_.connection.most_bytes),
                {number, kept.what.how == frame::form::framed},
                place,
                place.has_value()});
  }
  free_places_.clear();
  places_ = 0;
}

void relay::close_own_actors() {
  own_.reset();
  host_.reset();
  files_.reset();
}

} // namespace orch
