// What the log hears of our own trouble with the checks, which says nothing of any endpoint. Changes only, and a line
// of each kind once a minute at most.
// Thread: the control thread.  Tested by: own_trouble_test.cc
#pragma once

#include <string_view>

#include "base/log.h"
#include "probe/schedule.h"

namespace har::probe {

class OwnTrouble {
 public:
  static constexpr Duration kLogPause = std::chrono::seconds(60);

  explicit OwnTrouble(const Log& log) : log_(log) {}

  // A probe could not begin, or not go on, for want of descriptors or memory.
  void no_room(std::string_view error, const Schedule& schedule, Instant now);
  // To be called now and then: what is to be said of the schedule.
  void tell(const Schedule& schedule, Instant now);

 private:
  void tell_stretch(const Schedule& schedule, Instant now);

  const Log& log_;
  bool told_stretched_ = false;
  Instant next_stretch_line_{}, next_shortage_line_{};
};

}  // namespace har::probe
