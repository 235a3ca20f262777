// What the log hears of our own trouble with the checks, which says nothing of any endpoint. Changes only, and a line
// of each kind once a minute at most.
// Thread: the control thread.  Tested by: own_trouble_test.cc
#pragma once

#include <cstdint>
#include <string_view>

#include "base/log.h"
#include "probe/schedule.h"

namespace har::probe {

class OwnTrouble {
 public:
  static constexpr Duration kLogPause = std::chrono::seconds(60);

  explicit OwnTrouble(const Log& log) : log_(log) {}

  // A probe could not begin, or not go on, for want of descriptors, memory or ports.
  void no_room(std::string_view error, const Schedule& schedule, Instant now);
  // A timeout that counts for nothing: the loop stood still too long (`lost`, during that probe), or it waited for a
  // handshake.
  void not_counted(Duration lost);
  // To be called now and then: what is to be said of the schedule, and of what was not counted.
  void tell(const Schedule& schedule, Instant now);

 private:
  void tell_stretch(const Schedule& schedule, Instant now);
  void tell_not_counted(const Schedule& schedule, Instant now);

  const Log& log_;
  bool told_stretched_ = false;
  // since the line before
  std::uint64_t not_counted_ = 0;
  Duration most_lost_{};
  std::uint64_t told_late_ = 0;  // of Schedule::late()
  Instant next_stretch_line_{}, next_shortage_line_{}, next_not_counted_line_{};
};

}  // namespace har::probe
