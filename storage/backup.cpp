#include "storage/backup.hpp"

#include "storage/schema.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orch {

namespace fs = std::filesystem;

namespace {

constexpr int patience_ms = 60'000;

void sync(const fs::path& path) {
  auto fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  auto synced = fd >= 0 && ::fsync(fd) == 0;
  auto error = errno;
  if (fd >= 0)
    ::close(fd);
  if (!synced)
    throw std::runtime_error{std::strerror(error)};
}

/// The version of a state that is whole; throws if it is none that this program can use.
int64_t checked_version(const fs::path& file) {
  SQLite::Database db{file.string(), SQLite::OPEN_READONLY, patience_ms};
  auto version = db.execAndGet("PRAGMA user_version").getInt64();
  if (version < 1 || !db.tableExists("tasks"))
    throw std::runtime_error{"it is not the state of a repository"};
  if (version > schema_version)
    throw std::runtime_error{fmt::format("its schema version {} is newer than this program's {}",
                                         version, schema_version)};
  auto found = db.execAndGet("PRAGMA integrity_check").getString();
  if (found != "ok")
    throw std::runtime_error{fmt::format("it is damaged: {}", found)};
  return version;
}

/// A whole copy at `to`, on the disk when this returns.
void copy_whole(const fs::path& from, const fs::path& to) {
  auto made = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made < 0)
    throw std::runtime_error{fmt::format("{}: {}", to.string(), std::strerror(errno))};
  ::close(made);
  try {
    auto version = int64_t{0};
    {
      SQLite::Database db{from.string(), SQLite::OPEN_READONLY, patience_ms};
      version = db.execAndGet("PRAGMA user_version").getInt64();
      SQLite::Statement query{db, "VACUUM INTO ?"};
      query.bind(1, to.string());
      query.exec();
    }
    SQLite::Database{to.string(), SQLite::OPEN_READWRITE}.exec(
      fmt::format("PRAGMA user_version={}", version));
    checked_version(to);
    sync(to);
  } catch (...) {
    ::unlink(to.c_str());
    throw;
  }
}

} // namespace

void back_up_state(const fs::path& state, const fs::path& copy) {
  try {
    if (!fs::exists(state))
      throw std::runtime_error{fmt::format("there is no {}", state.string())};
    copy_whole(state, copy);
    sync(copy.parent_path().empty() ? fs::path{"."} : copy.parent_path());
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("cannot back up to {}: {}", copy.string(), e.what())};
  }
}

void restore_state(const fs::path& copy, const fs::path& state, const fs::path& former) {
  try {
    checked_version(copy);
    auto fresh = state;
    fresh += ".restored";
    fs::remove(fresh);
    copy_whole(copy, fresh);
    if (fs::exists(state)) {
      try {
        copy_whole(state, former);
        // What is only in the log would be gone with it.
        SQLite::Database{state.string(), SQLite::OPEN_READWRITE, patience_ms}.exec(
          "PRAGMA wal_checkpoint(TRUNCATE)");
      } catch (const std::exception&) {
        // It is damaged, which may be why somebody restores: all of its files are kept as they are.
        fs::copy_file(state, former, fs::copy_options::overwrite_existing);
        for (const auto* part : {"-wal", "-shm"})
          if (fs::exists(state.string() + part))
            fs::copy_file(state.string() + part, former.string() + part,
                          fs::copy_options::overwrite_existing);
      }
    }
    for (const auto* part : {"-wal", "-shm"})
      fs::remove(state.string() + part);
    fs::rename(fresh, state);
    sync(state.parent_path());
  } catch (const std::exception& e) {
    throw std::runtime_error{fmt::format("cannot restore {}: {}", copy.string(), e.what())};
  }
}

} // namespace orch
