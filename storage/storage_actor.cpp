#include "storage/storage_actor.hpp"

#include "storage/events.hpp"
#include "storage/locks.hpp"
#include "storage/schema.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <fmt/format.h>
#include <sqlite3.h>

namespace orch {

namespace {

/// Other processes wait while a batch is open, so it ends after this much work or time even if
/// more is waiting. Chosen by bench/: larger ones no longer raise the rate.
constexpr std::size_t most_in_batch = 512;
constexpr std::chrono::milliseconds longest_batch{10};

/// Old events go in small bites, so that nobody notices; then there is time until the next ones.
constexpr std::chrono::milliseconds between_bites{100};
constexpr std::chrono::hours between_prunings{1};

/// What went wrong with the file itself, in words that help.
request_error disk_error(const SQLite::Exception& e) {
  switch (e.getErrorCode()) {
  case SQLITE_FULL:
    return {errc::unavailable,
            "the disk is full; nothing of this request was kept",
            {{"instructions", "free some space and send the request again"}}};
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return {errc::unavailable,
            "another program keeps the database locked",
            {{"instructions", "close what has state.db open, then send the request again"}}};
  case SQLITE_READONLY:
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return {errc::unavailable, fmt::format("the database cannot be used: {}", e.what())};
  default:
    return {errc::internal, fmt::format("internal error: {}", e.what())};
  }
}

request_error current_storage_error() {
  try {
    throw;
  } catch (const SQLite::Exception& e) {
    return disk_error(e);
  } catch (...) {
    return current_error();
  }
}

} // namespace

int64_t db_version(tx& t) {
  return t.number("SELECT db_version FROM mirror_meta WHERE id = 1").value_or(0)
         + t.unwritten_changes();
}

storage_state::~storage_state() {
  if (in_batch)
    options.leave();
  for (auto& x : batch)
    x.to.deliver(to_caf_error({errc::unavailable, "the storage is restarting; send it again"}));
}

void storage_state::begin_batch() {
  options.enter();
  try {
    db->prepare("BEGIN IMMEDIATE")->exec();
  } catch (...) {
    options.leave();
    throw;
  }
  in_batch = true;
  wakes = false;
  changes.clear();
  lost = caf::error{};
  batch_began = std::chrono::steady_clock::now();
  self->send(self, commit_batch{++number});
  caf::message nothing;
  auto refusal = run({[](tx& t) {
                        settle_leases(t);
                        return caf::message{};
                      },
                      false},
                     nothing);
  if (refusal)
    lost = refusal;
  if (batch_began >= prune_events_at)
    prune_old_events();
}

void storage_state::prune_old_events() {
  auto more = false;
  caf::message nothing;
  run({[&more](tx& t) {
         more = prune_events(t);
         return caf::message{};
       },
       false},
      nothing);
  prune_events_at = batch_began;
  if (more)
    prune_events_at += between_bites;
  else
    prune_events_at += between_prunings;
}

caf::error storage_state::run(const transaction& job, caf::message& result) {
  if (lost)
    return lost;
  try {
    db->prepare("SAVEPOINT request")->exec();
    tx t{*db, *options.around, std::ssize(changes)};
    result = job.work(t);
    db->prepare("RELEASE request")->exec();
    std::move(t.noted().begin(), t.noted().end(), std::back_inserter(changes));
    wakes = wakes || t.wakes();
    return {};
  } catch (...) {
    auto error = current_storage_error();
    auto refusal = to_caf_error(error);
    // A full disk or an I/O error makes SQLite roll back the whole transaction by itself.
    if (sqlite3_get_autocommit(db->raw().getHandle())) {
      lost = refusal;
      return refusal;
    }
    db->exec("ROLLBACK TO request; RELEASE request");
    if (job.refused)
      note_refusal(job, error);
    return refusal;
  }
}

void storage_state::note_refusal(const transaction& job, const request_error& error) {
  caf::message nothing;
  run({[&](tx& t) {
         job.refused(t, error);
         return caf::message{};
       },
       false},
      nothing);
}

void storage_state::write_changes() {
  if (changes.empty())
    return;
  auto raise = db->prepare("UPDATE mirror_meta SET db_version = db_version + ? WHERE id = 1");
  bind_all(*raise, int64_t{std::ssize(changes)});
  raise->exec();
  write_events(*db, changes, options.around->server);
}

caf::error storage_state::make_durable() {
  // What only looked has nothing to sync.
  auto total = db->raw().getTotalChanges();
  if (std::exchange(synced_changes, total) == total)
    return {};
  try {
    db->sync_log();
    return {};
  } catch (const std::system_error& e) {
    // It may be in the database or not: the callers learn that, and all is read afresh.
    self->quit(caf::exit_reason::unhandled_exception);
    return to_caf_error({errc::unavailable, e.what()});
  }
}

void storage_state::read(const transaction& job) {
  auto& slot = batch.back();
  try {
    db->prepare("BEGIN")->exec();
    tx t{*db, *options.around};
    slot.result = job.work(t);
  } catch (...) {
    slot.refusal = to_caf_error(current_storage_error());
  }
  try {
    if (!sqlite3_get_autocommit(db->raw().getHandle()))
      db->prepare("COMMIT")->exec();
  } catch (...) {
    slot.refusal = to_caf_error(current_storage_error());
  }
}

void storage_state::commit_batch_now() {
  auto failed = std::move(lost);
  lost = caf::error{};
  if (in_batch) {
    in_batch = false;
    try {
      if (!failed) {
        write_changes();
        db->prepare("COMMIT")->exec();
      }
    } catch (...) {
      failed = to_caf_error(current_storage_error());
    }
    if (!sqlite3_get_autocommit(db->raw().getHandle()))
      db->exec("ROLLBACK");
    options.leave();
    if (!failed)
      failed = make_durable();
    if (wakes && !failed)
      options.around->wake();
    if (!changes.empty() && !failed)
      options.around->wake_events();
  }
  auto answers = std::move(batch);
  batch.clear();
  for (auto& x : answers) {
    if (failed || x.refusal)
      x.to.deliver(failed ? failed : std::move(x.refusal));
    else
      x.to.deliver(std::move(x.result));
  }
}

caf::behavior storage_actor(caf::stateful_actor<storage_state>* self, storage_options options) {
  auto& state = self->state;
  state.self = self;
  state.options = std::move(options);
  if (state.options.opened && *state.options.opened) {
    state.db = std::move(*state.options.opened);
  } else {
    state.options.enter();
    try {
      state.db = open_state(state.options.file);
    } catch (...) {
      state.options.leave();
      throw;
    }
    state.options.leave();
  }
  // Turns are short then: the disk is waited for outside of them.
  state.db->sync_later();
  return {
    [self](const transaction& job) {
      auto& s = self->state;
      auto promise = self->make_response_promise();
      try {
        if (job.only_reads && job.after_commit && s.in_batch)
          s.commit_batch_now();
        if (job.only_reads && !s.in_batch) {
          s.batch.push_back({promise, {}, {}});
          s.read(job);
          s.commit_batch_now();
          return;
        }
        if (!s.in_batch)
          s.begin_batch();
      } catch (...) {
        promise.deliver(to_caf_error(current_storage_error()));
        return;
      }
      auto& slot = s.batch.emplace_back(storage_state::answer{promise, {}, {}});
      slot.refusal = s.run(job, slot.result);
      if (s.batch.size() >= most_in_batch
          || std::chrono::steady_clock::now() - s.batch_began > longest_batch)
        s.commit_batch_now();
    },
    [self](commit_batch which) {
      if (self->state.in_batch && self->state.number == which.number)
        self->state.commit_batch_now();
    },
  };
}

caf::behavior reader_actor(caf::stateful_actor<reader_state>* self, storage_options options) {
  self->state.options = std::move(options);
  return {
    [self](const transaction& job) -> caf::result<caf::message> {
      auto& s = self->state;
      try {
        if (!s.db)
          s.db = std::make_unique<database>(s.options.file, database::mode::read);
        s.db->prepare("BEGIN")->exec();
      } catch (...) {
        return to_caf_error(current_storage_error());
      }
      caf::result<caf::message> answer{caf::message{}};
      try {
        tx t{*s.db, *s.options.around};
        answer = job.work(t);
      } catch (...) {
        answer = to_caf_error(current_storage_error());
      }
      try {
        s.db->prepare("COMMIT")->exec();
      } catch (...) {
        answer = to_caf_error(current_storage_error());
      }
      return answer;
    },
  };
}

} // namespace orch
