#pragma once

#include "storage/events.hpp"
#include "storage/locks.hpp"
#include "storage/schema.hpp"
#include "storage/tx.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <set>

namespace orch {

/// A private directory that is gone after the test.
class scratch_directory {
public:
  scratch_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "orch-test-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      throw std::runtime_error{"mkdtemp failed"};
    path = std::filesystem::canonical(pattern);
  }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  std::filesystem::path path;
};

/// A fresh state.db with a clock and with servers that live or die as the test wants.
class state_fixture {
public:
  state_fixture() {
    around->repo_root = directory.path;
    around->state_dir = directory.path;
    around->server = 1;
    around->alive = [this](int64_t id) { return !dead_servers.contains(id); };
    around->now = [this] { return now; };
    around->wake = [this] { ++wake_ups; };
  }

  /// Runs `work` as the storage actor would: settled leases first, all or nothing.
  template <class Work>
  auto in_tx(Work work) {
    database& db = *state;
    db.exec("BEGIN IMMEDIATE");
    try {
      tx settling{db, *around};
      settle_leases(settling);
      count(settling);
      tx t{db, *around};
      if constexpr (std::is_void_v<decltype(work(t))>) {
        work(t);
        count(t);
        db.exec("COMMIT");
      } else {
        auto result = work(t);
        count(t);
        db.exec("COMMIT");
        return result;
      }
    } catch (...) {
      if (!sqlite3_get_autocommit(db.raw().getHandle()))
        db.exec("ROLLBACK");
      throw;
    }
  }

  /// The error that `work` throws; fails the test if it throws none.
  template <class Work>
  request_error refused(Work work) {
    try {
      in_tx([&](tx& t) { work(t); });
    } catch (const request_error& e) {
      return e;
    }
    return {errc::none, "was not refused"};
  }

  void pass_seconds(int64_t seconds) { now = plus_seconds(now, seconds); }

  scratch_directory directory;
  std::shared_ptr<surroundings> around = std::make_shared<surroundings>();
  timestamp now{1'800'000'000'000'000};
  std::set<int64_t> dead_servers;
  int64_t changes = 0;
  int wake_ups = 0;
  std::unique_ptr<database> state = open_state(directory.path / "state.db");

private:
  void count(tx& t) {
    changes += t.changes();
    if (t.changes() > 0)
      t.run("UPDATE mirror_meta SET db_version = db_version + ?", t.changes());
    write_events(t.db, t.noted(), around->server);
    wake_ups += t.wakes() ? 1 : 0;
  }
};

} // namespace orch
