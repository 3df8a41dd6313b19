#include "io/switchboard.hpp"

#include "io/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch {

namespace {

/// Beyond this a repository that gets on makes the client wait, as `serve` does.
constexpr std::size_t long_backlog = 256;

/// Beyond this one that is stuck refuses; the others must not wait for it.
constexpr std::size_t longest_backlog = 10'000;
constexpr std::size_t most_backlog_bytes = 64U << 20;

} // namespace

switchboard::switchboard(caf::actor_system& system, event_loop& loop,
                         const connection_options& options)
  : system_{system}, loop_{loop}, options_{options}, client_{
                                                       loop, options.most_bytes,
                                                       [this](frame f) { take(std::move(f)); },
                                                       [this] { nobody_reads_ = true; }} {
  posted_.run_on(loop);
}

void switchboard::use(const supervision& wanted) {
  if (stopping_)
    return;
  budget_->set_most(wanted.reviewers_at_once);
  auto is_wanted = [&](const supervised& one) {
    return std::find(wanted.targets.begin(), wanted.targets.end(), one.target())
           != wanted.targets.end();
  };
  for (auto& [name, old] : repositories_)
    if (old.repository && (!is_wanted(*old.repository) || old.repository->parked()))
      retire(old);
  for (const auto& target : wanted.targets) {
    auto& here = repositories_[target.name];
    if (here.repository)
      continue;
    try {
      here.repository = start(target);
      here.failed = false;
    } catch (const std::exception& e) {
      log_error("repository {} cannot be looked after until the next reload (SIGHUP): {}",
                target.name, e.what());
      continue;
    }
    for (const auto& text : here.standing.all())
      here.repository->send({read_envelope(text)}, text.size());
  }
  std::erase_if(repositories_, [](const auto& entry) { return !entry.second.repository; });
}

void switchboard::stop() {
  stopping_ = true;
  client_.stop();
  for (auto& [name, old] : repositories_)
    retire(old);
  repositories_.clear();
}

bool switchboard::ended() {
  return stopping_ && leaving_.empty() && posted_.empty() && client_.empty();
}

void switchboard::run_round(bool idle) {
  // What it has answered comes first.
  auto is_over = [this](const auto& one) { return one->ended() && posted_.empty(); };
  leaving_.remove_if([&](const auto& one) {
    if (!is_over(one))
      return false;
    refuse_what_is_left(*one);
    return true;
  });
  for (auto& [name, here] : repositories_)
    if (!here.failed && is_over(here.repository)) {
      here.failed = true;
      refuse_what_is_left(*here.repository);
    }
  if (nobody_reads_)
    client_.stop();
  client_.flush(idle);
  unread_ = client_.unwritten();
  auto room = client_.has_room();
  auto held_up = false;
  for (const auto& [name, here] : repositories_) {
    auto& one = *here.repository;
    auto until = one.gets_on_until();
    if (!one.ended() && one.backlog() >= long_backlog && std::chrono::steady_clock::now() < until) {
      held_up = true;
      loop_.wake_at(until); // one that does not get on holds up nobody
    }
    if (room && !had_room_)
      one.go_on();
  }
  had_room_ = room;
  client_.want(room && !held_up);
}

void switchboard::retire(place& old) {
  old.repository->stop();
  leaving_.push_back(std::move(old.repository));
}

std::unique_ptr<supervised> switchboard::start(const supervision_target& target) {
  supervised::callbacks to;
  to.answers = [this](std::vector<supervised_answer> answers) {
    std::size_t bytes = 0;
    for (const auto& one : answers)
      bytes += one.line.size();
    on_their_way_ += bytes;
    posted_.post([this, bytes, answers = std::move(answers)] {
      on_their_way_ -= bytes;
      take_answers(answers);
    });
  };
  to.has_room = [this] { return unread_ + on_their_way_ < most_unread_answers; };
  return std::make_unique<supervised>(system_, target, options_, budget_, std::move(to));
}

void switchboard::take(frame f) {
  auto asked = read_frame(f, options_.most_bytes);
  reply_address from{++last_number_, f.how == frame::form::framed};
  // A message that cannot be read belongs to nobody.
  if (asked.problem) {
    refuse(asked, from, *asked.problem);
    return;
  }
  auto found = repositories_.find(name_for(asked));
  if (found == repositories_.end()) {
    refuse_unknown(asked, from);
    return;
  }
  auto& here = found->second;
  here.standing.note(asked, f.text);
  auto& one = *here.repository;
  if (one.ended()) {
    refuse(asked, from, {errc::unavailable, one.why_ended()});
    return;
  }
  if (one.backlog() >= longest_backlog || one.backlog_bytes() >= most_backlog_bytes) {
    refuse(asked, from,
           {errc::unavailable, fmt::format("repository {} has {} requests to begin; try again",
                                           found->first, one.backlog())});
    return;
  }
  auto& kept = pending_[from.number] = {found->first, &one, {}, from};
  kept.asked.how = asked.how;
  kept.asked.id = asked.id;
  kept.asked.has_id = asked.has_id;
  one.send({std::move(asked), from}, f.text.size());
}

void switchboard::take_answers(const std::vector<supervised_answer>& answers) {
  for (const auto& one : answers) {
    if (one.last && pending_.erase(one.to.number) == 0)
      continue; // to what was said again, or it was refused meanwhile
    client_.write(one.to, one.line);
  }
}

/// One repository needs no name.
std::string switchboard::name_for(const envelope& asked) const {
  return asked.repo.empty() && repositories_.size() == 1 ? repositories_.begin()->first
                                                         : asked.repo;
}

void switchboard::refuse(const envelope& asked, const reply_address& from,
                         const request_error& error) {
  if (!asked.is_notification())
    client_.write(from, error_line(asked, error));
}

void switchboard::refuse_unknown(const envelope& asked, const reply_address& from) {
  std::vector<std::string_view> names;
  for (const auto& [name, one] : repositories_)
    names.push_back(name);
  auto error =
    asked.repo.empty()
      ? request_error{errc::invalid_request,
                      fmt::format("repo is missing: one of {}", fmt::join(names, ", "))}
      : request_error{errc::not_found, fmt::format("there is no repository {}; there are {}",
                                                   asked.repo, fmt::join(names, ", "))};
  error.data = {{"field", "repo"}};
  refuse(asked, from, error);
}

void switchboard::refuse_what_is_left(const supervised& ended) {
  std::erase_if(pending_, [&](const auto& entry) {
    const auto& [number, left] = entry;
    if (left.at != &ended)
      return false;
    const auto& failed = ended.why_ended();
    refuse(left.asked, left.from,
           {errc::unavailable,
            failed.empty() ? fmt::format(
              "repository {} was stopped before this was answered; try again", left.repository)
                           : failed});
    return true;
  });
}

} // namespace orch
