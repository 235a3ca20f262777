// The small owner of one sqlite connection: opens it the way this daemon wants it, and turns what sqlite says went
// wrong into a value. Everything in sqlite's name stays in this folder. Not for: our tables (schema.h, rows.h), files
// as such (disk.h). Thread: one connection belongs to one thread.  Tested by: store_test.cc
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "base/time.h"

namespace har::store {

// What went wrong, sorted by what can be done about it.
struct Failure {
  enum class Kind {
    kBusy,     // another process has it locked: again, soon
    kFull,     // no room: again, later
    kCorrupt,  // not a database, a malformed page, a table that is not what it should be: set it aside
    kMoved,    // the file is not where it was opened: open again
    kForeign,  // whole, but not ours to write: a newer version's, or another program's. Leave it alone
    kHalted,   // we stopped it ourselves: its time was up
    kOther,    // not to be opened, read or written just now: again, later
  };
  Kind kind = Kind::kOther;
  std::string message;  // operation, object, reason
};

template <class T = void>
using Attempt = tl::expected<T, Failure>;

inline tl::unexpected<Failure> failed(Failure::Kind kind, std::string message) {
  return tl::unexpected<Failure>(Failure{kind, std::move(message)});
}

Failure describe(std::string_view what, const SQLite::Exception& error);

// Runs `action`; an exception of sqlite's becomes a Failure whose message starts with `what`.
template <class F>
auto attempt(std::string_view what, F&& action) -> Attempt<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(action)();
      return {};
    } else {
      return std::forward<F>(action)();
    }
  } catch (const SQLite::Exception& error) {
    return tl::unexpected<Failure>(describe(what, error));
  }
}

class Connection {
 public:
  enum class Mode {
    kWrite,   // the file must exist
    kRead,    // nothing is written, but a log of writes that is there is read
    kFrozen,  // only the file itself is read, without a lock or a log: for one that nobody can be writing
  };
  static Attempt<Connection> open(const std::string& file, Mode mode, Duration busy_timeout);

  // WAL, synchronous=NORMAL: changes the file, so only after its owner is known (schema.h).
  Attempt<void> prepare_to_write();

  // The head of the file itself, whatever the log and the cache say: false when it is not one of a database.
  bool has_head() const;
  void forget_cache();  // what is read from now on comes from the disk

  SQLite::Database& sql() { return database_; }
  const SQLite::Database& sql() const { return database_; }

  // From now on everything is halted (Failure::kHalted) that still runs at this time; kNever: nothing is. The time is
  // read by the connection for its whole life, from this thread only.
  void halt_at(Instant deadline) { *deadline_ = deadline; }

 private:
  Connection(SQLite::Database database, std::unique_ptr<Instant> deadline)
      : deadline_(std::move(deadline)), database_(std::move(database)) {}

  std::unique_ptr<Instant> deadline_;  // of a fixed address: sqlite's progress callback has it. Outlives database_
  SQLite::Database database_;
};

}  // namespace har::store
