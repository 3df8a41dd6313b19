#include "io/connection.hpp"

#include "io/request_rules.hpp"
#include "storage/requests.hpp"

#include <caf/send.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace orch {

namespace {

/// Signs of life that are closer together than this are not worth a message.
constexpr std::chrono::seconds sign_of_life_interval{1};

/// Tickets name requests to owners that serve several connections, so they are the process's.
std::atomic<uint64_t> last_ticket{0};

/// The answers as one object, or the only one as it is if its key is empty.
std::string put_together(const std::map<std::string, std::string>& parts) {
  if (parts.begin()->first.empty())
    return parts.begin()->second;
  std::vector<std::string> members;
  for (const auto& [name, json_text] : parts)
    members.push_back(fmt::format("\"{}\":{}", name, json_text));
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

} // namespace

connection::connection(caf::event_based_actor* self, connection_options options, sink out)
  : self_{self}, options_{std::move(options)}, out_{std::move(out)}, mcp_{options_.profile},
    subscribed_{self, ++last_ticket, [this](const std::string& uri) {
                  out_.notify(notices_to_, resource_updated_line(uri));
                }} {
}

connection::~connection() {
  *alive_ = false;
}

void connection::use(std::shared_ptr<const route_table> table, const std::string& parked) {
  table_ = std::move(table);
  parked_ = parked;
  subscribed_.use(table_ ? table_->events : event_actor{});
  if (!table_ && !parked_.empty() && options_.epoch != 0)
    leave();
  start_what_may_start();
}

bool connection::wants_input() const {
  return slots_.size() + waiting_.size() < options_.window;
}

void connection::stop_waiting() {
  waits_end_ = true;
  auto held = waiting_;
  for (const auto& [ticket, s] : held) {
    refuse(s, {errc::unavailable, "the server is stopping"});
    // Others may go on, and must not wait behind it.
    end_wait(ticket);
  }
}

void connection::leave() {
  leaving_ = true;
  for (const auto& [ticket, s] : waiting_)
    end_wait(ticket);
}

bool connection::wants_progress() const {
  return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& held) {
    return !held.second->progress_token.empty() && !held.second->silent;
  });
}

void connection::send_progress() {
  using namespace std::chrono;
  for (const auto& [ticket, s] : waiting_) {
    if (s->progress_token.empty() || s->silent)
      continue;
    auto waited = duration<double>(steady_clock::now() - s->started).count();
    out_.notify(
      s->from,
      fmt::format(R"({{"jsonrpc":"2.0","method":"notifications/progress","params":{{)"
                  R"("progressToken":{},"progress":{:.3f},"message":"waiting for {:.0f} s"}}}})",
                  s->progress_token, waited, waited));
  }
}

void connection::take(incoming m) {
  auto s = std::make_shared<slot>();
  s->from = m.from;
  s->place = m.place;
  s->repeated = m.repeated;
  s->ticket = ++last_ticket;
  s->asked = std::move(m.asked);
  if (s->asked.problem && mcp_.started())
    s->asked.how = dialect::jsonrpc;
  take_message(s);
}

void connection::take_message(const slot_ptr& s) {
  const auto& asked = s->asked;
  if (asked.problem) {
    slots_.push_back(s);
    refuse(s, *asked.problem);
    return;
  }
  if (is_protocol_method(asked.method)) {
    take_protocol_message(s);
    return;
  }
  s->silent = asked.is_notification();
  s->method = asked.method;
  s->params = std::move(s->asked.params);
  queue(s);
}

void connection::take_protocol_message(const slot_ptr& s) {
  s->modern = is_modern(s->asked);
  auto reply = mcp_.handle(s->asked);
  if (auto cancelled = std::get_if<cancelled_request>(&reply)) {
    cancel(cancelled->id);
    out_.answer(s->from, {});
    return;
  }
  if (s->asked.is_notification()) {
    out_.answer(s->from, {});
    return;
  }
  // What MCP itself answers is answered at once, whatever is outstanding.
  if (auto direct = std::get_if<direct_result>(&reply))
    send(*s, result_line(s->asked, direct->json_text));
  else if (auto error = std::get_if<protocol_error>(&reply))
    send(*s, protocol_error_line(s->asked, *error));
  else if (auto subscription = std::get_if<resource_subscription>(&reply))
    subscribe(s, *subscription);
  else if (auto read = std::get_if<resource_read>(&reply)) {
    s->resource = std::move(*read);
    queue(s);
  } else if (auto call = std::get_if<tool_call>(&reply)) {
    s->tool = true;
    s->progress_token = progress_token(s->asked);
    s->method = call->method;
    s->params = std::move(call->params);
    queue(s);
  }
}

void connection::subscribe(const slot_ptr& s, const resource_subscription& asked) {
  if (options_.no_repository) {
    send(*s, error_line(s->asked, without_owners()));
    return;
  }
  notices_to_ = s->from;
  auto done = [this, s, alive = alive_] {
    if (*alive)
      send(*s, result_line(s->asked, "{}"));
  };
  if (asked.wanted) {
    subscribed_.add(asked.uri, done);
  } else {
    subscribed_.remove(asked.uri);
    done();
  }
}

void connection::read_resource(const slot_ptr& s) {
  if (!table_) {
    refuse(s, without_owners());
    return;
  }
  ++running_;
  running_alone_ = true;
  auto finished = [this, s, alive = alive_](const std::string& line) {
    if (!*alive || std::exchange(s->ended, true))
      return;
    finish(s, false);
    if (!s->answered)
      answer(s, line);
    start_what_may_start();
  };
  auto failed = [s, finished](const request_error& e) {
    protocol_error error{s->modern ? -32602 : -32002, e.what(), {{"uri", s->resource->uri}}};
    if (e.code != errc::not_found)
      error.number = error_number(e.code);
    finished(protocol_error_line(s->asked, error));
  };
  auto read = [s, finished](std::string_view mime_type, const std::string& text) {
    finished(result_line(s->asked, resource_result(s->resource->uri, mime_type, text, s->modern)));
  };
  if (s->resource->is_mirror) {
    self_->request(table_->mirror, caf::infinite, mirror_text{})
      .then([read](const std::string& markdown) { read("text/markdown", markdown); },
            [failed](const caf::error& e) { failed(from_caf_error(e)); });
    return;
  }
  if (s->resource->thread_id) {
    self_->request(table_->threads, caf::infinite, kept_thread{*s->resource->thread_id})
      .then([read](const thread& x) { read("application/json", to_json_text(x)); },
            [failed](const caf::error& e) { failed(from_caf_error(e)); });
    return;
  }
  auto parts = std::make_shared<std::map<std::string, std::string>>();
  for (const auto& [key, part] : s->resource->parts)
    table_->routes.at(part.method)
      .call(
        self_, part.params, {},
        [s, parts, key = key, read](const std::string& text) {
          (*parts)[key] = text;
          if (parts->size() == s->resource->parts.size())
            read("application/json", put_together(*parts));
        },
        failed);
}

void connection::cancel(const std::string& id) {
  auto wanted = [&](const slot_ptr& s) { return s->asked.id == id; };
  for (const auto& s : slots_)
    if (wanted(s))
      s->silent = true;
  // What was not started is not done at all.
  for (const auto& s : queued_)
    if (wanted(s))
      s->answered = true;
  std::erase_if(queued_, wanted);
  flush_answers();
  for (const auto& [ticket, s] : waiting_) {
    if (s->asked.id != id)
      continue;
    s->silent = true;
    end_wait(ticket);
  }
}

void connection::end_wait(uint64_t ticket) {
  if (!table_)
    return;
  caf::anon_send(table_->locks, cancel_wait{ticket});
  caf::anon_send(table_->merges, cancel_wait{ticket});
  caf::anon_send(table_->threads, cancel_wait{ticket});
  caf::anon_send(table_->events, cancel_wait{ticket});
}

void connection::queue(const slot_ptr& s) {
  slots_.push_back(s);
  queued_.push_back(s);
  start_what_may_start();
}

void connection::start_what_may_start() {
  // A request that is refused at once comes back here; the loop below goes on with the next.
  if (std::exchange(starting_, true))
    return;
  while (!queued_.empty() && !leaving_ && out_.has_room()) {
    auto s = queued_.front();
    auto m = s->resource ? nullptr : find_method(s->method);
    s->alone = s->resource || (m && runs_alone(*m, s->params));
    if ((s->resource || m) && !may_start(*s, m))
      break;
    queued_.pop_front();
    if (s->resource)
      read_resource(s);
    else if (m)
      start(s, *m);
    else
      refuse(s, unknown_method(s->method));
  }
  starting_ = false;
}

bool connection::may_start(const slot& s, const method_info* m) const {
  if (running_ == 0)
    return true;
  // Requests to one owner take effect in the order in which it gets them, so they may overlap. But
  // reads may run beside the writer, and must not see what comes after them.
  auto writes = m && m->about->touches != access::read;
  return running_ < options_.window && !running_alone_ && !s.alone && m
         && m->owner == running_owner_ && !(writes && running_ > writing_);
}

void connection::start(const slot_ptr& s, const method_info& m) {
  caller from;
  from.ticket = s->ticket;
  from.settled = writing_ == 0;
  from.lasting = options_.lasting;
  from.server = options_.server;
  from.epoch = options_.epoch;
  from.repeated = s->repeated;
  from.thread_id = options_.thread_id;
  from.client = mcp_.client_hint(s->asked);
  from.session_id = session_asking(m, s->params);
  if (!table_) {
    refuse(s, without_owners());
    return;
  }
  try {
    from.request_key = key_for(m, *s);
  } catch (const request_error& e) {
    refuse(s, e);
    return;
  }
  note_sessions(m, s->params, from);
  s->waits = wants_to_wait(m, s->params);
  if (s->waits && waits_end_) {
    refuse(s, {errc::unavailable, "the server is stopping"});
    return;
  }
  if (s->waits) {
    // It has its place now and holds nobody up; its answer comes when it comes.
    std::erase(slots_, s);
    s->started = std::chrono::steady_clock::now();
    waiting_.emplace(s->ticket, s);
  } else {
    ++running_;
    writing_ += m.about->touches == access::read ? 0 : 1;
    running_owner_ = m.owner;
    running_alone_ = s->alone;
  }
  auto params = std::move(s->params);
  auto finished = [this, s, &m, alive = alive_](auto&& then) {
    if (!*alive)
      return;
    finish(s, m.about->touches != access::read);
    if (!s->answered)
      then();
    start_what_may_start();
  };
  auto failed = [this, s, finished](const request_error& e) {
    finished([&] {
      // A wait that was cut short here goes on elsewhere.
      if (!leaving_ || waiting_.erase(s->ticket) == 0)
        refuse(s, e);
    });
  };
  table_->routes.at(m.about->name)
    .call(
      self_, params, from,
      [this, s, finished](const std::string& json_text) {
        finished([&] {
          answer(s, result_line(s->asked, s->tool ? tool_result(json_text, s->modern) : json_text));
        });
      },
      failed);
}

std::optional<request_key> connection::key_for(const method_info& m, slot& s) const {
  if (auto given = take_request_key(m, s.params))
    return request_key{*given};
  if (!m.about->writes() || !s.place)
    return {};
  return request_key{key_of_place(options_.server, *s.place), static_cast<int64_t>(s.from.number)};
}

void connection::note_sessions(const method_info& m, const json& params, const caller& from) {
  auto now = std::chrono::steady_clock::now();
  for (const auto& f : m.params->fields) {
    auto given = f.is_session ? params.find(f.name) : params.end();
    if (given == params.end())
      continue;
    auto id = session_in(*given);
    if (!id)
      continue;
    auto& last = last_sign_of_life_[*id];
    if (last.time_since_epoch().count() != 0 && now - last < sign_of_life_interval)
      continue;
    last = now;
    caf::anon_send(table_->sessions, sign_of_life{*id, from});
    if (last_sign_of_life_.size() > 10'000)
      last_sign_of_life_.clear();
  }
}

void connection::finish(const slot_ptr& s, bool wrote) {
  if (s->waits)
    return;
  --running_;
  writing_ -= wrote ? 1 : 0;
  if (running_ == 0)
    running_alone_ = false;
}

request_error connection::without_owners() const {
  if (options_.no_repository)
    return {errc::failed_precondition, *options_.no_repository};
  if (!parked_.empty())
    return {errc::unavailable, parked_};
  return {errc::unavailable, "the repository is restarting; try again"};
}

void connection::refuse(const slot_ptr& s, const request_error& error) {
  answer(s, s->tool ? result_line(s->asked, tool_error(error, s->modern))
                    : error_line(s->asked, error));
}

void connection::answer(const slot_ptr& s, std::string line) {
  s->answered = true;
  if (waiting_.erase(s->ticket) > 0) {
    send(*s, line);
    return;
  }
  s->line = std::move(line);
  flush_answers();
}

void connection::flush_answers() {
  while (!slots_.empty() && slots_.front()->answered) {
    auto s = slots_.front();
    slots_.pop_front();
    send(*s, s->line);
  }
}

void connection::send(const slot& s, const std::string& line) {
  out_.answer(s.from, s.silent ? std::string_view{} : line);
}

} // namespace orch
