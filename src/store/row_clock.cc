#include "store/row_clock.h"

#include "store/values.h"

namespace har::store {
namespace {

using std::chrono::microseconds;

// What a slow correction of the clock amounts to is not worth writing.
constexpr microseconds kLeast = std::chrono::minutes(1);

}  // namespace

void RowClock::read() {
  boot_.reset();
  if (!database_.tableExists("clock")) return;
  SQLite::Statement row(database_, "SELECT boot, boot_time FROM clock");
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

WallTime RowClock::wall_for(std::optional<WallTime> last_check, const Moment& at) const {
  const auto stepped = step(at);
  if (!stepped || !last_check) return at.wall;
  const WallTime wall = at.wall - *stepped;
  const bool is_of_this_boot = *last_check >= boot_->time && *last_check <= wall + kLeast;
  return is_of_this_boot ? wall : at.wall;
}

bool RowClock::is_to_be_written(const Moment& at) const {
  if (const auto stepped = step(at)) return std::chrono::abs(*stepped) >= kLeast;
  return boot_of(at).has_value() || boot_.has_value();
}

void RowClock::write(const Moment& at) {
  if (const auto stepped = step(at)) {
    SQLite::Statement move(database_,
                           "UPDATE candidates SET last_check_time = last_check_time + ?1, "
                           "last_success_time = last_success_time + ?1, last_failure_time = last_failure_time + ?1 "
                           "WHERE last_check_time BETWEEN ?2 AND ?3");  // the others are of an earlier boot
    move.bind(1, static_cast<double>(stepped->count()) / 1e6);
    move.bind(2, seconds_of(boot_->time));
    move.bind(3, seconds_of(at.wall - *stepped + kLeast));
    move.exec();
  }
  database_.exec("DELETE FROM clock");
  // Rows of a boot that cannot be told are by no clock that the next reader could correct.
  const auto ours = boot_of(at);
  if (!ours) return;
  SQLite::Statement put(database_, "INSERT INTO clock (boot, boot_time) VALUES (?, ?)");
  put.bind(1, static_cast<std::int64_t>(ours->id));
  put.bind(2, seconds_of(ours->time));
  put.exec();
}

}  // namespace har::store
