#pragma once

#include "actors/caf.hpp"
#include "storage/tx.hpp"

#include <caf/behavior.hpp>
#include <caf/message.hpp>
#include <caf/stateful_actor.hpp>

#include <functional>
#include <memory>

namespace orch {

/// Work to be run as one transaction; what it returns is the answer. A `request_error` that it
/// throws is the answer too, and undoes what it did.
struct transaction {
  std::function<caf::message(tx&)> work;
  bool only_reads = false;
  bool after_commit = false; ///< reads only what is committed, so an open batch ends first
  /// Runs when the work has been refused and undone, in the same batch: to note that. What it
  /// throws is dropped.
  std::function<void(tx&, const request_error&)> refused{};
};

/// The answer of work that has none of its own.
struct done {};

/// Commits the open batch if it still is that one; the storage actor sends it to itself.
struct commit_batch {
  uint64_t number = 0;
};

/// What a storage actor needs to know; shared by the actors of a repository.
struct storage_options {
  std::filesystem::path file;
  std::shared_ptr<const surroundings> around;
  /// Opened already, for the first actor to take over; later ones open the file themselves.
  std::shared_ptr<std::unique_ptr<database>> opened{};
  std::function<void()> enter = [] {}; ///< waits for this process's turn to write
  std::function<void()> leave = [] {};
};

struct storage_state;

/// The only writer of `state.db` in this process. What waits in its mailbox becomes one SQLite
/// transaction, each request under a savepoint of its own, and the answers leave after the commit.
/// Blocks on the disk and on other processes: spawn it detached.
caf::behavior storage_actor(caf::stateful_actor<storage_state>* self, storage_options options);

struct reader_state;

/// Reads `state.db` beside the writer, each transaction from one snapshot. Point reads take
/// microseconds, so that it may run in the caller's thread. Refuses transactions that write.
caf::behavior reader_actor(caf::stateful_actor<reader_state>* self, storage_options options);

struct storage_state {
  storage_state() = default;
  ~storage_state();

  struct answer {
    caf::response_promise to;
    caf::message result;
    caf::error refusal;
  };

  caf::event_based_actor* self = nullptr;
  storage_options options;
  std::unique_ptr<database> db;
  std::vector<answer> batch;
  std::chrono::steady_clock::time_point batch_began;
  uint64_t number = 0;               ///< of the open batch, or the last one
  std::vector<noted_change> changes; ///< of state, in the open batch
  std::chrono::steady_clock::time_point prune_events_at{};
  bool in_batch = false;
  caf::error lost; ///< why SQLite gave up the open batch as a whole
  bool wakes = false;
  int64_t synced_changes = 0; ///< rows that this connection has changed and synced

  caf::error make_durable();
  void begin_batch();
  caf::error run(const transaction& job, caf::message& result);
  void note_refusal(const transaction& job, const request_error& error);
  void read(const transaction& job);
  void prune_old_events();
  void write_changes();
  void commit_batch_now();
};

struct reader_state {
  reader_state() = default;

  storage_options options;
  std::unique_ptr<database> db;
};

} // namespace orch

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::transaction)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::commit_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::done)
