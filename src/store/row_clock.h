// The wall clock that the rows' times are by, so that they stay as old as they are when it is stepped: table clock
// says when the machine's boot was by it, and which boot. Rows of an earlier boot have nothing but the wall clock.
// A machine that was paused from outside looks like one whose clock was stepped: its rows do not age meanwhile.
// Another one may write the file, or a person put an older one in its place: each use begins with read().
// Thread: whoever owns the connection.  Tested by: row_clock_test.cc
#pragma once

#include <cstdint>
#include <optional>

#include "store/moment.h"
#include "store/sqlite.h"

namespace har::store {

class RowClock {
 public:
  // Of any version: older ones have no such table. Throws SQLite::Exception, as all that asks the file.
  explicit RowClock(SQLite::Database& database) : database_(database) { read(); }

  void read();

  // `at` by the clock of a row whose last check was then (nothing: never).
  WallTime wall_for(std::optional<WallTime> last_check, const Moment& at) const;

  // Rows that are written at `at` are by another clock than the file says.
  bool is_to_be_written(const Moment& at) const;
  void write(const Moment& at);  // requires: a transaction, and read() in it

 private:
  struct Boot {
    std::uint64_t id = 0;
    WallTime time;
  };
  static std::optional<Boot> boot_of(const Moment& at);
  // How far the clock has been stepped since rows of this boot were written; nothing: there are none.
  std::optional<std::chrono::microseconds> step(const Moment& at) const;

  SQLite::Database& database_;
  std::optional<Boot> boot_;  // as the file says
};

}  // namespace har::store
