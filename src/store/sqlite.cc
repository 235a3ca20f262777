#include "store/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <memory>

#include "net/clock.h"

namespace har::store {
namespace {

using Kind = Failure::Kind;

Kind kind_of(int code, int extended) {
  if (extended == SQLITE_READONLY_DBMOVED) return Kind::kMoved;
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:  // the race for the log's locks was lost too often
      return Kind::kBusy;
    case SQLITE_FULL:
      return Kind::kFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:       // our statements are fixed and tested: it is the tables that are not what they should be
    case SQLITE_MISMATCH:    // nor does a healthy file
    case SQLITE_CONSTRAINT:  // of ours refuse a row
    case SQLITE_SCHEMA:
      return Kind::kCorrupt;
    case SQLITE_IOERR:
      // A file cut under us: sqlite says so where a page's middle is missing.
      if (extended == SQLITE_IOERR_CORRUPTFS) return Kind::kCorrupt;
      // The index of the log could not grow: in practice a full disk, and sqlite does not say so.
      if (extended == SQLITE_IOERR_SHMSIZE) return Kind::kFull;
      return Kind::kOther;
    case SQLITE_INTERRUPT:
      return Kind::kHalted;
    default:
      return Kind::kOther;
  }
}

int is_overdue(void* deadline) { return net::now() >= *static_cast<const Instant*>(deadline) ? 1 : 0; }

// A file name as an URI: what has a meaning there is escaped.
std::string uri(const std::string& file, std::string_view query) {
  std::string out = "file:";
  for (const char c : file) {
    if (c == '?' || c == '#' || c == '%') {
      out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out.append(query);
}

SQLite::Database open_database(const std::string& file, Connection::Mode mode, int busy_ms) {
  switch (mode) {
    case Connection::Mode::kWrite:
      return SQLite::Database(file, SQLite::OPEN_READWRITE, busy_ms);
    case Connection::Mode::kRead:
      return SQLite::Database(file, SQLite::OPEN_READONLY, busy_ms);
    case Connection::Mode::kFrozen:
      break;
  }
  return SQLite::Database(uri(file, "?immutable=1"), SQLite::OPEN_READONLY | SQLite::OPEN_URI, busy_ms);
}

}  // namespace

Failure describe(std::string_view what, const SQLite::Exception& error) {
  return {kind_of(error.getErrorCode(), error.getExtendedErrorCode()), fmt::format("{}: {}", what, error.what())};
}

Attempt<Connection> Connection::open(const std::string& file, Mode mode, Duration busy_timeout) {
  return attempt(fmt::format("open {}", file), [&] {
    const auto busy_ms = std::chrono::duration_cast<std::chrono::milliseconds>(busy_timeout).count();
    SQLite::Database database = open_database(file, mode, static_cast<int>(busy_ms));
    auto deadline = std::make_unique<Instant>(kNever);
    sqlite3_progress_handler(database.getHandle(), 5'000, is_overdue, deadline.get());
    database.exec("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON");
    return Connection(std::move(database), std::move(deadline));
  });
}

// Through sqlite's own descriptor: closing another one would drop the locks that we hold on the file.
bool Connection::has_head() const {
  constexpr std::string_view kHead("SQLite format 3\0", 16);
  std::array<char, kHead.size()> head{};
  sqlite3_file* file = nullptr;
  sqlite3_file_control(database_.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr) return false;
  const int read = file->pMethods->xRead(file, head.data(), static_cast<int>(head.size()), 0);
  return read == SQLITE_OK && std::string_view(head.data(), head.size()) == kHead;
}

void Connection::forget_cache() { sqlite3_db_release_memory(database_.getHandle()); }

Attempt<void> Connection::prepare_to_write() {
  return attempt(fmt::format("open {}", database_.getFilename()), [&] {
    // Debian's sqlite overwrites what it deletes; history is no secret, and thinning would write everything twice.
    database_.exec("PRAGMA secure_delete=OFF; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    database_.exec("PRAGMA journal_size_limit=4194304");
    // The kernel holds the file's pages, too: with a quarter of the usual 2 MB writing 30,000 rows again and again
    // costs the same.
    database_.exec("PRAGMA cache_size=-512");
  });
}

}  // namespace har::store
