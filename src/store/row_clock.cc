#include "store/row_clock.h"

#include "store/values.h"

namespace har::store {
namespace {

using std::chrono::microseconds;

// What a slow correction of the clock amounts to is not worth writing.
constexpr microseconds kLeast = std::chrono::minutes(1);

}  // namespace

RowClock::RowClock(SQLite::Database& database) : database_(database) {
  if (!database.tableExists("clock")) return;
  SQLite::Statement row(database, "SELECT boot, boot_time FROM clock");
  if (!row.executeStep()) return;
  boot_ = {static_cast<std::uint64_t>(row.getColumn(0).getInt64()), wall_time(row.getColumn(1).getDouble())};
}

std::optional<RowClock::Boot> RowClock::boot_of(const Moment& at) {
  if (at.boot == 0) return std::nullopt;
  return Boot{at.boot, at.wall - std::chrono::duration_cast<microseconds>(at.since_boot.time_since_epoch())};
}

std::optional<microseconds> RowClock::step(const Moment& at) const {
  const auto ours = boot_of(at);
  if (!ours || !boot_ || ours->id != boot_->id) return std::nullopt;
  return ours->time - boot_->time;
}

WallTime RowClock::wall_of_rows(const Moment& at) const { return at.wall - step(at).value_or(microseconds(0)); }

bool RowClock::is_to_be_written(const Moment& at) const {
  if (const auto stepped = step(at)) return std::chrono::abs(*stepped) >= kLeast;
  return boot_of(at).has_value();
}

void RowClock::write(const Moment& at) {
  if (const auto stepped = step(at)) {
    SQLite::Statement move(database_,
                           "UPDATE candidates SET last_check_time = last_check_time + ?1, "
                           "last_success_time = last_success_time + ?1, last_failure_time = last_failure_time + ?1 "
                           "WHERE last_check_time >= ?2");  // the others are of an earlier boot
    move.bind(1, static_cast<double>(stepped->count()) / 1e6);
    move.bind(2, seconds_of(boot_->time));
    move.exec();
  }
  database_.exec("DELETE FROM clock");
  SQLite::Statement put(database_, "INSERT INTO clock (boot, boot_time) VALUES (?, ?)");
  put.bind(1, static_cast<std::int64_t>(at.boot));
  put.bind(2, seconds_of(boot_of(at)->time));
  put.exec();
}

}  // namespace har::store
