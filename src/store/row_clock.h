// The wall clock that the rows' times are by, so that they stay as old as they are when it is stepped: table clock
// says when the machine's boot was by it. Rows of an earlier boot have nothing but the wall clock.
// Thread: whoever owns the connection.  Tested by: store_test.cc
#pragma once

#include <cstdint>
#include <optional>

#include "store/moment.h"
#include "store/sqlite.h"

namespace har::store {

class RowClock {
 public:
  explicit RowClock(SQLite::Database& database);  // of any version; throws SQLite::Exception

  // `at` by the clock of the rows.
  WallTime wall_of_rows(const Moment& at) const;

  // What is to be written when rows are written at `at`, and told once it has been: then the rows are by that clock.
  bool is_to_be_written(const Moment& at) const;
  void write(const Moment& at);  // requires: a transaction; throws SQLite::Exception
  void has_been_written(const Moment& at) { boot_ = boot_of(at); }

 private:
  struct Boot {
    std::uint64_t id = 0;
    WallTime time;
  };
  static std::optional<Boot> boot_of(const Moment& at);
  // How far the clock has been stepped since the rows were written; nothing: these are not of this boot.
  std::optional<std::chrono::microseconds> step(const Moment& at) const;

  SQLite::Database& database_;
  std::optional<Boot> boot_;
};

}  // namespace har::store
